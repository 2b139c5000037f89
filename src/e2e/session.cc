#include "e2e/session.h"

#include "base/limits.h"
#include "crypto/cbc.h"
#include "e2e/pqxdh.h"
#include "e2e/record.h"

namespace godwit::e2e {
namespace {

Result<void> check_pinned(const PublicKey& identity, const PublicKey* pinned) {
  if (pinned != nullptr && identity != *pinned) {
    return fail(Code::kForbidden, "the identity key changed: ask the user, then accept it");
  }
  return {};
}

std::uint8_t version_of(Protocol protocol) {
  return protocol == Protocol::kX3dh ? kVersion3 : kVersion4;
}

bool has_spqr(Protocol protocol) {
  return protocol == Protocol::kPqxdhSpqr || protocol == Protocol::kPqxdhSpqrLater;
}

// Decrypts in `state`, which is advanced; on an error it is to be thrown away. `addresses`: what a
// message from there to here may carry; empty: anything.
Result<Bytes> decrypt_in(SessionState& state, const LocalIdentity& own,
                         const WhisperMessage& message, ByteView addresses, Protocol protocol,
                         Entropy& entropy) {
  if (session_version(message.version) != session_version(state.version)) {
    return fail(Code::kCorrupt, "the message is of another version than its session");
  }
  const bool to_self = state.remote_identity == own.public_key();
  const std::uint32_t jump = to_self ? limits::kForwardJumpToSelf : limits::kForwardJump;
  const auto seed = state.ratchet.receiving_seed(message.ratchet.u, message.counter, jump, entropy);
  if (!seed) return fail(seed.error());
  std::optional<crypto::Key> pq_key;
  if (state.spqr) {
    const bool later = protocol == Protocol::kPqxdhSpqrLater;
    auto key = state.spqr->receive(message.pq_ratchet, later, jump);
    if (!key) return fail(Code::kCorrupt, key.error().text);  // its code is not about the message
    pq_key = std::move(*key);
  }
  const ByteView salt = pq_key ? pq_key->view() : ByteView();
  const auto keys = MessageKeys::derive(*seed, salt);
  if (!message.verifies(keys.mac, state.remote_identity, own.public_key())) {
    return fail(Code::kCorrupt, "the message does not verify");
  }
  if (!addresses.empty() && !message.addresses.empty() && !same(addresses, message.addresses)) {
    return fail(Code::kCorrupt, "the message was written by or for another device");
  }
  state.unacknowledged.reset();
  return crypto::aes_cbc_decrypt(keys.cipher.view(), keys.iv.view(), message.ciphertext);
}

}  // namespace

std::optional<PublicKey> Session::remote_identity() const {
  if (!current_) return std::nullopt;
  return current_->remote_identity;
}

std::optional<std::uint16_t> Session::remote_registration_id() const {
  if (!current_) return std::nullopt;
  return current_->remote_registration_id;
}

bool Session::sends_with(const PublicKey& ratchet_key) const {
  return current_ && current_->ratchet.ratchet.public_key == ratchet_key.u;
}

void Session::archive_current() {
  if (!current_) return;
  archived_.insert(archived_.begin(), current_->serialize());
  if (archived_.size() > limits::kArchivedSessions) archived_.pop_back();
  current_.reset();
}

void Session::make_current(SessionState state) {
  archive_current();
  current_ = std::move(state);
}

Session Session::clone() const {
  Session copy;
  copy.ends_ = ends_;
  if (current_) copy.current_ = current_->clone();
  for (const auto& record : archived_) copy.archived_.push_back(record.clone());
  return copy;
}

crypto::SecretBytes Session::serialize() const {
  constexpr std::size_t kHead = 8;  // the field's number and length
  crypto::SecretBytes current;
  if (current_) current = current_->serialize();
  std::size_t size = kHead + current.size() + kHead + sizeof(AddressPair);
  std::size_t fitting = 0;  // the oldest sessions go first
  for (const auto& record : archived_) {
    if (size + kHead + record.size() > limits::kMaxSessionRecord) break;
    size += kHead + record.size();
    ++fitting;
  }
  Bytes out;
  out.reserve(size);
  if (current_) put_bytes_field(out, 1, current.view());
  for (std::size_t i = 0; i < fitting; ++i) put_bytes_field(out, 2, archived_[i].view());
  if (ends_) put_bytes_field(out, 3, address_pair(ends_->own, ends_->theirs));
  return crypto::SecretBytes(std::move(out));
}

Result<Session> Session::parse(ByteView record) {
  if (record.size() > limits::kMaxSessionRecord) {
    return fail(Code::kTooLarge, "the session record is over its limit");
  }
  Session session;
  GODWIT_TRY(read_record(record, 0, [&](const Reader::Field& field) {
    if (field.number == 1) {
      auto state = SessionState::parse(field.bytes);
      if (!state) return false;
      session.current_ = std::move(*state);
    } else if (field.number == 2) {
      if (session.archived_.size() == limits::kArchivedSessions) return false;
      session.archived_.emplace_back(to_bytes(field.bytes));
    } else if (field.number == 3) {
      session.ends_.emplace();
      return parse_address_pair(field.bytes, session.ends_->own, session.ends_->theirs);
    }
    return true;
  }));
  return session;
}

Result<void> start_session(Session& session, const LocalIdentity& own, const PrekeyBundle& bundle,
                           const PublicKey* pinned, Env& env, Protocol protocol) {
  const bool quantum_safe = protocol != Protocol::kX3dh;
  GODWIT_TRY(check_pinned(bundle.identity_key, pinned));
  GODWIT_TRY(bundle.verify());
  if (quantum_safe && !bundle.kyber_prekey) {
    return fail(Code::kUnsupported, "the other device offers no post-quantum key");
  }
  const auto base = crypto::KeyPair::generate(env.entropy);
  crypto::Kem1024Encapsulation kem;
  if (quantum_safe) {
    crypto::KemRandom random;
    env.entropy.fill(random.mutable_view());
    kem = crypto::kem1024_encaps(crypto::Kem1024Variant::kKyberRound3, bundle.kyber_prekey->key.key,
                                 random);
  }
  const auto agreed = agree_as_initiator(own, base, bundle, quantum_safe ? &kem.shared : nullptr);
  if (!agreed) return fail(agreed.error());
  auto ratchet =
      DoubleRatchet::initiator(agreed->root, agreed->chain, bundle.signed_prekey.u, env.entropy);
  if (!ratchet) return fail(ratchet.error());

  SessionState::Unacknowledged pending{{}, bundle.signed_prekey_id, env.now};
  if (bundle.one_time_prekey) pending.one_time_prekey_id = bundle.one_time_prekey->id;
  if (quantum_safe) {
    pending.kyber_prekey_id = bundle.kyber_prekey->id;
    pending.kyber_ciphertext = to_bytes(wire_of(kem.ciphertext));
  }
  SessionState state{version_of(protocol),
                     bundle.identity_key,
                     PublicKey{base.public_key},
                     bundle.registration_id,
                     std::move(pending),
                     std::move(*ratchet),
                     {}};
  if (has_spqr(protocol)) {
    state.spqr = Spqr::start(agreed->pq_seed, Role::kInitiator);
  }
  session.make_current(std::move(state));
  return {};
}

Result<Encrypted> encrypt(Session& session, const LocalIdentity& own, ByteView plaintext,
                          Env& env) {
  if (!session.current_) return fail(Code::kNotFound, "no session: fetch a prekey bundle");
  SessionState& state = *session.current_;
  const auto& pending = state.unacknowledged;
  if (pending && env.now - pending->since > limits::kUnacknowledgedSession) {
    return fail(Code::kExpired, "never answered: fetch a prekey bundle");
  }
  if (state.ratchet.sent == UINT32_MAX) {
    return fail(Code::kExpired, "the chain is used up: fetch a prekey bundle");
  }

  WhisperMessage message{state.version, PublicKey{state.ratchet.ratchet.public_key},
                         state.ratchet.sent, state.ratchet.previous_counter};
  Spqr::Sent pq;
  ByteView salt;
  if (state.spqr) {
    auto sent = state.spqr->send(env.entropy);
    if (!sent) return fail(sent.error());
    pq = std::move(*sent);
    salt = pq.key.view();
    message.pq_ratchet = pq.message;
  }
  AddressPair addresses;
  if (pending && session.ends_) {
    addresses = address_pair(session.ends_->own, session.ends_->theirs);
    message.addresses = addresses;
  }
  const auto keys = MessageKeys::derive(state.ratchet.sending_seed(), salt);
  const Bytes ciphertext = crypto::aes_cbc_encrypt(keys.cipher.view(), keys.iv.view(), plaintext);
  message.ciphertext = ciphertext;
  Bytes wire = encode_whisper(message, keys.mac, own.public_key(), state.remote_identity);
  if (!pending) return Encrypted{MessageType::kWhisper, std::move(wire)};

  const PrekeyMessage wrapped{state.version,
                              own.registration_id,
                              pending->one_time_prekey_id,
                              pending->signed_prekey_id,
                              state.base_key,
                              own.public_key(),
                              wire,
                              pending->kyber_prekey_id,
                              pending->kyber_ciphertext};
  return Encrypted{MessageType::kPrekey, wrapped.encode()};
}

// One call of decrypt(). Works on copies; the last step of each path changes the session.
class Receiver {
 public:
  Receiver(Session& session, const LocalIdentity& own, const PublicKey* pinned, Env& env,
           Protocol protocol)
      : session_(session), own_(own), pinned_(pinned), env_(env), protocol_(protocol) {}

