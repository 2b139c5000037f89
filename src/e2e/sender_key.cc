#include "e2e/sender_key.h"

#include <algorithm>

#include "base/limits.h"
#include "crypto/cbc.h"
#include "crypto/hash.h"
#include "crypto/kdf.h"
#include "e2e/record.h"

namespace godwit::e2e {
namespace {

constexpr std::uint8_t kVersion = 0x33;

// Both wire messages start with these three fields; the fourth differs.
struct Head {
  DistributionId distribution{};
  std::uint32_t chain = 0;
  std::uint32_t iteration = 0;

  bool read(const Reader::Field& field) {
    switch (field.number) {
      case 1: return read_octets(field, distribution);
      case 2: return read_uint(field, chain);
      case 3: return read_uint(field, iteration);
      default: return true;
    }
  }
  Bytes encode() const {
    Bytes out = {kVersion};
    put_bytes_field(out, 1, distribution);
    put_uint_field(out, 2, chain);
    put_uint_field(out, 3, iteration);
    return out;
  }
};

struct Distribution {
  Head head;
  crypto::Key key;
  PublicKey signing;
};

struct GroupMessage {
  Head head;
  ByteView ciphertext;  // borrowed
  ByteView signed_part;
  ByteView signature;
};

Result<ByteView> body_of(ByteView wire) {
  if (wire.empty() || wire.size() > limits::kMaxFrame) {
    return fail(Code::kCorrupt, "a group message of an impossible size");
  }
  if (wire[0] >> 4 != kVersion >> 4) {
    return fail(Code::kUnsupported, "the group message has another protocol version");
  }
  return wire.subspan(1);
}

Result<Distribution> parse_distribution(ByteView wire) {
  const auto body = body_of(wire);
  if (!body) return fail(body.error());
  Distribution message;
  GODWIT_TRY(read_record(*body, require(1, 2, 3, 4, 5), [&](const Reader::Field& field) {
    if (field.number == 4) return read_octets(field, message.key);
    if (field.number == 5) return read_public_key(field, message.signing);
    return message.head.read(field);
  }));
  return message;
}

Result<GroupMessage> parse_message(ByteView wire) {
  constexpr std::size_t kSignature = sizeof(crypto::Signature);
  if (wire.size() < 1 + kSignature)
    return fail(Code::kCorrupt, "a group message without signature");
  GroupMessage message{.signed_part = wire.first(wire.size() - kSignature),
                       .signature = wire.last(kSignature)};
  const auto body = body_of(message.signed_part);
  if (!body) return fail(body.error());
  GODWIT_TRY(read_record(*body, require(1, 2, 3, 4), [&](const Reader::Field& field) {
    return field.number == 4 ? read_bytes(field, message.ciphertext) : message.head.read(field);
  }));
  return message;
}

struct MessageKey {
  crypto::Secret<16> iv;
  crypto::Key cipher;

