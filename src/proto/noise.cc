#include "proto/noise.h"

#include "base/check.h"
#include "base/codec.h"
#include "base/limits.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/kdf.h"

namespace godwit::proto {
namespace {

using crypto::Key;
using crypto::KeyPair;

// AESGCM, section 12.4: 32 zero bits, then the counter, big-endian.
ByteArray<crypto::kGcmNonce> nonce_of(std::uint64_t counter) {
  ByteArray<crypto::kGcmNonce> nonce{};
  for (std::size_t i = 0; i < 8; ++i) {
    nonce[4 + i] = static_cast<std::uint8_t>(counter >> (56 - 8 * i));
  }
  return nonce;
}

// The tokens of section 7.3.
enum class Token { e, s, ee, es, se, ss };
using enum Token;

struct Pattern {
  std::string_view name;  // 28 octets: fits h without hashing
  bool responder_known;   // pre-message <- s
  std::vector<std::vector<Token>> messages;
};

const Pattern& xx() {
  static const Pattern pattern{"Noise_XX_25519_AESGCM_SHA256",
                               false,
                               {{e},             // -> e
                                {e, ee, s, es},  // <- e, ee, s, es
                                {s, se}}};       // -> s, se
  return pattern;
}

const Pattern& ik() {
  static const Pattern pattern{"Noise_IK_25519_AESGCM_SHA256",
                               true,             // <- s
                               {{e, es, s, ss},  // -> e, es, s, ss
                                {e, ee, se}}};   // <- e, ee, se
  return pattern;
}

// SymmetricState with its CipherState, sections 5.1 and 5.2.
struct Symmetric {
  Key chaining_key;           // ck
  ByteArray<32> hash{};       // h
  std::optional<Key> key;     // k
  std::uint64_t counter = 0;  // n

  explicit Symmetric(std::string_view name) {
    CHECK(name.size() <= hash.size());
    std::ranges::copy(name, hash.begin());
    chaining_key = Key(hash);
  }
  Symmetric clone() const {
    Symmetric copy("");
    copy.chaining_key = chaining_key.clone();
    copy.hash = hash;
    if (key) copy.key = key->clone();
    copy.counter = counter;
    return copy;
  }

  void mix_hash(ByteView data) { hash = crypto::sha256({hash, data}); }
  void mix_key(const Key& input) {
    const auto out = crypto::hkdf_sha256<64>(chaining_key.view(), input.view(), {});
    chaining_key = Key(out.view().first<32>());
    key = Key(out.view().last<32>());
    counter = 0;
  }
  void encrypt_and_hash(ByteView text, Bytes& out) {
    const std::size_t start = out.size();
    if (key) crypto::aes_gcm_seal(key->view(), nonce_of(counter++), hash, text, out);
    else append(out, text);
    mix_hash(ByteView(out).subspan(start));
  }
  Result<Bytes> decrypt_and_hash(ByteView sealed) {
    Bytes text;
    if (key) {
      GODWIT_TRY(crypto::aes_gcm_open(key->view(), nonce_of(counter++), hash, sealed, text));
    } else {
      text = to_bytes(sealed);
    }
    mix_hash(sealed);
    return text;
  }
};

}  // namespace

// HandshakeState, section 5.3. Processing works on a copy, which replaces this one only when the
// whole message was good.
struct NoiseHandshake::State {
  const Pattern* pattern;
  bool initiator;
  Symmetric symmetric;
  KeyPair own_static;                                  // s
  std::optional<KeyPair> ephemeral;                    // e
  std::optional<crypto::CurvePoint> remote_static;     // rs
  std::optional<crypto::CurvePoint> remote_ephemeral;  // re
  std::size_t done = 0;                                // messages written and read
  bool taken = false;                                  // split() was called

  static std::unique_ptr<State> make(const Pattern& pattern, bool initiator, const KeyPair& own,
                                     std::optional<crypto::CurvePoint> remote, ByteView prologue) {
    auto state = std::make_unique<State>(
        State{&pattern, initiator, Symmetric(pattern.name), own.clone(), {}, remote, {}});
    state->symmetric.mix_hash(prologue);
    if (pattern.responder_known) state->symmetric.mix_hash(remote ? *remote : own.public_key);
    return state;
  }
  State clone() const {
    State copy{pattern, initiator,     symmetric.clone(), own_static.clone(),
               {},      remote_static, remote_ephemeral,  done,
               taken};
    if (ephemeral) copy.ephemeral = ephemeral->clone();
    return copy;
  }

  bool finished() const { return done == pattern->messages.size(); }
  bool my_turn() const { return !finished() && (done % 2 == 0) == initiator; }