  // In the session that the message names, or in a new one. No other is tried.
  Result<Decrypted> receive(const PrekeyMessage& message, const LocalPrekeys& prekeys) {
    GODWIT_TRY(check_pinned(message.identity_key, pinned_));
    const auto whisper = WhisperMessage::parse(message.whisper);
    if (!whisper) return fail(whisper.error());

    if (session_.current_ && named_by(message, *session_.current_)) {
      return receive_in(session_.current_->clone(), kCurrent, *whisper);
    }
    for (std::size_t i = 0; i < session_.archived_.size(); ++i) {
      auto state = SessionState::parse(session_.archived_[i].view());
      if (state && named_by(message, *state)) return receive_in(std::move(*state), i, *whisper);
    }
    auto fresh = accept(message, prekeys);
    if (!fresh) return fail(fresh.error());
    auto decrypted = receive_in(std::move(*fresh), kNew, *whisper);
    if (decrypted) {
      decrypted->new_session = true;
      decrypted->consumed_prekey = message.one_time_prekey_id;
      if (protocol_ != Protocol::kX3dh) decrypted->kyber_use = use_of(message);
    }
    return decrypted;
  }

  // In the first session that decrypts it, the current one first.
  Result<Decrypted> receive(const WhisperMessage& message) {
    Error error{Code::kCorrupt, "no session decrypts the message: ask for it again"};
    if (session_.current_) {
      auto decrypted = receive_in(session_.current_->clone(), kCurrent, message);
      if (decrypted || final(decrypted.error())) return decrypted;
    }
    for (std::size_t i = 0; i < session_.archived_.size(); ++i) {
      auto state = SessionState::parse(session_.archived_[i].view());
      if (!state) continue;
      auto decrypted = receive_in(std::move(*state), i, message);
      if (decrypted || final(decrypted.error())) return decrypted;
    }
    return fail(error);
  }

