#include "e2e/spqr.h"

#include "base/limits.h"
#include "crypto/hash.h"
#include "crypto/kdf.h"
#include "e2e/record.h"

namespace godwit::e2e {
namespace {

using crypto::Kem768;
using crypto::Key;

constexpr std::uint8_t kVersion = 1;
constexpr ByteArray<32> kZeros{};
constexpr std::size_t kTagSize = 32;
constexpr std::size_t kHeaderSize = std::tuple_size_v<Kem768::Header>;
constexpr std::size_t kVectorSize = std::tuple_size_v<Kem768::Vector>;
constexpr std::size_t kFirstSize = std::tuple_size_v<Kem768::First>;
constexpr std::size_t kSecondSize = std::tuple_size_v<Kem768::Second>;

enum class Type : std::uint8_t {
  kNone = 0,
  kHeader = 1,
  kVector = 2,
  kVectorAcknowledging = 3,  // ... the first ciphertext
  kAcknowledging = 4,
  kFirst = 5,
  kSecond = 6,
};

constexpr bool has_chunk(Type type) { return type != Type::kNone && type != Type::kAcknowledging; }

// "Signal_PQCKA_V1_MLKEM768:" || purpose || epoch
Bytes label(std::string_view purpose, std::uint64_t epoch) {
  Bytes out = to_bytes("Signal_PQCKA_V1_MLKEM768:");
  append(out, view_of(purpose));
  put_be64(out, epoch);
  return out;
}

Key epoch_secret(std::uint64_t epoch, const Key& shared) {
  return crypto::hkdf_sha256<32>(kZeros, shared.view(), label("SCKA Key", epoch));
}

Bytes join(ByteView a, ByteView b) {
  Bytes out;
  out.reserve(a.size() + b.size());
  append(out, a);
  append(out, b);
  return out;
}

}  // namespace

// version || epoch || index || type [|| chunk index || chunk]; what follows is ignored.
struct Spqr::Message {
  std::uint64_t epoch = 0;
  std::uint32_t index = 0;
  Type type = Type::kNone;
  Chunk chunk;

