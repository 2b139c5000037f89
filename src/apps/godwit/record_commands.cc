#include "apps/godwit/record_commands.h"

#include <algorithm>

#include "apps/godwit/chat_model.h"
#include "apps/godwit/group_command.h"
#include "apps/godwit/line_editor.h"
#include "apps/godwit/qr.h"
#include "client/history.h"

namespace godwit::cli {
namespace {

constexpr std::size_t kPage = 128;
constexpr std::uint64_t kUnconfirmed = 256 * 1024;
constexpr std::size_t kIdDigits = 6;  // of a message, before its line
constexpr std::size_t kNameColumns = 16;
constexpr Duration kStatusPatience = seconds(5);

std::string unknown_contact(const std::string& phone) {
  return "nothing is known about " + phone + " yet: write to them first";
}

// The chat after this one, in key order; empty when there is none.
Bytes next_chat(client::ChatId chat) {
  Bytes key = client::chat_key(chat);
  while (!key.empty() && key.back() == 0xFF) key.pop_back();
  if (!key.empty()) ++key.back();
  return key;
}

}  // namespace

void HistoryCommand::start() {
  const auto whose = recipient(options_.phone);
  if (!whose) return;
  chat_ = chat_of(*whose);
  if (chat_.is_nil()) {
    refuse(kExitNotFound, "not_found", unknown_contact(options_.phone));
    return;
  }
  std::size_t found = 0;
  Bytes before;
  do {
    pages_.push_back(before);
    const auto page = client::read_history(client_.store(), chat_, before, kPage);
    if (!page) {
      refuse(page.error());
      return;
    }
    found += page->messages.size();
    before = page->before;
  } while (!before.empty() && (options_.limit == 0 || found < options_.limit));
  if (options_.limit != 0 && found > options_.limit) skip_ = found - options_.limit;
  pump();
}

void HistoryCommand::pump() {
  while (!pages_.empty()) {
    if (console_.out_given() - console_.out_written() >= kUnconfirmed) return;
    const auto page = client::read_history(client_.store(), chat_, pages_.back(), kPage);
    if (!page) {
      refuse(page.error());
      return;
    }
    pages_.pop_back();
    for (std::size_t i = std::exchange(skip_, 0); i < page->messages.size(); ++i) {
      print(page->messages[i]);
    }
  }
  console_.finish(kExitOk);
}

void HistoryCommand::print(const client::Message& message) {
  if (options_.json) {
    emit(history_json(message, names()));
    return;
  }
  const std::string day = day_name(message.composed, now());
  if (day != day_) {
    day_ = day;
    line(paint(Ink::kDim, "── " + day + " ──", color()));
  }
  const bool out = message.direction == client::Direction::kOut;
  const std::string from = out ? "you" : who(message.phone, message.from);
  std::string text;
  for (const char c : message_text(message, names())) {
    text += c;
    if (c == '\n') text.append(kIdDigits + 2 + 7, ' ');
  }
  // The digits are enough to name it: godwit react 3f9a0b …
  std::string shown =
      paint(Ink::kDim,
            id_text(message.id).substr(0, kIdDigits) + "  " + clock_time(message.composed),
            color()) +
      "  " + paint(out ? Ink::kGreen : Ink::kCyan, from, color()) + "  " + text;
  if (out) {
    const bool read = message.status == client::Status::kRead;
    shown += "  " + paint(read ? Ink::kBlue : Ink::kDim, tick(message.status), color());
    if (!message.failure.empty()) shown += " " + paint(Ink::kRed, message.failure, color());
  }
  line(shown);
}

Result<std::vector<client::Message>> newest_messages(ports::Store& store) {
  std::vector<client::Message> newest;
  Bytes first;
  do {
    const auto rows =
        store.scan({client::Engine::partition(), ports::Space::kMessage, first, {}, 1});
    if (!rows) return fail(rows.error());
    if (rows->empty() || client::chat_of(rows->front().key).is_nil()) break;
    const client::ChatId chat = client::chat_of(rows->front().key);
    auto page = client::read_history(store, chat, {}, 1);
    if (!page) return fail(page.error());
    if (!page->messages.empty()) newest.push_back(std::move(page->messages.back()));
    first = next_chat(chat);
  } while (!first.empty());
  std::ranges::sort(newest, [](const auto& a, const auto& b) { return a.composed > b.composed; });
  return newest;
}

void ContactsCommand::start() {
  const auto newest = newest_messages(client_.store());
  if (!newest) {
    refuse(newest.error());
    return;
  }
  for (const client::Message& last : *newest) {
    print(last, last.phone.empty() ? nullptr : client_.engine().contact(last.phone));
  }
  std::size_t silent = 0;
  for (const auto& group : client_.engine().groups()) {
    const client::ChatId chat(group.id);
    if (!group.member || std::ranges::find(*newest, chat, &client::Message::chat) != newest->end())
      continue;
    ++silent;
    print({.chat = chat}, nullptr);
  }
  if (newest->empty() && silent == 0)
    note("Nobody yet. Write to somebody: godwit send +NUMBER \"Hello\"");
  console_.finish(kExitOk);
}

void ContactsCommand::print(const client::Message& last, const client::Contact* contact) {
  const bool verified = contact != nullptr && contact->verified;
  const client::ChatRow& row = client_.engine().chat(last.chat);
  const std::size_t mentions = client_.engine().mentions(last.chat);
  if (options_.json) {
    Json object = {{"type", "contact"},
                   {"phone", last.phone},
                   {"user", to_hex(last.chat.octets)},
                   {"verified", verified}};
    if (last.chat.is_group()) {
      object = {{"type", "group"},
                {"chat", who({}, last.chat)},
                {"name", chat_name(last.chat, {})},
                {"mentions", mentions}};
    }
    object.update({{"last_ms", last.composed.ms},
                   {"unread", client_.engine().unread(last.chat)},
                   {"archived", row.archived},
                   {"muted", row.muted_until > now()}});
    emit(object);
    return;
  }
  std::string preview = printable(message_text(last, names()).substr(0, 200));
  const std::size_t room = std::max<std::size_t>(console_.terminal().columns, 60) - 44;
  if (preview.size() > room) {
    preview.resize(room);
    while (utf8_error(preview) != std::string::npos) preview.pop_back();
    preview += "…";
  }
  const bool out = last.direction == client::Direction::kOut;
  const std::size_t unread = client_.engine().unread(last.chat);
  if (unread != 0) preview = "(" + grouped(unread) + (mentions ? " @) " : ") ") + preview;
  if (row.archived) preview += " (archived)";
  std::string name = chat_name(last.chat, last.phone);
  const std::size_t columns = columns_of(from_utf8(name));
  name.append(kNameColumns - std::min(columns, kNameColumns), ' ');
  line(paint(Ink::kCyan, name, color()) + " " +
       paint(Ink::kGreen, verified ? "✓ verified" : "          ", color()) + "  " +
       (last.composed.ms == 0 ? paint(Ink::kDim, "no message yet", color())
                              : paint(Ink::kDim, short_time(last.composed, now()), color()) + "  " +
                                    (out ? "you: " : "") + preview));
}

StatusCommand::StatusCommand(Context context, Options options)
    : Command(std::move(context), std::move(options)), timeout_(client_.loop()) {}

void StatusCommand::start() {
  const bool online = client_.link() == runtime::ClientRuntime::Link::kOnline;
  if (online || !client_.engine().registered() || client_.server().empty()) {
    print();
    return;
  }
  timeout_.set(kStatusPatience, [this] { print(); });
  client_.go_online();
}

void StatusCommand::on_event(const client::Event& event) {
  if (std::holds_alternative<client::ConnectionChanged>(event)) print();
}

void StatusCommand::print() {
  const client::Engine& engine = client_.engine();
  const bool registered = engine.registered();
  const bool online = client_.link() == runtime::ClientRuntime::Link::kOnline;
  const std::string reason = online ? "" : client_.link_reason();
  const std::string state = online ? "online" : "offline";
  const client::EngineCounters retries = engine.counters();
  const Instant next = engine.next_try();
  if (options_.json) {
    Json object = {{"type", "status"}, {"home", context_.home}, {"registered", registered}};
    if (registered) {
      object["phone"] = engine.profile().phone;
      object["user"] = to_hex(engine.profile().user.view());
      object["device"] = engine.profile().device.value;
    }
    object["server"] = client_.server();
    object["connection"] = state;
    if (!reason.empty()) object["reason"] = reason;
    object["outbox"] = engine.outbox_size();
    object["retries"] = {{"connection", retries.reconnects}, {"messages", retries.resubmissions}};
    if (next != kNever) object["next_try_ms"] = next.ms;
    emit(object);
  } else {
    const auto row = [&](const char* name, const std::string& value) {
      line(paint(Ink::kDim, name, color()) + value);
    };
    row("account     ",
        registered ? engine.profile().phone : "none: godwit register +NUMBER --server HOST:PORT");
    row("server      ", client_.server().empty() ? "none" : printable(client_.server()));
    row("connection  ", paint(online ? Ink::kGreen : Ink::kYellow, state, color()) +
                            (reason.empty() ? "" : " (" + printable(reason) + ")"));
    if (next != kNever) {
      const Duration wait{std::max<std::int64_t>(next.ms - client_.loop().now().ms, 0)};
      row("next try    ", "in " + seconds_text(wait) + ", after " + grouped(retries.reconnects) +
                              (retries.reconnects == 1 ? " retry" : " retries"));
    }
    row("outbox      ", grouped(engine.outbox_size()) + " waiting");
    row("home        ", context_.home);
  }
  console_.finish(kExitOk);
}

void VerifyCommand::start() {
  if (!require_account()) return;
  if (!options_.mark && !options_.unmark) {
    print();
    return;
  }
  // What is printed is what is marked, or the engine refuses.
  const auto shown = client_.engine().safety_number(options_.phone);
  const auto marked = client_.act([&](auto& engine, Env& env, auto& out) {
    return options_.mark ? engine.set_verified(options_.phone, shown ? shown->digits : "", env, out)
                         : engine.set_unverified(options_.phone, env, out);
  });
  if (!marked) {
    if (marked.error().code == Code::kNotFound) {
      refuse(kExitNotFound, "not_found", unknown_contact(options_.phone));
    } else {
      refuse(marked.error());
    }
    return;
  }
  marking_ = true;
}

void VerifyCommand::on_committed() {
  if (marking_) print();
}

void VerifyCommand::print() {
  const auto number = client_.engine().safety_number(options_.phone);
  if (!number) {
    if (number.error().code == Code::kNotFound) {
      refuse(kExitNotFound, "not_found", unknown_contact(options_.phone));
    } else {
      refuse(number.error());
    }
    return;
  }
  if (options_.json) {
    emit({{"type", "safety_number"},
          {"phone", options_.phone},
          {"digits", number->digits},
          {"qr", to_hex(number->qr)},
          {"verified", number->verified}});
  } else {
    note("Safety number with " + options_.phone + ". Compare it in person or by phone:\n");
    // Twelve groups of five digits: three rows of four.
    for (std::size_t row = 0; row < 3; ++row) {
      const std::size_t at = row * 24;
      if (at >= number->digits.size()) break;
      line("    " + paint(Ink::kBold, number->digits.substr(at, 23), color()));
    }
    if (console_.terminal().out_tty) line("\n" + qr_text(number->qr) + "\n");
    line(number->verified
             ? paint(Ink::kGreen, "✓ verified", color())
             : "Not verified. Equal on both sides? godwit verify " + options_.phone + " --mark");
  }
  console_.finish(kExitOk);
}

}  // namespace godwit::cli