 private:
  // Where a state comes from: one of these, or an index into the archive.
  static constexpr std::size_t kCurrent = SIZE_MAX;
  static constexpr std::size_t kNew = SIZE_MAX - 1;

  // Errors that say that this was the right session.
  static bool final(const Error& error) {
    return error.code == Code::kDuplicate || error.code == Code::kForbidden;
  }

  static bool named_by(const PrekeyMessage& message, const SessionState& state) {
    return session_version(message.version) == session_version(state.version) &&
           message.base_key == state.base_key && message.identity_key == state.remote_identity;
  }

  static KyberUse use_of(const PrekeyMessage& message) {
    return {*message.kyber_prekey_id, message.signed_prekey_id, message.base_key};
  }

  // The secret encapsulated to our Kyber prekey.
  static Result<crypto::Key> decapsulate(const PrekeyMessage& message,
                                         const LocalPrekeys& prekeys) {
    const auto ciphertext = parse_kem_ciphertext(message.kyber_ciphertext);
    if (!ciphertext) return fail(ciphertext.error());
    const auto secret_key = prekeys.find_kyber(*message.kyber_prekey_id);
    if (!secret_key) return fail(Code::kNotFound, "the Kyber prekey was used before");
    if (prekeys.was_used(use_of(message))) {
      return fail(Code::kDuplicate, "this message was decrypted before");
    }
    return crypto::kem1024_decaps(crypto::Kem1024Variant::kKyberRound3, *secret_key, *ciphertext);
  }

