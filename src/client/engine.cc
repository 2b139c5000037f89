#include "client/engine.h"

#include <algorithm>

#include "client/engine_state.h"
#include "e2e/fingerprint.h"

namespace godwit::client {

using ports::Space;

Bytes Engine::partition() { return to_bytes("client"); }

std::span<const Space> Engine::hydrated_spaces() {
  static constexpr Space kSpaces[] = {Space::kProfile, Space::kContact, Space::kSession,
                                      Space::kOutbox, Space::kChat};
  return kSpaces;
}

Engine::Engine() : state_(std::make_unique<State>()) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::load(std::vector<Snapshot> snapshots) {
  std::unique_ptr<Engine> engine(new Engine());
  for (const Snapshot& snapshot : snapshots) GODWIT_TRY(engine->state_->load(snapshot));
  GODWIT_TRY(engine->state_->complete());
  return engine;
}

ports::Batch Engine::dump() const { return state_->dump(); }

// ---- commands

Result<RequestId> Engine::request_code(std::string_view phone, Env& env, Effects& out) {
  Turn turn = state_->begin(env);
  const auto id = state_->registration.request_code(phone, turn);
  state_->finish(turn, out);
  return id;
}

Result<RequestId> Engine::register_account(std::string_view phone, std::string_view code, Env& env,
                                           Effects& out) {
  Turn turn = state_->begin(env);
  const auto id = state_->registration.register_account(phone, code, turn);
  state_->finish(turn, out);
  return id;
}

bool Engine::registered() const { return state_->registration.registered(); }

const Profile& Engine::profile() const { return state_->registration.profile(); }

const Contact* Engine::contact(std::string_view phone) const {
  const ContactRow* row = std::as_const(state_->contacts).find(phone);
  return row ? &row->contact : nullptr;
}

const Contact* Engine::contact(UserId user) const {
  const ContactRow* row = state_->contacts.find(user);
  return row ? &row->contact : nullptr;
}

std::vector<Contact> Engine::contacts() const { return state_->contacts.list(); }

Result<SafetyNumber> Engine::safety_number(std::string_view phone) const {
  const Contact* who = contact(phone);
  // A key that waits for consent is the one to compare.
  const auto key =
      who ? e2e::PublicKey::parse(who->new_identity_key.empty() ? who->identity_key
                                                                : who->new_identity_key)
          : Result<e2e::PublicKey>(fail(Code::kNotFound, ""));
  if (!key) {
    return fail(Code::kNotFound, "there is no safety number before the first message");
  }
  const e2e::FingerprintParty own{profile().user.view(), state_->keyring.identity().public_key()};
  const e2e::FingerprintParty theirs{who->user.view(), *key};
  SafetyNumber number{.verified = who->verified && who->new_identity_key.empty()};
  const std::string digits = e2e::safety_number(own, theirs);
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i != 0 && i % 5 == 0) number.digits += ' ';
    number.digits += digits[i];
  }
  number.qr = e2e::scannable_fingerprint(e2e::FingerprintVersion::kUserId, own, theirs);
  return number;
}

void Engine::set_typing(ChatId chat, bool active, Env& env, Effects& out) {
  std::vector<UserId> others{chat.user()};
  if (chat.is_group()) others = state_->groups.others(chat.group());
  if (others.size() > limits::kTypingMembers) return;
  Turn turn = state_->begin(env);
  const Content typing{.id = MessageId::random(env.entropy),
                       .composed = env.now,
                       .sender_phone = profile().phone,
                       .stream = state_->registration.stream(),
                       .group = chat.group(),
                       .typing = Typing{active}};
  for (const UserId user : others) {
    ContactRow* contact = state_->contacts.find(user);
    if (contact) state_->courier.hint(typing, *contact, turn);
  }
  state_->finish(turn, out);
}

Result<void> Engine::set_verified(std::string_view phone, std::string_view digits, Env& env,
                                  Effects& out) {
  const auto present = safety_number(phone);
  if (!present) return fail(present.error());
  if (present->digits != digits) {
    return fail(Code::kConflict, "the safety number has changed: compare the new one");
  }
  mark(phone, true, env, out);
  return {};
}

