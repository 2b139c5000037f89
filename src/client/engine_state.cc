#include "client/engine_state.h"

#include "base/check.h"

namespace godwit::client {

using ports::Space;
using proto::Kind;

const proto::PrekeyStock Engine::State::kFullStock{limits::kMaxOneTimePrekeys,
                                                   limits::kMaxKemPrekeys};

// ---- storage

Result<void> Engine::State::load(const Snapshot& snapshot) {
  for (const ports::Row& row : snapshot.rows) {
    const std::uint8_t tag = row.key.empty() ? 0 : row.key[0];
    const ByteView rest = ByteView(row.key).subspan(row.key.empty() ? 0 : 1);
    const auto order = [&] { return get_be64(rest.last(8)); };
    if (snapshot.space == Space::kSession) {
      GODWIT_TRY(sessions.load(row));
    } else if (snapshot.space == Space::kChat) {
      GODWIT_TRY(groups.load(row));
    } else if (snapshot.space == Space::kProfile && tag == 'P') {
      GODWIT_TRY(registration.load(row));
    } else if (snapshot.space == Space::kProfile && tag == 'L') {
      const auto stored = decode<Ledger>(row.value);
      if (!stored) return fail(stored.error());
      ledger = *stored;
    } else if (snapshot.space == Space::kProfile && tag == 'X') {
      const auto stored = decode<SettingsRow>(row.value);
      if (!stored) return fail(stored.error());
      settings = *stored;
    } else if (snapshot.space == Space::kProfile && tag == 'Z') {
      GODWIT_TRY(sealing.load(row));
    } else if (snapshot.space == Space::kProfile) {
      GODWIT_TRY(keyring.load(row));
    } else if (snapshot.space == Space::kContact && tag == 'C' && rest.size() == 16) {
      auto stored = decode<ContactRow>(row.value);
      if (!stored) return fail(stored.error());
      if (!same(stored->contact.user.view(), rest)) {
        return fail(Code::kCorrupt, "a contact is stored as another one");
      }
      contacts.load(std::move(*stored));
    } else if (snapshot.space == Space::kContact && tag == 'T' && rest.size() == 24) {
      GODWIT_TRY(recent.load(UserId{*to_array<16>(rest.first(16))}, order(), row.value));
    } else if (snapshot.space == Space::kContact) {
      GODWIT_TRY(load_chats(row, tag, rest));
    } else if (snapshot.space == Space::kOutbox) {
      GODWIT_TRY(load_outbox(row, tag, rest));
    } else {
      return fail(Code::kCorrupt, "the profile holds a row of an unknown kind");
    }
  }
  return {};
}

Result<void> Engine::State::load_chats(const ports::Row& row, std::uint8_t tag, ByteView rest) {
  if (tag == 'U' && rest.size() == kChatKey + 8 && !chat_of(rest).is_nil()) {
    auto stored = decode<UnreadRow>(row.value);
    if (!stored) return fail(stored.error());
    chats.load(chat_of(rest), get_be64(rest.last(8)), std::move(*stored));
  } else if (tag == 'M' && rest.size() == kChatKey && !chat_of(rest).is_nil()) {
    auto stored = decode<ChatRow>(row.value);
    if (!stored) return fail(stored.error());
    chats.load(chat_of(rest), std::move(*stored));
  } else if (tag == 'W' && rest.size() == 8) {
    auto stored = decode<WaitingAct>(row.value);
    if (!stored) return fail(stored.error());
    journal.load(get_be64(rest), std::move(*stored));
  } else if (tag == 'B' && !rest.empty()) {
    auto stored = decode<BroadcastList>(row.value);
    if (!stored) return fail(stored.error());
    lists[to_string(rest)] = std::move(*stored);
  } else {
    return fail(Code::kCorrupt, "the profile holds a row of an unknown kind");
  }
  return {};
}

Result<void> Engine::State::load_outbox(const ports::Row& row, std::uint8_t tag, ByteView rest) {
  const auto order = [&] { return get_be64(rest.last(8)); };
  if (tag == 'Q' && rest.size() == 8) {
    auto stored = decode<Item>(row.value);
    if (!stored) return fail(stored.error());
    const bool whole =
        stored->whole() && (!stored->to.is_nil() || (stored->text && is_phone(stored->phone)));
    if (!whole) return fail(Code::kCorrupt, "an item of the outbox is not whole");
    stored->order = order();
    outbox.load(std::move(*stored));
  } else if (tag == 'R' && rest.size() == 8) {
    auto stored = decode<Sent>(row.value);
    if (!stored) return fail(stored.error());
    stored->item.order = order();
    GODWIT_TRY(sent.load(std::move(*stored)));
  } else if (tag == 'H' && rest.size() == 24) {
    auto stored = decode<RetryRequest>(row.value);
    if (!stored) return fail(stored.error());
    stored->order = order();
    GODWIT_TRY(healing.load(UserId{*to_array<16>(rest.first(16))}, std::move(*stored)));
  } else if (tag == 'A' && rest.size() == 8) {
    const auto stored = decode<Awaited>(row.value);
    if (!stored) return fail(stored.error());
    receipts.load(order(), *stored);
  } else if (tag == 'M' && rest.size() == 8) {
    auto stored = decode<Target>(row.value);
    if (!stored) return fail(stored.error());
    stored->order = order();
    journal.load(std::move(*stored));
  } else if (tag == 'F' && rest.size() == 16) {
    const auto stored = decode<Fading>(row.value);
    if (!stored) return fail(stored.error());
    journal.load({static_cast<std::int64_t>(get_be64(rest.first(8)))}, order(), *stored);
  } else {
    return fail(Code::kCorrupt, "the profile holds a row of an unknown kind");
  }
  return {};
}

// Checks what the parts rely on.
Result<void> Engine::State::complete() {
  if (registration.registered() && !keyring.ready()) {
    return fail(Code::kCorrupt, "the profile lacks its keys");
  }
  for (const UserId user : outbox.users()) {
    if (!contacts.knows(user)) return fail(Code::kCorrupt, "the profile lacks a contact");
  }
  for (const UserId user : sent.users()) {
    if (!contacts.knows(user)) return fail(Code::kCorrupt, "the profile lacks a contact");
  }
  connection.want(registration.registered());
  return {};
}

ports::Batch Engine::State::dump() const {
  ports::Batch batch{.partition = partition()};
  if (ledger.next_order != 1 || ledger.cursor.value != 0 || ledger.revision != 0) {
    batch.put(Space::kProfile, row_key('L'), encode(ledger));
  }
  registration.store_all(batch);
  keyring.store_all(batch);
  sealing.store_all(batch);
  contacts.store_all(batch);
  sessions.store_all(batch);
  outbox.store_all(batch);
  receipts.store_all(batch);
  sent.store_all(batch);
  recent.store_all(batch);
  chats.store_all(batch);
  journal.store_all(batch);
  if (settings.hides_reading) batch.put(Space::kProfile, row_key('X'), encode(settings));
  for (const auto& [name, list] : lists) {
    batch.put(Space::kContact, list_row_key(name), encode(list));
  }
  healing.store_all(batch);
  groups.store_all(batch);
  return batch;
}

Turn Engine::State::begin(Env& env) {
  Turn turn{env};
  if (env.now < latest) {
    connection.on_clock_set_back(env.now);
    nameless.on_clock_set_back(env.now);
    lookups.on_clock_set_back();
    courier.on_clock_set_back();
    healing.on_clock_set_back(env.now);
  }
  latest = env.now;
  return turn;
}

void Engine::State::finish(Turn& turn, Effects& out) {
  for (const UserId user : inbox.take_answered()) courier.wake(user);
  for (const UserId user : healing.take_woken()) courier.wake(user);
  connection.pump(turn);
  lookups.pump(turn);
  // Before the courier asks anybody to use them.
  if (keyring.doubted()) upload_prekeys(kFullStock, turn);
  groups.pump(turn);
  if (auto released = groups.take_released(turn); !released.empty()) {
    inbox.on_released(std::move(released), turn);
    for (const UserId user : inbox.take_answered()) courier.wake(user);
  }
  courier.pump(turn);
  nameless.pump(turn);
  for (const UserId user : turn.contacts) contacts.store(user, turn.batch);
  for (const SessionKey& key : turn.sessions) sessions.store(key, turn.batch);
  recent.flush(turn);
  if (turn.ledger) turn.put(Space::kProfile, row_key('L'), encode(ledger));
  if (!turn.batch.empty()) {
    turn.batch.partition = partition();
    out.emplace_back(Commit{std::move(turn.batch)});
  }
  for (Effect& effect : turn.after) out.push_back(std::move(effect));
}

// ---- frames

void Engine::State::attach(Turn& turn) {
  const Profile& own = registration.profile();
  connection.ask({.kind = Kind::kAttach},
                 encode(proto::Attach{own.user, own.device, ledger.cursor}), turn);
}

void Engine::State::route(proto::Frame& frame, Turn& turn) {
  connection.on_heard(turn.env.now);
  switch (frame.kind) {
    case Kind::kOk:
    case Kind::kError: {
      const auto request = connection.answered(frame.id);
      if (!request) return connection.drop("the server answered what was not asked", turn);
      if (frame.kind == Kind::kOk) return on_answer(*request, frame.body, turn);
      const auto error = decode<proto::ErrorBody>(frame.body);
      return error ? on_error(*request, *error, turn) : malformed(turn);
    }
    case Kind::kDeliver: {
      auto deliver = decode<proto::Deliver>(frame.body);
      if (!deliver) return malformed(turn);
      if (!connection.attached()) return connection.drop("the server sent mail too early", turn);
      return inbox.on_deliver(std::move(*deliver), turn);
    }
    case Kind::kHinted: {
      const auto envelope = decode<proto::Envelope>(frame.body);
      if (!envelope) return malformed(turn);
      return inbox.on_hint(*envelope, turn);
    }
    case Kind::kPrekeysLow: {
      const auto left = decode<proto::PrekeyStock>(frame.body);
      if (!left) return malformed(turn);
      return upload_prekeys(*left, turn);
    }
    case Kind::kClosing: {
      const auto closing = decode<proto::Closing>(frame.body);
      if (!closing) return malformed(turn);
      return connection.drop(closing->text, turn, closing->retry_after);
    }
    default: return;  // a newer server's notice
  }
}

// Answers to what was submitted without a name; and the end of that line.
void Engine::State::route_nameless(const proto::Frame& frame, Turn& turn) {
  const auto closing = frame.kind == Kind::kClosing ? decode<proto::Closing>(frame.body)
                                                    : fail(Code::kUnsupported, "");
  if (closing) return nameless.drop({}, turn, closing->retry_after);
  if (frame.kind != Kind::kOk && frame.kind != Kind::kError) return;
  const auto request = nameless.answered(frame.id);
  if (!request) return;
  if (frame.kind == Kind::kOk) return courier.on_accepted(request->user, turn);
  const auto error = decode<proto::ErrorBody>(frame.body);
  if (!error) return nameless.drop({}, turn);
  courier.on_refused(*request, *error, turn);
}

// There is a certificate now, or there will be none for a while: what waited for it goes on.
void Engine::State::on_sealing(Turn& turn) {
  inbox.on_sealing(turn);
  courier.wake_all();
}

void Engine::State::on_answer(const Request& request, ByteView body, Turn& turn) {
  switch (request.kind) {
    case Kind::kRequestCode: return registration.on_code_requested(turn);
    case Kind::kRegister: {
      const auto answer = decode<proto::Registered>(body);
      if (!answer || !registration.on_registered(*answer, turn)) return malformed(turn);
      connection.want(true);
      return attach(turn);
    }
    case Kind::kAttach: {
      const auto attached = decode<proto::Attached>(body);
      return attached ? on_attached(*attached, turn) : malformed(turn);
    }
    case Kind::kLookup: {
      const auto answer = decode<proto::LookedUp>(body);
      if (!answer || answer->user.is_nil()) return malformed(turn);
      lookups.on_answer();
      return on_lookup(request.phone, answer->user, turn);
    }
    case Kind::kFetchBundles: {
      const auto bundles = decode<proto::Bundles>(body);
      return bundles ? courier.on_bundles(request.user, *bundles, turn) : malformed(turn);
    }
    case Kind::kCertify: {
      const auto answer = decode<proto::Certified>(body);
      sealing.on_certified(answer ? *answer : proto::Certified{}, turn);
      return on_sealing(turn);
    }
    case Kind::kSubmit: return courier.on_accepted(request.user, turn);
    case Kind::kFetchGroup: {
      const auto history = decode<proto::GroupHistory>(body);
      return history ? groups.on_history(request.group, *history, turn) : malformed(turn);
    }
    case Kind::kChangeGroup:
    case Kind::kSubmitGroup: return groups.on_accepted(request, turn);
    case Kind::kUploadPrekeys: uploading = false; return keyring.on_uploaded(turn);
    default: return;
  }
}

void Engine::State::on_error(const Request& request, const proto::ErrorBody& error, Turn& turn) {
  if (connection.attached() && error.code == Code::kUnauthenticated) {
    return connection.drop(error.text, turn);  // the server forgot the attachment
  }
  switch (request.kind) {
    case Kind::kRequestCode:
    case Kind::kRegister:
      return registration.on_refused(error.code, error.text, error.retry_after, turn);
    case Kind::kAttach:
      if (error.code == Code::kUnauthenticated || error.code == Code::kNotFound) {
        return connection.give_up(
            "this number is registered on another device now; to use it here, register in a new "
            "profile",
            turn);
      }
      return connection.drop(error.text, turn, error.retry_after);
    case Kind::kLookup: return on_lookup_error(request.phone, error, turn);
    case Kind::kFetchBundles:
    case Kind::kSubmit: return courier.on_refused(request, error, turn);
    case Kind::kFetchGroup:
    case Kind::kChangeGroup:
    case Kind::kSubmitGroup: return groups.on_refused(request, error, turn);
    case Kind::kCertify: sealing.on_refused(error, turn); return on_sealing(turn);
    // Asked for again with the next attachment or notice.
    case Kind::kUploadPrekeys: uploading = false; return;
    default: return connection.drop(error.text, turn, error.retry_after);
  }
}

void Engine::State::on_attached(const proto::Attached& attached, Turn& turn) {
  connection.on_attached(turn);
  sealing.on_attached(attached, turn);
  upload_prekeys(attached.prekeys, turn);
  for (const std::string& phone : outbox.unresolved()) lookups.want(phone);
  for (const std::string& phone : groups.unresolved()) {
    if (!contacts.find(phone)) lookups.want(phone);
  }
  groups.on_attached();
  courier.wake_all();
}

void Engine::State::on_lookup(const std::string& phone, UserId user, Turn& turn) {
  lookups.forget(phone);
  inbox.on_lookup(phone, user, turn);
  groups.on_lookup(phone, user, turn);
  if (!outbox.waits_for(phone) && !groups.waits_for(phone)) return;
  ContactRow* contact = user == registration.profile().user ? nullptr : contacts.add(user, turn);
  if (!contact) {
    groups.on_no_such_number(phone, turn);
    return outbox.fail_unresolved(phone, turn);
  }
  contacts.bind(*contact, phone, turn);
  outbox.resolve(phone, *contact, turn);
  courier.wake(user);
}

void Engine::State::on_lookup_error(const std::string& phone, const proto::ErrorBody& error,
                                    Turn& turn) {
  if (error.code == Code::kNotFound || error.code == Code::kInvalid) {
    if (!lookups.settle(phone)) return;
    inbox.on_lookup(phone, UserId{}, turn);
    groups.on_lookup(phone, UserId{}, turn);
    groups.on_no_such_number(phone, turn);
    return outbox.fail_unresolved(phone, turn);
  }
  inbox.on_lookup_failed(phone, error.code, turn);
  // What is left of the day's look-ups is for what people ask for.
  if (error.code == Code::kRateLimited) groups.on_lookup_failed(phone);
  if (!outbox.waits_for(phone) && !inbox.waits_for(phone) && !groups.waits_for(phone) &&
      !groups.claims(phone)) {
    return lookups.forget(phone);
  }
  lookups.postpone(phone, error.retry_after, turn);
}

void Engine::State::upload_prekeys(const proto::PrekeyStock& left, Turn& turn) {
  if (uploading || !connection.attached()) return;
  const auto upload = keyring.top_up(left, turn);
  if (!upload) return;
  uploading = true;
  connection.ask({.kind = Kind::kUploadPrekeys}, encode(*upload), turn);
}

}  // namespace godwit::client