  // The session that `message` starts, from our prekeys.
  Result<SessionState> accept(const PrekeyMessage& message, const LocalPrekeys& prekeys) {
    const SignedPrekey* signed_prekey = prekeys.find_signed(message.signed_prekey_id);
    if (signed_prekey == nullptr) return fail(Code::kNotFound, "the signed prekey is gone");
    const OneTimePrekey* one_time = nullptr;
    if (message.one_time_prekey_id) {
      one_time = prekeys.find_one_time(*message.one_time_prekey_id);
      if (one_time == nullptr) return fail(Code::kNotFound, "the one-time prekey was used before");
    }
    crypto::Key kem;
    const bool quantum_safe = protocol_ != Protocol::kX3dh;
    if (quantum_safe) {
      auto shared = decapsulate(message, prekeys);
      if (!shared) return fail(shared.error());
      kem = std::move(*shared);
    }
    const auto agreed = agree_as_responder(own_, *signed_prekey, one_time, message.identity_key,
                                           message.base_key, quantum_safe ? &kem : nullptr);
    if (!agreed) return fail(agreed.error());
    SessionState state{version_of(protocol_),
                       message.identity_key,
                       message.base_key,
                       message.registration_id,
                       {},
                       DoubleRatchet::responder(agreed->root, agreed->chain, signed_prekey->keys),
                       {}};
    if (has_spqr(protocol_)) {
      state.spqr = Spqr::start(agreed->pq_seed, Role::kResponder);
    }
    return state;
  }

  // Decrypts in `state`; on success, and only then, that session becomes the current one.
  Result<Decrypted> receive_in(SessionState state, std::size_t from,
                               const WhisperMessage& message) {
    AddressPair expected;
    ByteView addresses;
    if (session_.ends_) {
      expected = address_pair(session_.ends_->theirs, session_.ends_->own);
      addresses = expected;
    }
    auto plaintext = decrypt_in(state, own_, message, addresses, protocol_, env_.entropy);
    if (!plaintext) return fail(plaintext.error());
    GODWIT_TRY(check_pinned(state.remote_identity, pinned_));
    Decrypted decrypted{std::move(*plaintext), state.remote_identity};
    if (from == kCurrent) {
      session_.current_ = std::move(state);
      return decrypted;
    }
    if (from != kNew) {
      session_.archived_.erase(session_.archived_.begin() + static_cast<std::ptrdiff_t>(from));
    }
    session_.make_current(std::move(state));
    return decrypted;
  }

  Session& session_;
  const LocalIdentity& own_;
  const PublicKey* pinned_;
  Env& env_;
  Protocol protocol_;
};

Result<Decrypted> decrypt(Session& session, const LocalIdentity& own, const LocalPrekeys& prekeys,
                          MessageType type, ByteView message, const PublicKey* pinned, Env& env,
                          Protocol protocol) {
  if (!message.empty() && session_version(message[0]) != session_version(version_of(protocol))) {
    return fail(Code::kUnsupported, "the message has another protocol version");
  }
  Receiver receiver(session, own, pinned, env, protocol);
  if (type == MessageType::kPrekey) {
    const auto parsed = PrekeyMessage::parse(message);
    if (!parsed) return fail(parsed.error());
    return receiver.receive(*parsed, prekeys);
  }
  if (type != MessageType::kWhisper) return fail(Code::kUnsupported, "another type of message");
  const auto parsed = WhisperMessage::parse(message);
  if (!parsed) return fail(parsed.error());
  return receiver.receive(*parsed);
}

}  // namespace godwit::e2e