Result<void> Engine::set_unverified(std::string_view phone, Env& env, Effects& out) {
  const auto present = safety_number(phone);
  if (!present) return fail(present.error());
  mark(phone, false, env, out);
  return {};
}

void Engine::mark(std::string_view phone, bool verified, Env& env, Effects& out) {
  ContactRow& contact = *state_->contacts.find(phone);
  Turn turn = state_->begin(env);
  state_->contacts.set_verified(contact, verified, turn);
  state_->courier.wake(contact.contact.user);
  state_->finish(turn, out);
}

// ---- the connection

void Engine::on_connected(Env& env, Effects& out, Line line) {
  Turn turn = state_->begin(env);
  if (line == Line::kNameless) {
    state_->nameless.on_connected(turn);
    state_->courier.wake_all();
    return state_->finish(turn, out);
  }
  state_->connection.on_connected(turn);
  if (registered() && state_->connection.open()) state_->attach(turn);
  if (state_->connection.open()) state_->registration.on_connected(turn);
  state_->finish(turn, out);
}

void Engine::on_disconnected(Env& env, Effects& out, Line line) {
  Turn turn = state_->begin(env);
  if (line == Line::kNameless) {
    state_->nameless.on_disconnected(turn);
    state_->courier.on_nameless_lost();
    return state_->finish(turn, out);
  }
  state_->connection.on_disconnected(turn);
  state_->registration.on_disconnected(turn);
  state_->connection.want(registered());
  state_->lookups.on_disconnected();
  state_->nameless.want(false);
  state_->nameless.drop({}, turn);
  state_->sealing.on_disconnected();
  state_->courier.on_disconnected();
  state_->inbox.on_disconnected();
  state_->groups.on_disconnected();
  state_->uploading = false;
  state_->finish(turn, out);
}

void Engine::on_frame(proto::Frame frame, Env& env, Effects& out, Line line) {
  const bool own = line == Line::kOwn;
  if (!(own ? state_->connection : state_->nameless).open()) return;
  Turn turn = state_->begin(env);
  own ? state_->route(frame, turn) : state_->route_nameless(frame, turn);
  state_->finish(turn, out);
}

void Engine::on_tick(Env& env, Effects& out) {
  Turn turn = state_->begin(env);
  if (state_->connection.on_tick(turn)) {
    state_->connection.ask({.kind = proto::Kind::kPing}, encode(proto::Ping{state_->ledger.cursor}),
                           turn);
  }
  state_->nameless.on_tick(turn);
  if (state_->connection.attached()) {
    if (state_->keyring.rotation_due() <= env.now) {
      state_->upload_prekeys(State::kFullStock, turn);
    }
    state_->sealing.on_tick(turn);
    state_->courier.on_tick(turn);
    state_->groups.on_tick(env.now);
    state_->healing.on_tick(turn);
  }
  state_->journal.on_tick(turn);
  state_->finish(turn, out);
}

Instant Engine::expiry() const { return state_->journal.deadline(); }

void Engine::expire(Env& env, Effects& out) {
  Turn turn = state_->begin(env);
  state_->journal.on_tick(turn);
  state_->finish(turn, out);
}

Instant Engine::deadline() const {
  const Connection& connection = state_->connection;
  Instant at =
      std::min({connection.deadline(), state_->nameless.deadline(), state_->journal.deadline()});
  if (connection.attached()) {
    at = std::min({at, state_->courier.deadline(), state_->lookups.deadline(),
                   state_->healing.deadline(), state_->groups.deadline(),
                   state_->sealing.deadline()});
    if (!state_->uploading) at = std::min(at, state_->keyring.rotation_due());
  }
  return at;
}

bool Engine::busy() const {
  return !state_->outbox.empty() || state_->inbox.busy() || state_->registration.waiting() ||
         state_->connection.busy() || state_->nameless.busy() || state_->healing.busy() ||
         state_->groups.busy();
}

std::size_t Engine::outbox_size() const {
  return state_->outbox.texts() + state_->groups.waiting();
}

Instant Engine::next_try() const { return state_->connection.next_try(); }

EngineCounters Engine::counters() const {
  EngineCounters counters = state_->counters;
  counters.reconnects = state_->connection.reconnects();
  counters.resubmissions = state_->courier.resubmissions();
  return counters;
}

}  // namespace godwit::client