  explicit MessageKey(const crypto::Key& seed) {
    const auto okm = crypto::hkdf_sha256<48>({}, seed.view(), view_of("WhisperGroup"));
    std::ranges::copy(okm.view().first<16>(), iv.mutable_view().begin());
    std::ranges::copy(okm.view().last<32>(), cipher.mutable_view().begin());
  }
};

}  // namespace

SenderKey::Chain SenderKey::Chain::clone() const {
  Chain copy;
  copy.distribution = distribution;
  copy.id = id;
  copy.iteration = iteration;
  copy.key = key.clone();
  copy.signing = signing;
  if (signing_private) copy.signing_private = signing_private->clone();
  copy.skipped = skipped.clone();
  return copy;
}

// seed = HMAC(chain key, 0x01); chain key = HMAC(chain key, 0x02).
crypto::Key SenderKey::Chain::next_seed() {
  static constexpr std::uint8_t kSeed[] = {1};
  static constexpr std::uint8_t kNext[] = {2};
  crypto::Key seed = crypto::hmac_sha256(key.view(), kSeed);
  key = crypto::hmac_sha256(key.view(), kNext);
  ++iteration;
  return seed;
}

Result<crypto::Key> SenderKey::Chain::seed_of(std::uint32_t wanted) {
  if (wanted < iteration) {
    auto seed = skipped.take(wanted);
    if (!seed) return fail(Code::kDuplicate, "this group message was read before");
    return std::move(*seed);
  }
  if (wanted - iteration > limits::kForwardJump) {
    return fail(Code::kCorrupt, "the group message is too far ahead");
  }
  if (iteration < wanted) skipped.skip(iteration, wanted, [&] { return next_seed(); });
  return next_seed();
}

void SenderKey::create(const DistributionId& distribution, Entropy& entropy) {
  Chain chain;
  chain.distribution = distribution;
  chain.id = get_be32(entropy.draw<4>()) >> 1;  // 31 bits, as libsignal has it
  entropy.fill(chain.key.mutable_view());
  auto signing = crypto::KeyPair::generate(entropy);
  chain.signing = {signing.public_key};
  chain.signing_private = std::move(signing.private_key);
  chains_.clear();
  chains_.push_back(std::move(chain));
}

bool SenderKey::can_encrypt() const {
  return !chains_.empty() && chains_.front().signing_private.has_value();
}

Result<Bytes> SenderKey::distribution_message() const {
  if (!can_encrypt()) return fail(Code::kNotFound, "no sender key yet: create one");
  const Chain& chain = chains_.front();
  Bytes out = Head{chain.distribution, chain.id, chain.iteration}.encode();
  put_bytes_field(out, 4, chain.key.view());
  put_bytes_field(out, 5, chain.signing.wire());
  return out;
}

Result<Bytes> SenderKey::encrypt(ByteView plaintext, Entropy& entropy) {
  if (!can_encrypt()) return fail(Code::kNotFound, "no sender key yet: create one");
  Chain& chain = chains_.front();
  if (chain.iteration == UINT32_MAX) return fail(Code::kExpired, "the sender key is used up");
  Bytes out = Head{chain.distribution, chain.id, chain.iteration}.encode();
  const MessageKey key(chain.next_seed());
  put_bytes_field(out, 4, crypto::aes_cbc_encrypt(key.cipher.view(), key.iv.view(), plaintext));
  append(out, crypto::xeddsa_sign(*chain.signing_private, out, entropy.draw<64>()));
  return out;
}

Result<void> SenderKey::learn(ByteView distribution_message) {
  auto message = parse_distribution(distribution_message);
  if (!message) return fail(message.error());
  const auto same_chain = [&](const Chain& chain) {
    return chain.id == message->head.chain && chain.distribution == message->head.distribution;
  };
  const auto known = std::ranges::find_if(chains_, same_chain);
  if (known != chains_.end() && known->signing == message->signing) return {};
  std::erase_if(chains_, same_chain);
  Chain chain;
  chain.distribution = message->head.distribution;
  chain.id = message->head.chain;
  chain.iteration = message->head.iteration;
  chain.key = std::move(message->key);
  chain.signing = message->signing;
  chains_.insert(chains_.begin(), std::move(chain));
  if (chains_.size() > limits::kSenderKeyChains) chains_.pop_back();
  return {};
}

Result<Bytes> SenderKey::decrypt(ByteView wire) {
  const auto message = parse_message(wire);
  if (!message) return fail(message.error());
  const auto found = std::ranges::find_if(chains_, [&](const Chain& chain) {
    return chain.id == message->head.chain && chain.distribution == message->head.distribution;
  });
  if (found == chains_.end()) return fail(Code::kNotFound, "the sender's key was never told");
  if (!verify(found->signing, message->signed_part, message->signature)) {
    return fail(Code::kCorrupt, "the group message's signature is wrong");
  }
  Chain next = found->clone();
  const auto seed = next.seed_of(message->head.iteration);
  if (!seed) return fail(seed.error());
  const MessageKey key(*seed);
  auto plaintext = crypto::aes_cbc_decrypt(key.cipher.view(), key.iv.view(), message->ciphertext);
  if (!plaintext) return fail(plaintext.error());
  *found = std::move(next);
  return plaintext;
}

std::vector<std::uint32_t> SenderKey::chain_ids() const {
  std::vector<std::uint32_t> out;
  for (const Chain& chain : chains_) out.push_back(chain.id);
  return out;
}

SenderKey SenderKey::clone() const {
  SenderKey copy;
  for (const Chain& chain : chains_) copy.chains_.push_back(chain.clone());
  return copy;
}

crypto::SecretBytes SenderKey::Chain::serialize() const {
  Bytes out;
  out.reserve(200 + skipped.size());
  put_bytes_field(out, 1, distribution);
  put_uint_field(out, 2, id);
  put_uint_field(out, 3, iteration);
  put_bytes_field(out, 4, key.view());
  put_bytes_field(out, 5, signing.wire());
  if (signing_private) put_bytes_field(out, 6, signing_private->view());
  if (skipped.size() != 0) put_bytes_field(out, 7, skipped.view());
  return crypto::SecretBytes(std::move(out));
}

Result<SenderKey::Chain> SenderKey::Chain::parse(ByteView record) {
  Chain chain;
  ByteView packed;
  GODWIT_TRY(read_record(record, require(1, 2, 3, 4, 5), [&](const Reader::Field& field) {
    switch (field.number) {
      case 1: return read_octets(field, chain.distribution);
      case 2: return read_uint(field, chain.id);
      case 3: return read_uint(field, chain.iteration);
      case 4: return read_octets(field, chain.key);
      case 5: return read_public_key(field, chain.signing);
      case 6: return read_octets(field, chain.signing_private.emplace());
      case 7: return read_bytes(field, packed);
      default: return true;
    }
  }));
  auto skipped = SkippedKeys::parse(packed);
  if (!skipped) return fail(Code::kCorrupt, "a sender key record is malformed");
  chain.skipped = std::move(*skipped);
  return chain;
}

crypto::SecretBytes SenderKey::serialize() const {
  std::vector<crypto::SecretBytes> parts;
  std::size_t size = 0;
  for (const Chain& chain : chains_) {
    parts.push_back(chain.serialize());
    size += parts.back().size() + 8;
  }
  Bytes out;
  out.reserve(size);  // growing would leave copies of secrets behind
  for (const auto& part : parts) put_bytes_field(out, 1, part.view());
  return crypto::SecretBytes(std::move(out));
}

Result<SenderKey> SenderKey::parse(ByteView record) {
  SenderKey key;
  GODWIT_TRY(read_record(record, 0, [&](const Reader::Field& field) {
    if (field.number != 1) return true;
    if (field.type != WireType::kBytes || key.chains_.size() >= limits::kSenderKeyChains) {
      return false;
    }
    auto chain = Chain::parse(field.bytes);
    if (!chain) return false;
    key.chains_.push_back(std::move(*chain));
    return true;
  }));
  return key;
}

Result<DistributionId> SenderKey::distribution_of(ByteView wire) {
  if (const auto message = parse_message(wire)) return message->head.distribution;
  const auto distribution = parse_distribution(wire);
  if (!distribution) return fail(distribution.error());
  return distribution->head.distribution;
}

}  // namespace godwit::e2e
