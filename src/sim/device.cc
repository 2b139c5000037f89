#include "sim/device.h"

#include <algorithm>
#include <iterator>
#include <ranges>
#include <utility>

#include "client/history.h"

namespace godwit::sim {

Device::Device(Life& life, DeviceIndex index, std::string phone)
    : life_(life),
      index_(index),
      phone_(std::move(phone)),
      name_("device-" + std::to_string(index)),
      entropy_(life.luck.next()),
      disk_(life.timeline, life.luck),
      peer_(entropy_.draw<32>()) {}

Device::~Device() = default;

// ---- the process

Result<std::unique_ptr<client::Engine>> Device::engine_from_rows() {
  std::vector<client::Engine::Snapshot> snapshots;
  disk_.rows().set_now(life_.timeline.now());
  for (const ports::Space space : client::Engine::hydrated_spaces()) {
    auto rows = disk_.rows().scan({client::Engine::partition(), space});
    if (!rows) return fail(rows.error());
    snapshots.push_back({space, std::move(*rows)});
  }
  return client::Engine::load(std::move(snapshots));
}

void Device::load() {
  auto engine = engine_from_rows();
  if (!engine) {
    return life_.verdict.broken(
        "restore", "an engine cannot load its own rows: " + std::string(engine.error().text));
  }
  engine_ = std::move(*engine);
  if (engine_->registered()) user_ = engine_->profile().user;
  tick_at_ = kNever;
  plan_tick();
}

void Device::start() {
  if (running()) return;
  ++life_number_;
  started_ = clock_;
  life_.note(name_, "starts");
  load();
  person();
}

void Device::start_in(Duration delay) {
  life_.timeline.in(delay, [this, life = life_number_] {
    if (life == life_number_) start();
  });
}

// The process ends; what is on its way to it is lost.
void Device::unload() {
  if (engine_) {
    registered_ = engine_->registered();
    count();
  }
  engine_.reset();
  steps_.clear();
  committing_ = false;
  for (auto& connection : connections_) connection.reset();
  effects_to_live_ = 0;
  ++life_number_;
}

void Device::count() {
  life_.statistics.requested += engine_->counters().requested;
  life_.statistics.repeated += engine_->counters().repeated;
}

void Device::kill() {
  const bool alive = running();
  unload();
  if (!alive) return;
  life_.fault(name_, "dies");
  disk_.crash();
  life_.net.client_gone(index_);
  audit();
}

void Device::reinstall() {
  kill();
  life_.fault(name_, "is reinstalled", ++generation_);
  disk_.wipe();
  life_.checkers.never_lost.reinstalled(index_);
  peer_ = entropy_.draw<32>();
  registered_ = false;
  code_.clear();
  written_.clear();
  spoken_.clear();
  backup_.reset();
  start();
}

void Device::back_up() {
  if (!registered()) return;
  life_.note(name_, "is backed up");
  backup_ = disk_.rows();
}

void Device::restore() {
  if (!backup_) return;
  kill();
  life_.injury(name_, "is restored", ++restorations_);
  disk_.wipe(*backup_);
  std::vector<TextId> kept;
  for (const client::Message& message : history()) {
    if (message.direction != client::Direction::kOut) continue;
    if (const auto id = text_of(message)) kept.push_back(*id);
  }
  life_.checkers.never_lost.restored(index_, kept);
  life_.checkers.sender_order.restored(index_);
  life_.checkers.key_used_once.restored(peer_);
  life_.checkers.groups.restored(peer_);
}

void Device::lose_sessions() {
  kill();
  life_.injury(name_, "loses sessions");
  ports::Batch batch{.partition = client::Engine::partition()};
  for (const auto space : {ports::Space::kSession, ports::Space::kChat}) {
    const auto rows = disk_.rows().scan({client::Engine::partition(), space});
    if (!rows) return;
    for (const ports::Row& row : *rows) {
      const bool read_with = space == ports::Space::kSession || row.key[0] == 'K';
      if (read_with && chance(life_.luck, 600)) batch.erase(space, row.key);
    }
  }
  (void)disk_.rows().write(std::span(&batch, 1), ports::Durability::kSafe);
}

void Device::turn_clock(Duration by) {
  life_.fault(name_, "has its clock turned", static_cast<std::uint64_t>(by.ms));
  clock_ = clock_ + by;
}

// ---- the keeper of the commit rule

void Device::queue(client::Effects effects, std::optional<TextId> composed) {
  for (std::size_t i = 0; i < effects.size(); ++i) {
    Step step{std::move(effects[i]), std::nullopt};
    if (i + 1 == effects.size()) step.composed = composed;
    steps_.push_back(std::move(step));
  }
  if (running()) plan_tick();
  pump();
}

void Device::pump() {
  if (pumping_) return;
  pumping_ = true;
  while (running() && !committing_ && !steps_.empty()) {
    if (effects_to_live_ != 0 && --effects_to_live_ == 0) {
      kill();
      start_in(between(life_.luck, seconds(1), seconds(20)));
      break;
    }
    Step step = std::move(steps_.front());
    steps_.pop_front();
    if (auto* commit = std::get_if<client::Commit>(&step.effect)) {
      committing_ = true;
      ++life_.statistics.commits;
      ports::Batch batch = std::move(commit->batch);
      life_.checkers.groups.stores(index_, batch);
      disk_.write(0, std::move(batch),
                  [this, life = life_number_, step = std::move(step)](Result<void> result) {
                    if (life != life_number_) return;
                    life_.note(name_, result ? "committed" : "could not commit");
                    committing_ = false;
                    if (result) {
                      done(step);
                    } else {
                      unload();
                      life_.net.client_gone(index_);
                      audit();  // the rows may be there all the same
                      load();
                      person();
                    }
                    pump();
                  });
      break;
    }
    std::visit([this](auto& effect) { perform(effect); }, step.effect);
    done(step);
  }
  pumping_ = false;
}

void Device::done(const Step& step) {
  if (!step.composed) return;
  ++life_.statistics.composed;
  life_.checkers.never_lost.composed(*step.composed);
}

void Device::perform(client::Commit&) {}  // pump() does

void Device::perform(client::SendFrame& send) {
  const auto connection = connections_[static_cast<std::size_t>(send.line)];
  if (connection) life_.net.to_server(*connection, send.frame);
}

void Device::perform(client::Connect& connect) {
  auto& connection = connections_[static_cast<std::size_t>(connect.line)];
  if (connection) return life_.verdict.broken("engine", "asks for a second connection");
  const bool nameless = connect.line == client::Line::kNameless;
  life_.note(name_, nameless ? "connects without a name" : "connects");
  connection = life_.net.connect(index_, *this, nameless);
}

void Device::perform(client::Disconnect& disconnect) {
  life_.note(name_, "disconnects");
  const auto connection = connections_[static_cast<std::size_t>(disconnect.line)];
  if (connection) life_.net.close(*connection, Net::End::kClient);
}

void Device::perform(client::Notify& notify) {
  life_.note(name_, "tells", notify.event.index());
  seen(notify.event);
  if (keep_events_) events_.push_back(std::move(notify.event));
}

void Device::seen(const client::Event& event) {
  Checkers& checkers = life_.checkers;
  if (const auto* received = std::get_if<client::MessageReceived>(&event)) {
    const client::ChatId chat = received->message.chat;
    if (chat.is_group()) checkers.groups.shown(index_, chat.group(), received->message.id);
    const auto id = text_of(received->message);
    if (!id) return;
    ++life_.statistics.shown;
    checkers.never_lost.shown(*id);
    checkers.shown_once.notified(viewer(), *id, life_.verdict);
    if (received->message.late) {
      ++life_.statistics.late;
    } else {
      checkers.sender_order.notified(viewer(), *id, life_.verdict);
    }
  } else if (const auto* status = std::get_if<client::StatusChanged>(&event)) {
    // How far a text came with each member of a group is told by the history: see audit().
    if (status->chat.is_group() && !status->from.is_nil()) return;
    checkers.receipts_forward.seen(viewer(), status->id, {}, status->status, life_.verdict);
  } else if (std::holds_alternative<client::Registered>(event)) {
    user_ = engine_->profile().user;
    life_.took_over(index_);
  } else if (const auto* refused = std::get_if<client::GroupRefused>(&event)) {
    if (life_.damaged) return;  // it might have been that
    life_.verdict.broken("nobody_lies", "a group is not believed: " + refused->text);
  } else if (const auto* failed = std::get_if<client::Failed>(&event)) {
    const Duration wait = std::max(failed->retry_after, seconds(5));
    next_try_ = life_.timeline.now() + wait;
    if (failed->code == Code::kInvalid || failed->code == Code::kExpired ||
        failed->code == Code::kForbidden || failed->code == Code::kUnauthenticated ||
        failed->code == Code::kNotFound) {
      code_.clear();
    }
  }
}

void Device::plan_tick() {
  if (!engine_) return;
  const Instant deadline = engine_->deadline();
  Instant at = kNever;
  if (deadline != kNever) at = std::max(Instant{deadline.ms - started_.ms}, life_.timeline.now());
  if (at >= tick_at_ && tick_at_ >= life_.timeline.now()) return;
  tick_at_ = at;
  if (at == kNever) return;
  life_.timeline.at(at, [this, at, life = life_number_] {
    if (life != life_number_ || !running() || at != tick_at_) return;
    ticks_in_place_ = last_tick_ == at ? ticks_in_place_ + 1 : 0;
    last_tick_ = at;
    if (ticks_in_place_ > 100) {
      return life_.verdict.broken("engine", "its deadline does not move when it is reached");
    }
    tick_at_ = kNever;
    tell([this](Env& env, client::Effects& out) {
      engine_->on_tick(env, out);
      return 0;
    });
  });
}

std::optional<client::Line> Device::line_of(ConnectionId id) const {
  for (const client::Line line : {client::Line::kOwn, client::Line::kNameless}) {
    if (running() && connections_[static_cast<std::size_t>(line)] == id) return line;
  }
  return std::nullopt;
}

void Device::connected(ConnectionId id) {
  const auto line = line_of(id);
  if (!line) return;
  life_.note(name_, "is connected", id);
  tell([&](Env& env, client::Effects& out) {
    engine_->on_connected(env, out, *line);
    return 0;
  });
}

void Device::received(ConnectionId id, proto::Frame frame) {
  const auto line = line_of(id);
  if (!line) return;
  tell([&](Env& env, client::Effects& out) {
    engine_->on_frame(std::move(frame), env, out, *line);
    return 0;
  });
}

void Device::disconnected(ConnectionId id) {
  const auto line = line_of(id);
  if (!line) return;
  life_.note(name_, "is disconnected", id);
  connections_[static_cast<std::size_t>(*line)].reset();
  tell([&](Env& env, client::Effects& out) {
    engine_->on_disconnected(env, out, *line);
    return 0;
  });
}

// ---- the person

void Device::want_account() {
  wants_account_ = true;
  person();
}

void Device::code_arrived(const std::string& code) {
  code_ = code;
  next_try_ = life_.timeline.now();
}

// Looks at the phone every second until it is registered.
void Device::person() {
  const std::uint64_t turn = ++person_life_;
  if (!wants_account_ || !running() || registered()) return;
  if (life_.timeline.now() >= next_try_) {
    const bool has_code = !code_.empty();
    const auto asked = tell([&](Env& env, client::Effects& out) {
      return has_code ? engine_->register_account(phone_, code_, env, out)
                      : engine_->request_code(phone_, env, out);
    });
    if (asked) next_try_ = life_.timeline.now() + seconds(has_code ? 20 : 60);
  }
  life_.timeline.in(seconds(1), [this, turn] {
    if (turn == person_life_) person();
  });
}

Result<MessageId> Device::send(std::string_view phone, std::string_view text) {
  if (!running()) return fail(Code::kUnavailable, "the device is off");
  return tell([&](Env& env, client::Effects& out) {
    return engine_->send_text(phone, text, {}, env, out);
  });
}

// ---- what it knows

bool Device::settled() const {
  return running() && engine_->registered() && !engine_->busy() && engine_->outbox_size() == 0 &&
         steps_.empty() && !committing_;
}

std::vector<client::Message> Device::history() {
  std::vector<client::Message> all;
  ports::Scan next{.partition = client::Engine::partition(),
                   .space = ports::Space::kMessage,
                   .end = client::id_row_key({}, {}),
                   .limit = 1};
  for (auto row = disk_.rows().scan(next); row && !row->empty(); row = disk_.rows().scan(next)) {
    const client::ChatId chat = client::chat_of(row->front().key);
    next.first = client::after_prefix(client::chat_key(chat));
    std::vector<client::Page> pages;
    do {
      const Bytes until = pages.empty() ? Bytes() : pages.back().before;
      auto page = client::read_history(disk_.rows(), chat, until, limits::kHistoryPage);
      if (!page) {
        life_.verdict.broken("restore", "a history does not read");
        return all;
      }
      pages.push_back(std::move(*page));
    } while (!pages.back().before.empty());
    for (client::Page& page : std::views::reverse(pages)) {
      std::ranges::move(page.messages, std::back_inserter(all));
    }
  }
  return all;
}

void Device::audit() {
  Checkers& checkers = life_.checkers;
  std::vector<TextId> received;
  std::vector<TextId> in_order;
  for (const client::Message& message : history()) {
    const auto id = text_of(message);
    if (!message.deleted) {
      checkers.forwards_counted.seen(message.id, message.extras.forwards, life_.verdict);
    }
    if (message.direction == client::Direction::kOut) {
      if (!message.deleted) {
        checkers.receipts_forward.stored(viewer(), message.id, message.status, life_.verdict);
      }
      for (const client::Arrival& arrival : message.arrivals) {
        if (arrival.delivered.ms == 0) continue;
        const auto status =
            arrival.read.ms == 0 ? client::Status::kDelivered : client::Status::kRead;
        checkers.receipts_forward.seen(viewer(), message.id, arrival.member, status, life_.verdict);
      }
      if (!id) continue;
      checkers.never_lost.composed(*id);
      if (message.status >= client::Status::kSent && message.status != client::Status::kFailed) {
        checkers.never_lost.accepted(*id);
      }
    } else if (id) {
      checkers.never_lost.shown(*id);
      received.push_back(*id);
      if (!message.late) in_order.push_back(*id);
    } else if (!read_text(message.text) && message.text.find(kCanary) != std::string::npos) {
      life_.verdict.broken("shown_as_written", "a text is not what was written");
    }
  }
  checkers.shown_once.history(viewer(), received, life_.verdict);
  checkers.sender_order.history(viewer(), in_order, life_.verdict);
}

std::optional<e2e::SealedContent> Device::unseal(ByteView sealed) {
  const auto row =
      disk_.rows().get(client::Engine::partition(), ports::Space::kProfile, client::row_key('I'));
  const auto identity = row ? e2e::LocalIdentity::parse(row->value) : fail(row.error());
  auto content = identity ? e2e::open_unvouched(sealed, *identity) : fail(identity.error());
  if (!content) return std::nullopt;
  return std::move(*content);
}

proto::IdentityKey Device::identity() {
  const auto row =
      disk_.rows().get(client::Engine::partition(), ports::Space::kProfile, client::row_key('I'));
  const auto identity = row ? e2e::LocalIdentity::parse(row->value) : fail(row.error());
  return identity ? identity->public_key().wire() : proto::IdentityKey{};
}

client::GroupView Device::view(GroupId group) const {
  for (auto& view : engine_ ? engine_->groups() : std::vector<client::GroupView>()) {
    if (view.id == group) return std::move(view);
  }
  return {};
}

std::optional<TextId> Device::text_of(const client::Message& message) const {
  if (message.extras.forwards != 0) return std::nullopt;
  auto id = read_text(message.text);
  if (id && id->group != 0 && message.direction == client::Direction::kIn) id->to = index_;
  return id;
}

void Device::check_delivered() {
  for (const client::Message& message : history()) {
    const auto id = text_of(message);
    if (message.direction != client::Direction::kOut || !id) continue;
    if (id->group != 0) continue;  // as many receipts as readers
    if (life_.checkers.never_lost.forgiven(*id)) continue;
    if (message.status != client::Status::kDelivered && message.status != client::Status::kRead) {
      life_.verdict.broken("converges", "text " + name_of(*id) + " is " +
                                            std::string(client::status_name(message.status)) +
                                            " for ever " + message.failure);
    }
  }
}

void Device::check_unread() {
  std::map<client::ChatId, std::size_t> unread;
  for (const client::Message& message : history()) {
    const bool behind = message.order > engine_->chat(message.chat).read_up_to;
    const bool counts = message.direction == client::Direction::kIn && !message.deleted && behind;
    unread[message.chat] += counts ? 1 : 0;
  }
  for (const auto& [chat, count] : unread) {
    if (engine_->unread(chat) == count) continue;
    life_.verdict.broken("read_markers", name_ + " counts " +
                                             std::to_string(engine_->unread(chat)) +
                                             " unread messages, of " + std::to_string(count));
  }
}

void Device::check_read() {
  for (const client::Message& message : history()) {
    if (message.extras.lifetime.ms != 0) {
      life_.verdict.broken("disappears", name_ + " shows what should have disappeared");
    }
    const auto id = text_of(message);
    if (message.direction != client::Direction::kOut || !id || id->group != 0) continue;
    if (life_.checkers.never_lost.forgiven(*id) || message.status == client::Status::kRead)
      continue;
    life_.verdict.broken("converges", "text " + name_of(*id) + " was read, and is " +
                                          std::string(client::status_name(message.status)));
  }
}

void Device::check_restore() {
  const auto restored = engine_from_rows();
  if (!restored) return life_.verdict.broken("restore", "an engine cannot load its own rows");
  for (const client::Engine* engine :
       {std::as_const(*restored).get(), std::as_const(engine_).get()}) {
    ports::MemoryStore wanted;
    const ports::Batch dump = engine->dump();
    if (!wanted.write(std::span(&dump, 1), ports::Durability::kSafe)) continue;
    for (const ports::Space space : client::Engine::hydrated_spaces()) {
      const ports::Scan all{.partition = client::Engine::partition(), .space = space};
      const auto stored = *disk_.rows().scan(all);
      const auto held = *wanted.scan(all);
      if (held == stored) continue;
      const auto at = std::ranges::mismatch(held, stored);
      const Bytes& key = at.in1 != held.end() ? at.in1->key : at.in2->key;
      life_.verdict.broken("restore", name_ + ", row " + to_hex(key) + " of " +
                                          std::string(ports::space_name(space)) +
                                          (engine == engine_.get() ? " is not what the engine holds"
                                                                   : " changes when it is loaded"));
    }
  }
}

}  // namespace godwit::sim
