#include "client/journal.h"

#include "client/search.h"

namespace godwit::client {
namespace {

using ports::Space;

bool changes_for_good(const Act& act) {
  return act.kind == Act::Kind::kEdit || act.kind == Act::Kind::kDeletion;
}

Bytes fading_key(Instant at, std::uint64_t order) {
  Bytes key = row_key('F', static_cast<std::uint64_t>(at.ms));
  put_be64(key, order);
  return key;
}

void index(ChatId chat, std::uint64_t order, std::string_view words, Turn& turn) {
  Bytes key = search_row_key(order, chat);
  Bytes row = search_row(words, chat);
  if (row.empty()) turn.erase(Space::kSearch, std::move(key));
  else turn.put(Space::kSearch, std::move(key), std::move(row));
}

// One row per person; what came before it goes.
void put_latest(ChatId chat, UserId from, char what, const Act& act, Bytes value, Turn& turn) {
  Bytes key = act_row_key(chat, act.target, what, from);
  Bytes first = key;
  put_be64(key, act.revision);
  turn.erase_range(Space::kAct, std::move(first), key);
  turn.put(Space::kAct, std::move(key), std::move(value));
}

}  // namespace

void Journal::write(const Message& message, std::uint64_t order, Turn& turn) {
  turn.put(Space::kMessage, message_row_key(message.chat, order), encode(message));
  const std::string words =
      message.deleted || message.extras.view_once ? std::string() : searchable(message);
  index(message.chat, order, words, turn);
}

void Journal::add(Message& message, std::uint64_t order, Turn& turn) {
  const Name name{message.chat, message.id};
  Target target{order, message.id, message.chat, message.from, message.composed};
  std::optional<Act> last;
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    const WaitingAct& waiting = at->second;
    const bool here = waiting.chat == message.chat && waiting.act.target == message.id;
    if (!here) {
      ++at;
      continue;
    }
    const bool may = waiting.from == message.from || waiting.moderates;
    const bool obeyed =
        may && in_time(target, waiting.act, waiting.composed, limits::kClockTolerance);
    const bool later = !last || last->kind != Act::Kind::kDeletion;
    if (obeyed && later &&
        (!last || waiting.act.kind == Act::Kind::kDeletion ||
         waiting.act.revision > last->revision)) {
      last = waiting.act;
    }
    turn.erase(Space::kContact, row_key('W', at->first));
    at = waiting_.erase(at);
  }
  if (by_name_.try_emplace(name, order).second) targets_[order] = target;
  turn.put(Space::kMessage, id_row_key(message.id, message.chat), [&] {
    Bytes value;
    put_be64(value, order);
    return value;
  }());
  write(message, order, turn);
  if (last && targets_.contains(order)) {
    change(targets_[order], *last, turn);
    message.deleted = last->kind == Act::Kind::kDeletion;
    message.text = message.deleted ? std::string() : last->text;
    if (message.deleted) message.extras = {};
    else message.edited = true;
  }
  if (targets_.contains(order)) {
    turn.put(Space::kOutbox, row_key('M', order), encode(targets_[order]));
  }
  const Instant oldest = {turn.env.now.ms - limits::kDeleteWindow.ms};
  while (targets_.size() > limits::kTargets ||
         (!targets_.empty() && targets_.begin()->second.composed < oldest &&
          targets_.begin()->first != order)) {
    forget_target(targets_.begin()->first, turn);
  }
}

void Journal::forget_target(std::uint64_t order, Turn& turn) {
  const auto found = targets_.find(order);
  if (found == targets_.end()) return;
  by_name_.erase({found->second.chat, found->second.id});
  targets_.erase(found);
  turn.erase(Space::kOutbox, row_key('M', order));
}

bool Journal::in_time(const Target& target, const Act& act, Instant composed,
                      Duration tolerance) const {
  const Duration window =
      act.kind == Act::Kind::kEdit ? limits::kEditWindow : limits::kDeleteWindow;
  return composed <= target.composed + window + tolerance;
}

bool Journal::apply(ChatId chat, UserId from, Rights rights, Instant composed, const Act& act,
                    Turn& turn) {
  const auto found = by_name_.find({chat, act.target});
  switch (act.kind) {
    case Act::Kind::kReaction:
      put_latest(chat, from, 'r', act, to_bytes(act.text), turn);
      return true;
    case Act::Kind::kVote: put_latest(chat, from, 'v', act, act.choices, turn); return true;
    case Act::Kind::kPin:
      if (rights.edits) chats_.pin(chat, act.target, act.revision, act.on, turn);
      return rights.edits;
    case Act::Kind::kOpened:
      turn.put(Space::kAct, act_row_key(chat, act.target, 'o', from), {});
      return true;
    case Act::Kind::kEdit:
    case Act::Kind::kDeletion: break;
    default: return false;
  }
  const bool moderates = rights.moderates && act.kind == Act::Kind::kDeletion;
  if (found == by_name_.end()) {
    wait({chat, from, composed, act, moderates}, turn);
    return false;
  }
  Target& target = targets_.at(found->second);
  if (target.from != from && !moderates) return false;
  if (!in_time(target, act, composed, limits::kClockTolerance)) return false;
  return change(target, act, turn);
}