  // The DH tokens name the initiator's key first.
  Result<void> mix_dh(Token token) {
    const bool own_is_static = token == ss || token == (initiator ? se : es);
    const bool theirs_is_static = token == ss || token == (initiator ? es : se);
    const auto& theirs = theirs_is_static ? remote_static : remote_ephemeral;
    CHECK(theirs && (own_is_static || ephemeral));
    const KeyPair& own = own_is_static ? own_static : *ephemeral;
    const auto shared = crypto::dh(own.private_key, *theirs);
    if (!shared) return fail(shared.error());
    symmetric.mix_key(*shared);
    return {};
  }
  Result<void> write_token(Token token, Entropy& entropy, Bytes& out) {
    if (token == e) {
      ephemeral = KeyPair::generate(entropy);
      append(out, ephemeral->public_key);
      symmetric.mix_hash(ephemeral->public_key);
    } else if (token == s) {
      symmetric.encrypt_and_hash(own_static.public_key, out);
    } else {
      return mix_dh(token);
    }
    return {};
  }
  // Takes what the token needs from the front of `rest`.
  Result<void> read_token(Token token, ByteView& rest) {
    if (token != e && token != s) return mix_dh(token);
    const std::size_t size = 32 + (token == s && symmetric.key ? crypto::kGcmTag : 0);
    if (rest.size() < size) return fail(Code::kCorrupt, "the handshake message is too short");
    const ByteView field = rest.first(size);
    rest = rest.subspan(size);
    if (token == e) {
      remote_ephemeral = to_array<32>(field);
      symmetric.mix_hash(field);
    } else {
      const auto point = symmetric.decrypt_and_hash(field);
      if (!point) return fail(point.error());
      remote_static = to_array<32>(*point);
    }
    return {};
  }
};

NoiseHandshake::NoiseHandshake(std::unique_ptr<State> state) : state_(std::move(state)) {}
NoiseHandshake::NoiseHandshake(NoiseHandshake&&) noexcept = default;
NoiseHandshake& NoiseHandshake::operator=(NoiseHandshake&&) noexcept = default;
NoiseHandshake::~NoiseHandshake() = default;

NoiseHandshake NoiseHandshake::initiator_xx(const KeyPair& own, ByteView prologue) {
  return NoiseHandshake(State::make(xx(), true, own, {}, prologue));
}
NoiseHandshake NoiseHandshake::responder_xx(const KeyPair& own, ByteView prologue) {
  return NoiseHandshake(State::make(xx(), false, own, {}, prologue));
}
NoiseHandshake NoiseHandshake::initiator_ik(const KeyPair& own, const crypto::CurvePoint& remote,
                                            ByteView prologue) {
  return NoiseHandshake(State::make(ik(), true, own, remote, prologue));
}
NoiseHandshake NoiseHandshake::responder_ik(const KeyPair& own, ByteView prologue) {
  return NoiseHandshake(State::make(ik(), false, own, {}, prologue));
}

bool NoiseHandshake::my_turn() const { return state_->my_turn(); }
bool NoiseHandshake::finished() const { return state_->finished(); }
std::optional<crypto::CurvePoint> NoiseHandshake::remote_static() const {
  return state_->remote_static;
}

Result<Bytes> NoiseHandshake::write(ByteView payload, Entropy& entropy) {
  CHECK(my_turn());
  State next = state_->clone();
  Bytes out;
  for (const Token token : next.pattern->messages[next.done]) {
    GODWIT_TRY(next.write_token(token, entropy, out));
  }
  if (payload.size() > limits::kMaxNoiseMessage - out.size() - crypto::kGcmTag) {
    return fail(Code::kTooLarge, "the handshake payload does not fit a Noise message");
  }
  next.symmetric.encrypt_and_hash(payload, out);
  ++next.done;
  *state_ = std::move(next);
  return out;
}

Result<Bytes> NoiseHandshake::read(ByteView message) {
  if (finished() || my_turn()) return fail(Code::kInvalid, "a handshake message out of turn");
  if (message.size() > limits::kMaxNoiseMessage) {
    return fail(Code::kTooLarge, "the handshake message is over Noise's limit");
  }
  State next = state_->clone();
  ByteView rest = message;
  for (const Token token : next.pattern->messages[next.done]) {
    GODWIT_TRY(next.read_token(token, rest));
  }
  auto payload = next.symmetric.decrypt_and_hash(rest);
  if (!payload) return payload;
  ++next.done;
  *state_ = std::move(next);
  return payload;
}

ByteArray<32> NoiseHandshake::hash() const {
  CHECK(finished());
  return state_->symmetric.hash;
}

NoiseChannel NoiseHandshake::split() {
  CHECK(finished() && !state_->taken);
  state_->taken = true;
  const auto keys = crypto::hkdf_sha256<64>(state_->symmetric.chaining_key.view(), {}, {});
  Key first(keys.view().first<32>()), second(keys.view().last<32>());
  if (state_->initiator) return {std::move(first), std::move(second)};
  return {std::move(second), std::move(first)};
}

namespace {

// A responder's handshake between two messages. Absent keys are zeros: no key is.
struct HandshakeRecord {
  bool responder_known = false;
  std::uint64_t done = 0;
  ByteArray<32> chaining_key{};
  ByteArray<32> hash{};
  ByteArray<32> key{};
  std::uint64_t counter = 0;
  ByteArray<32> ephemeral{};
  ByteArray<32> remote_static{};
  ByteArray<32> remote_ephemeral{};
  static void fields(auto& m, auto& field) {
    field(1, m.responder_known);
    field(2, m.done);
    field(3, m.chaining_key);
    field(4, m.hash);
    field(5, m.key);
    field(6, m.counter);
    field(7, m.ephemeral);
    field(8, m.remote_static);
    field(9, m.remote_ephemeral);
  }
  ~HandshakeRecord() {
    for (auto* secret : {&chaining_key, &key, &ephemeral}) crypto::wipe(*secret);
  }
};

constexpr ByteArray<32> kAbsent{};

}  // namespace

crypto::SecretBytes NoiseHandshake::serialize() const {
  CHECK(!state_->initiator && !finished() && !my_turn());
  const State& state = *state_;
  HandshakeRecord record;
  record.responder_known = state.pattern->responder_known;
  record.done = state.done;
  std::ranges::copy(state.symmetric.chaining_key.view(), record.chaining_key.begin());
  record.hash = state.symmetric.hash;
  if (state.symmetric.key) std::ranges::copy(state.symmetric.key->view(), record.key.begin());
  record.counter = state.symmetric.counter;
  if (state.ephemeral) {
    std::ranges::copy(state.ephemeral->private_key.view(), record.ephemeral.begin());
  }
  record.remote_static = state.remote_static.value_or(kAbsent);
  record.remote_ephemeral = state.remote_ephemeral.value_or(kAbsent);
  return crypto::SecretBytes(encode(record));
}

Result<NoiseHandshake> NoiseHandshake::parse(const crypto::KeyPair& own, ByteView octets) {
  static constexpr Error kNone{Code::kCorrupt, "not a responder's handshake"};
  const auto record = decode<HandshakeRecord>(octets);
  if (!record) return fail(kNone);
  const Pattern& pattern = record->responder_known ? ik() : xx();
  // Where a responder of the pattern waits, and what it has by then.
  const bool begun = record->done > 0;
  if (record->done >= pattern.messages.size() || record->done % 2 != 0 ||
      (begun && (record->remote_ephemeral == kAbsent || record->key == kAbsent ||
                 record->ephemeral == kAbsent))) {
    return fail(kNone);
  }
  auto state = State::make(pattern, false, own, {}, {});
  state->done = static_cast<std::size_t>(record->done);
  state->symmetric.chaining_key = Key(record->chaining_key);
  state->symmetric.hash = record->hash;
  state->symmetric.key.reset();
  if (record->key != kAbsent) state->symmetric.key = Key(record->key);
  state->symmetric.counter = record->counter;
  if (record->ephemeral != kAbsent) state->ephemeral = KeyPair::from_private(record->ephemeral);
  if (record->remote_static != kAbsent) state->remote_static = record->remote_static;
  if (record->remote_ephemeral != kAbsent) state->remote_ephemeral = record->remote_ephemeral;
  return NoiseHandshake(std::move(state));
}

namespace {
// One key seals at most this many records: AES-GCM's margin, and Noise's advice to rekey by then.
constexpr std::uint64_t kMaxRecords = std::uint64_t{1} << 32;
}  // namespace

Result<void> NoiseChannel::seal(ByteView plaintext, Bytes& out) {
  if (plaintext.size() > limits::kMaxNoiseMessage - kOverhead) {
    return fail(Code::kTooLarge, "the record is over Noise's limit: send it in parts");
  }
  if (sent_ >= kMaxRecords)
    return fail(Code::kExpired, "the channel's keys are used up: reconnect");
  crypto::aes_gcm_seal(send_key_.view(), nonce_of(sent_), {}, plaintext, out);
  ++sent_;
  return {};
}

Result<Bytes> NoiseChannel::open(ByteView record) {
  if (record.size() > limits::kMaxNoiseMessage) {
    return fail(Code::kTooLarge, "the record is over Noise's limit");
  }
  if (received_ >= kMaxRecords) {
    return fail(Code::kExpired, "the channel's keys are used up: reconnect");
  }
  Bytes text;
  GODWIT_TRY(crypto::aes_gcm_open(receive_key_.view(), nonce_of(received_), {}, record, text));
  ++received_;
  return text;
}

crypto::SecretBytes NoiseChannel::serialize() const {
  Bytes out;
  out.reserve(80);
  append(out, send_key_.view());
  append(out, receive_key_.view());
  put_be64(out, sent_);
  put_be64(out, received_);
  return crypto::SecretBytes(std::move(out));
}

Result<NoiseChannel> NoiseChannel::parse(ByteView record) {
  if (record.size() != 80) return fail(Code::kCorrupt, "not a Noise channel's record");
  NoiseChannel channel(Key(record.first<32>()), Key(record.subspan<32, 32>()));
  channel.sent_ = get_be64(record.subspan<64, 8>());
  channel.received_ = get_be64(record.subspan<72, 8>());
  return channel;
}

}  // namespace godwit::proto