  Bytes encode() const {
    Bytes out = {kVersion};
    put_varint(out, epoch);
    put_varint(out, index);
    out.push_back(static_cast<std::uint8_t>(type));
    if (has_chunk(type)) {
      put_varint(out, chunk.index);
      append(out, chunk.data);
    }
    return out;
  }
  static Result<Message> parse(ByteView wire) {
    if (wire.empty() || wire[0] != kVersion) {
      return fail(Code::kUnsupported, "the message has another post-quantum ratchet, or none");
    }
    static constexpr Error kMalformed{Code::kCorrupt, "a malformed post-quantum ratchet message"};
    Message message;
    Reader reader(wire.subspan(1));
    const auto epoch = reader.varint();
    const auto index = reader.varint();
    const auto type = reader.bytes(1);
    if (!epoch || !index || !type || *epoch == 0 || *index > UINT32_MAX ||
        (*type)[0] > static_cast<std::uint8_t>(Type::kSecond)) {
      return fail(kMalformed);
    }
    message.epoch = *epoch;
    message.index = static_cast<std::uint32_t>(*index);
    message.type = static_cast<Type>((*type)[0]);
    if (!has_chunk(message.type)) return message;
    const auto chunk_index = reader.varint();
    const auto data = reader.bytes(Chunk::kSize);
    if (!chunk_index || !data || *chunk_index > UINT16_MAX) return fail(kMalformed);
    message.chunk = {static_cast<std::uint16_t>(*chunk_index), *to_array<Chunk::kSize>(*data)};
    return message;
  }
};

void Spqr::Authenticator::update(std::uint64_t epoch, const Key& secret) {
  crypto::Secret<64> input;
  std::ranges::copy(root.view(), input.mutable_view().begin());
  std::ranges::copy(secret.view(), input.mutable_view().begin() + 32);
  const auto out =
      crypto::hkdf_sha256<64>(kZeros, input.view(), label("Authenticator Update", epoch));
  root = Key(out.view().first<32>());
  mac = Key(out.view().last<32>());
}

Key Spqr::Authenticator::header_tag(std::uint64_t epoch, ByteView header) const {
  return crypto::hmac_sha256(mac.view(), {label("ekheader", epoch), header});
}

Key Spqr::Authenticator::ciphertext_tag(std::uint64_t epoch, ByteView first,
                                        ByteView second) const {
  return crypto::hmac_sha256(mac.view(), {label("ciphertext", epoch), first, second});
}

Spqr Spqr::start(const Key& seed, Role role) {
  Spqr out;
  out.role_ = role;
  out.authenticator_.update(1, seed);
  out.chain_ = SpqrChain::start(seed, role);
  if (role == Role::kResponder) {
    out.phase_ = Phase::kNoHeader;
    out.receiving_ = Incoming(kHeaderSize + kTagSize);
  }
  return out;
}

Result<Spqr::Sent> Spqr::send(Entropy& entropy) {
  auto numbered = chain_.sending_key(epoch_ - 1);
  if (!numbered) return fail(numbered.error());
  std::optional<Key> secret;
  Message message = next_message(entropy, secret);
  message.index = numbered->index;
  if (secret) chain_.add_epoch(role_, *secret);
  return Sent{message.encode(), std::move(numbered->key)};
}

// What this phase sends. Sampling an own secret takes it to the next one; `secret`: the epoch's,
// once it is known.
Spqr::Message Spqr::next_message(Entropy& entropy, std::optional<Key>& secret) {
  Message message{.epoch = epoch_};
  switch (phase_) {
    case Phase::kKeysUnsampled: {
      entropy.fill(secret_.mutable_view());
      const auto keys = Kem768::keygen(secret_);
      const Key tag = authenticator_.header_tag(epoch_, keys.header);
      sending_ = {join(keys.header, tag.view())};
      phase_ = Phase::kKeysSampled;
      message.type = Type::kHeader;
      break;
    }
    case Phase::kHeaderReceived: {
      crypto::KemRandom random;
      entropy.fill(random.mutable_view());
      auto encapsulated = Kem768::encaps1(*to_array<kHeaderSize>(header_), random);
      secret = epoch_secret(epoch_, encapsulated.shared);
      authenticator_.update(epoch_, *secret);
      secret_ = std::move(encapsulated.state);
      sending_ = {to_bytes(encapsulated.first)};
      phase_ = Phase::kFirstSampled;
      message.type = Type::kFirst;
      break;
    }
    case Phase::kKeysSampled: message.type = Type::kHeader; break;
    case Phase::kHeaderSent: message.type = Type::kVector; break;
    case Phase::kFirstReceived: message.type = Type::kVectorAcknowledging; break;
    case Phase::kVectorSent: message.type = Type::kAcknowledging; break;
    case Phase::kFirstSampled:
    case Phase::kVectorReceived: message.type = Type::kFirst; break;
    case Phase::kSecondSampled: message.type = Type::kSecond; break;
    case Phase::kNoHeader:
    case Phase::kFirstAcknowledged: break;
  }
  if (has_chunk(message.type)) message.chunk = sending_.take();
  return message;
}

Result<std::optional<Key>> Spqr::receive(ByteView wire, bool may_be_keyless, std::uint32_t jump) {
  const auto message = Message::parse(wire);
  if (!message) return fail(message.error());
  const bool keyless = message->index == 0;
  if (keyless && (!may_be_keyless || message->epoch != 1)) {
    return fail(Code::kCorrupt, "a post-quantum ratchet message without its key");
  }
  std::optional<Key> secret;
  GODWIT_TRY(advance(*message, secret));
  if (secret) chain_.add_epoch(role_, *secret);
  if (keyless) return std::optional<Key>();
  auto key = chain_.receiving_key(message->epoch - 1, message->index, jump);
  if (!key) return fail(key.error());
  return std::optional<Key>(std::move(*key));
}

Result<Key> Spqr::receive(ByteView wire) {
  auto key = receive(wire, false, limits::kForwardJump);
  if (!key) return fail(key.error());
  return std::move(**key);
}

// What a message of this epoch does to this phase; a late one of an older epoch does nothing.
Result<void> Spqr::advance(const Message& message, std::optional<Key>& secret) {
  if (message.epoch > epoch_) {
    if (phase_ != Phase::kSecondSampled || message.epoch != epoch_ + 1) {
      return fail(Code::kCorrupt, "the message is of an epoch that has not begun");
    }
    ++epoch_;  // they have the second ciphertext: change places
    phase_ = Phase::kKeysUnsampled;
    sending_ = {};
    return {};
  }
  if (message.epoch < epoch_) return {};
  const Type type = message.type;
  const bool vector = type == Type::kVector || type == Type::kVectorAcknowledging;
  const bool acknowledges = type == Type::kAcknowledging || type == Type::kVectorAcknowledging;
  switch (phase_) {
    case Phase::kKeysSampled:
      if (type != Type::kFirst) return {};
      receiving_ = Incoming(kFirstSize);
      receiving_.add(message.chunk);
      sending_ = {to_bytes(Kem768::keygen(secret_).vector)};
      phase_ = Phase::kHeaderSent;
      return {};
    case Phase::kHeaderSent:
      if (type != Type::kFirst) return {};
      receiving_.add(message.chunk);
      if (auto first = receiving_.value()) {
        ciphertext_ = std::move(*first);
        receiving_ = {};
        phase_ = Phase::kFirstReceived;
      }
      return {};
    case Phase::kFirstReceived:
      if (type != Type::kSecond) return {};
      receiving_ = Incoming(kSecondSize + kTagSize);
      receiving_.add(message.chunk);
      sending_ = {};
      phase_ = Phase::kVectorSent;
      return {};
    case Phase::kVectorSent:
      if (type != Type::kSecond) return {};
      receiving_.add(message.chunk);
      return receive_second(secret);
    case Phase::kNoHeader:
      if (type != Type::kHeader) return {};
      receiving_.add(message.chunk);
      return receive_header();
    case Phase::kFirstSampled:
    case Phase::kFirstAcknowledged:
      if (!vector) return {};
      receiving_.add(message.chunk);
      return receive_vector(acknowledges || phase_ == Phase::kFirstAcknowledged);
    case Phase::kVectorReceived:
      if (!acknowledges) return {};
      sending_ = {std::move(ciphertext_)};
      ciphertext_.clear();
      phase_ = Phase::kSecondSampled;
      return {};
    case Phase::kKeysUnsampled:
    case Phase::kHeaderReceived:
    case Phase::kSecondSampled: return {};
  }
  return {};
}

Result<void> Spqr::receive_header() {
  const auto value = receiving_.value();
  if (!value) return {};
  const ByteView header = ByteView(*value).first(kHeaderSize);
  if (!crypto::equal(authenticator_.header_tag(epoch_, header).view(),
                     ByteView(*value).subspan(kHeaderSize))) {
    return fail(Code::kCorrupt, "the header of the post-quantum key does not verify");
  }
  header_ = to_bytes(header);
  receiving_ = Incoming(kVectorSize);
  phase_ = Phase::kHeaderReceived;
  return {};
}

// Once the vector is complete the second ciphertext is made; it is sent once the first arrived.
Result<void> Spqr::receive_vector(bool acknowledged) {
  const auto value = receiving_.value();
  if (!value) {
    if (acknowledged) phase_ = Phase::kFirstAcknowledged;
    return {};
  }
  const auto vector = *to_array<kVectorSize>(*value);
  if (!Kem768::valid(vector, *to_array<kHeaderSize>(header_))) {
    return fail(Code::kCorrupt, "the post-quantum key is not the one of its header");
  }
  const auto second = Kem768::encaps2(vector, secret_);
  const Key tag = authenticator_.ciphertext_tag(epoch_, sending_.value, second);
  Bytes tagged = join(second, tag.view());
  secret_ = {};
  header_.clear();
  receiving_ = {};
  if (acknowledged) {
    sending_ = {std::move(tagged)};
    phase_ = Phase::kSecondSampled;
  } else {
    ciphertext_ = std::move(tagged);
    phase_ = Phase::kVectorReceived;
  }
  return {};
}

Result<void> Spqr::receive_second(std::optional<Key>& secret) {
  const auto value = receiving_.value();
  if (!value) return {};
  const auto first = *to_array<kFirstSize>(ciphertext_);
  const auto second = *to_array<kSecondSize>(ByteView(*value).first(kSecondSize));
  secret = epoch_secret(epoch_, Kem768::decaps(Kem768::keygen(secret_).secret_key, first, second));
  authenticator_.update(epoch_, *secret);
  if (!crypto::equal(authenticator_.ciphertext_tag(epoch_, first, second).view(),
                     ByteView(*value).subspan(kSecondSize))) {
    return fail(Code::kCorrupt, "the post-quantum ciphertext does not verify");
  }
  secret_ = {};
  ciphertext_.clear();
  receiving_ = Incoming(kHeaderSize + kTagSize);
  ++epoch_;
  phase_ = Phase::kNoHeader;
  return {};
}

Spqr Spqr::clone() const {
  Spqr copy;
  copy.role_ = role_;
  copy.phase_ = phase_;
  copy.epoch_ = epoch_;
  copy.authenticator_ = {authenticator_.root.clone(), authenticator_.mac.clone()};
  copy.chain_ = chain_.clone();
  copy.secret_ = secret_.clone();
  copy.header_ = header_;
  copy.ciphertext_ = ciphertext_;
  copy.sending_ = sending_;
  copy.receiving_ = receiving_;
  return copy;
}

crypto::SecretBytes Spqr::serialize() const {
  const Bytes receiving = receiving_.serialize();
  const crypto::SecretBytes chain = chain_.serialize();
  Bytes out;  // no growth, it would leave secrets behind
  out.reserve(256 + chain.size() + header_.size() + ciphertext_.size() + sending_.value.size() +
              receiving.size());
  put_uint_field(out, 1, static_cast<std::uint64_t>(role_));
  put_uint_field(out, 2, static_cast<std::uint64_t>(phase_));
  put_uint_field(out, 3, epoch_);
  put_bytes_field(out, 4, authenticator_.root.view());
  put_bytes_field(out, 5, authenticator_.mac.view());
  put_bytes_field(out, 6, chain.view());
  put_bytes_field(out, 7, secret_.view());
  put_bytes_field(out, 8, header_);
  put_bytes_field(out, 9, ciphertext_);
  put_bytes_field(out, 10, sending_.value);
  put_uint_field(out, 11, sending_.next);
  put_bytes_field(out, 12, receiving);
  return crypto::SecretBytes(std::move(out));
}

// What a phase has at hand: the sizes of the values in octets, 0 for none.
struct Spqr::Holds {
  std::size_t sending, receiving, header, ciphertext;
};

Spqr::Holds Spqr::held(Phase phase) {
  switch (phase) {
    case Phase::kKeysUnsampled: return {0, 0, 0, 0};
    case Phase::kKeysSampled: return {kHeaderSize + kTagSize, 0, 0, 0};
    case Phase::kHeaderSent: return {kVectorSize, kFirstSize, 0, 0};
    case Phase::kFirstReceived: return {kVectorSize, 0, 0, kFirstSize};
    case Phase::kVectorSent: return {0, kSecondSize + kTagSize, 0, kFirstSize};
    case Phase::kNoHeader: return {0, kHeaderSize + kTagSize, 0, 0};
    case Phase::kHeaderReceived: return {0, kVectorSize, kHeaderSize, 0};
    case Phase::kFirstSampled: return {kFirstSize, kVectorSize, kHeaderSize, 0};
    case Phase::kVectorReceived: return {kFirstSize, 0, 0, kSecondSize + kTagSize};
    case Phase::kFirstAcknowledged: return {kFirstSize, kVectorSize, kHeaderSize, 0};
    case Phase::kSecondSampled: return {kSecondSize + kTagSize, 0, 0, 0};
  }
  return {SIZE_MAX, 0, 0, 0};  // no such phase: nothing has this size
}

Result<Spqr> Spqr::parse(ByteView record) {
  Spqr out;
  GODWIT_TRY(read_record(record, require(1, 2, 3, 4, 5, 6, 7, 12), [&](const Reader::Field& field) {
    const auto read = [&](Bytes& value) {
      value = to_bytes(field.bytes);
      return field.type == WireType::kBytes;
    };
    std::uint8_t number = 0;
    switch (field.number) {
      case 1:
        if (!read_uint(field, number) || number == 0 || number > 2) return false;
        out.role_ = static_cast<Role>(number);
        return true;
      case 2:
        if (!read_uint(field, number)) return false;
        out.phase_ = static_cast<Phase>(number);
        return true;
      case 3: return read_uint(field, out.epoch_);
      case 4: return read_octets(field, out.authenticator_.root);
      case 5: return read_octets(field, out.authenticator_.mac);
      case 6: {
        auto chain = SpqrChain::parse(field.bytes);
        if (chain) out.chain_ = std::move(*chain);
        return chain.has_value();
      }
      case 7: return read_octets(field, out.secret_);
      case 8: return read(out.header_);
      case 9: return read(out.ciphertext_);
      case 10: return read(out.sending_.value);
      case 11: return read_uint(field, out.sending_.next);
      case 12: {
        auto incoming = Incoming::parse(field.bytes);
        if (incoming) out.receiving_ = std::move(*incoming);
        return incoming.has_value();
      }
      default: return true;
    }
  }));
  const Holds holds = held(out.phase_);
  if (out.sending_.value.size() != holds.sending || out.header_.size() != holds.header ||
      out.receiving_.expected_size() != holds.receiving ||
      out.ciphertext_.size() != holds.ciphertext || out.epoch_ <= out.chain_.first_epoch() ||
      out.epoch_ - 1 > out.chain_.newest_epoch()) {
    return fail(Code::kCorrupt, "a malformed post-quantum ratchet");
  }
  return out;
}

}  // namespace godwit::e2e