bool Journal::change(Target& target, const Act& act, Turn& turn) {
  if (target.deleted) return false;
  const std::uint64_t order = target.order;
  if (act.kind == Act::Kind::kEdit) {
    if (act.revision <= target.edited) return false;
    target.edited = act.revision;
    turn.put(Space::kAct, act_row_key(target.chat, target.id, 'e', target.from), encode(act));
    index(target.chat, order, folded(act.text), turn);
  } else {
    target.deleted = true;
    const Bytes prefix = act_prefix(target.chat, target.id);
    turn.erase_range(Space::kAct, prefix, after_prefix(prefix));
    const Message tombstone{.id = target.id,
                            .chat = target.chat,
                            .direction = target.from.is_nil() ? Direction::kOut : Direction::kIn,
                            .status = target.from.is_nil() ? Status::kSent : Status::kDelivered,
                            .composed = target.composed,
                            .deleted = true,
                            .from = target.from};
    write(tombstone, order, turn);
    chats_.forget(target.chat, order, turn);
    if (target.chat.is_group()) receipts_.forget(order, turn);
    sent_.forget_if_there(order, turn);
  }
  turn.put(Space::kOutbox, row_key('M', order), encode(target));
  return true;
}

std::string_view Journal::refusal(ChatId chat, const Act& act, Rights rights, Instant now) const {
  if (act.kind == Act::Kind::kPin && !rights.edits) return "only admins pin in this group";
  if (!changes_for_good(act)) return {};
  const auto found = by_name_.find({chat, act.target});
  const bool edit = act.kind == Act::Kind::kEdit;
  constexpr std::string_view kLate = "a message can be edited for 15 minutes only";
  constexpr std::string_view kGone =
      "it is too old to be deleted for everyone; godwit delete --for-me deletes it here";
  if (found == by_name_.end()) return edit ? kLate : kGone;
  const Target& target = targets_.at(found->second);
  if (!target.from.is_nil() && (edit || !rights.moderates)) {
    return edit ? "somebody else wrote this message"
                : "somebody else wrote this message: delete it for yourself alone (--for-me, or "
                  "/delete N me)";
  }
  if (target.deleted) return "this message was deleted already";
  if (!in_time(target, act, now, {})) return edit ? kLate : kGone;
  return {};
}

bool Journal::deleted(ChatId chat, MessageId id) const {
  const auto found = by_name_.find({chat, id});
  return found != by_name_.end() && targets_.at(found->second).deleted;
}

bool Journal::needs_rights(ChatId chat, const Act& act) const {
  if (act.kind != Act::Kind::kDeletion) return act.kind == Act::Kind::kPin;
  const auto found = by_name_.find({chat, act.target});
  return found != by_name_.end() && !targets_.at(found->second).from.is_nil();
}

void Journal::wait(WaitingAct waiting, Turn& turn) {
  const std::uint64_t order = next_waiting_++;
  turn.put(Space::kContact, row_key('W', order), encode(waiting));
  waiting_[order] = std::move(waiting);
  if (waiting_.size() <= limits::kWaitingActs) return;
  turn.erase(Space::kContact, row_key('W', waiting_.begin()->first));
  waiting_.erase(waiting_.begin());
}

// ---- the end of a message

void Journal::start_lifetime(ChatId chat, std::uint64_t order, MessageId id, Duration lifetime,
                             Turn& turn) {
  if (lifetime.ms <= 0) return;
  const Instant at = turn.env.now + lifetime;
  const Fading& fading = fading_[{at, order}] = {chat, id};
  turn.put(Space::kOutbox, fading_key(at, order), encode(fading));
}

void Journal::erase(ChatId chat, std::uint64_t order, MessageId id, Turn& turn) {
  turn.erase_range(Space::kMessage, message_row_key(chat, order), message_row_key(chat, order + 1));
  turn.erase(Space::kMessage, id_row_key(id, chat));
  turn.erase(Space::kSearch, search_row_key(order, chat));
  const Bytes prefix = act_prefix(chat, id);
  turn.erase_range(Space::kAct, prefix, after_prefix(prefix));
  forget_target(order, turn);
  chats_.forget(chat, order, turn);
  receipts_.forget(order, turn);
  sent_.forget_if_there(order, turn);
  turn.notify(MessageErased{chat, id});
}

void Journal::empty_once(Message message, Turn& turn) {
  message.text.clear();
  message.opened = true;
  message.extras = {};
  message.extras.view_once = true;
  write(message, message.order, turn);
}

void Journal::star(ChatId chat, MessageId id, bool on, Turn& turn) {
  Bytes key = act_row_key(chat, id, 's');
  if (on) turn.put(Space::kAct, std::move(key), {});
  else turn.erase(Space::kAct, std::move(key));
}

void Journal::on_tick(Turn& turn) {
  while (!fading_.empty() && fading_.begin()->first.first <= turn.env.now) {
    const auto [at, order] = fading_.begin()->first;
    const Fading fading = fading_.begin()->second;
    fading_.erase(fading_.begin());
    turn.erase(Space::kOutbox, fading_key(at, order));
    erase(fading.chat, order, fading.id, turn);
  }
}

Instant Journal::deadline() const {
  return fading_.empty() ? kNever : fading_.begin()->first.first;
}

// ---- storage

void Journal::load(Target target) {
  by_name_[{target.chat, target.id}] = target.order;
  targets_[target.order] = std::move(target);
}

void Journal::load(std::uint64_t order, WaitingAct waiting) {
  next_waiting_ = std::max(next_waiting_, order + 1);
  waiting_[order] = std::move(waiting);
}

void Journal::load(Instant at, std::uint64_t order, Fading fading) {
  fading_[{at, order}] = fading;
}

void Journal::store_all(ports::Batch& batch) const {
  for (const auto& [order, target] : targets_) {
    batch.put(Space::kOutbox, row_key('M', order), encode(target));
  }
  for (const auto& [order, waiting] : waiting_) {
    batch.put(Space::kContact, row_key('W', order), encode(waiting));
  }
  for (const auto& [when, fading] : fading_) {
    batch.put(Space::kOutbox, fading_key(when.first, when.second), encode(fading));
  }
}

}  // namespace godwit::client
