#include "e2e/sealed_sender.h"

#include "base/limits.h"
#include "crypto/ctr.h"
#include "crypto/gcm_siv.h"
#include "crypto/hash.h"
#include "crypto/kdf.h"
#include "e2e/record.h"

namespace godwit::e2e {
namespace {

using crypto::Key;

// The high half of the first octet is the version; the low half what its writer knew.
constexpr std::uint8_t kVersion1 = 0x11;
constexpr std::uint8_t kReceived2 = 0x22;
constexpr std::uint8_t kSentUuids = 0x22;  // recipients as UUIDs: read, not written
constexpr std::uint8_t kSentServiceIds = 0x23;
constexpr std::uint8_t kAccount = 0x00;  // the kind of service id that is a user

template <typename... Part>
crypto::SecretBytes join(const Part&... part) {
  Bytes out;
  out.reserve((part.size() + ...));
  (append(out, part), ...);
  return crypto::SecretBytes(std::move(out));
}

Result<void> check_sealable(const SealedContent& content, const LocalIdentity& own) {
  if (content.sender.identity_key == own.public_key()) return {};
  return fail(Code::kForbidden, "the certificate is for another key: fetch a new one");
}

// ---- version 1

// AES-256-CTR, then the first ten octets of HMAC-SHA-256. Each pair of keys serves once.
struct OnceKeys {
  static constexpr std::size_t kMac = 10;

  Key chain, cipher, mac;

  static Result<OnceKeys> derive(ByteView salt, const Key& ours, const PublicKey& theirs) {
    const auto shared = crypto::dh(ours, theirs.u);
    if (!shared) return fail(shared.error());
    const auto out = crypto::hkdf_sha256<96>(salt, shared->view(), {});
    return OnceKeys{Key(out.view().first<32>()), Key(out.view().subspan<32, 32>()),
                    Key(out.view().last<32>())};
  }
  Bytes seal(ByteView text) const {
    Bytes out = crypto::aes_ctr(cipher.view(), text);
    append(out, crypto::hmac_sha256(mac.view(), out).view().first(kMac));
    return out;
  }
  Result<Bytes> open(ByteView sealed) const {
    if (sealed.size() < kMac) return fail(Code::kCorrupt, "a sealed part is shorter than its MAC");
    const ByteView text = sealed.first(sealed.size() - kMac);
    const Key expected = crypto::hmac_sha256(mac.view(), text);
    if (!crypto::equal(expected.view().first(kMac), sealed.last(kMac))) {
      return fail(Code::kCorrupt, "the sealed message does not verify");
    }
    return crypto::aes_ctr(cipher.view(), text);
  }
};

// The keys that hide who sends, between an ephemeral key and the recipient.
Result<OnceKeys> ephemeral_keys(const Key& ours, const PublicKey& theirs,
                                const PublicKey& recipient, const PublicKey& ephemeral) {
  Bytes salt = to_bytes("UnidentifiedDelivery");
  append(salt, recipient.wire());
  append(salt, ephemeral.wire());
  return OnceKeys::derive(salt, ours, theirs);
}

// The keys of the content, between both identities.
Result<OnceKeys> static_keys(const OnceKeys& ephemeral, ByteView sealed_sender, const Key& ours,
                             const PublicKey& theirs) {
  return OnceKeys::derive(join(ephemeral.chain.view(), sealed_sender).view(), ours, theirs);
}

Result<SealedContent> open_version1(ByteView wire, const LocalIdentity& own) {
  PublicKey ephemeral;
  ByteView sealed_sender, sealed_content;
  GODWIT_TRY(read_record(wire, require(1, 2, 3), [&](const Reader::Field& field) {
    switch (field.number) {
      case 1: return read_public_key(field, ephemeral);
      case 2: return read_bytes(field, sealed_sender);
      case 3: return read_bytes(field, sealed_content);
      default: return true;
    }
  }));
  const Key& ours = own.keys.private_key;
  const auto outer = ephemeral_keys(ours, ephemeral, own.public_key(), ephemeral);
  if (!outer) return fail(outer.error());
  const auto key = outer->open(sealed_sender);
  if (!key) return fail(key.error());
  const auto sender = PublicKey::parse(*key);
  if (!sender) return fail(sender.error());
  const auto inner = static_keys(*outer, sealed_sender, ours, *sender);
  if (!inner) return fail(inner.error());
  const auto opened = inner->open(sealed_content);
  if (!opened) return fail(opened.error());
  auto content = SealedContent::parse(*opened);
  if (content && content->sender.identity_key != *sender) {
    return fail(Code::kCorrupt, "sealed by another key than its certificate names");
  }
  return content;
}

// ---- version 2

constexpr std::size_t kHiddenKey = 32;  // C: the message's key, for one recipient
constexpr std::size_t kProof = 16;  // AT: that the sender knows the certificate's private key
constexpr std::size_t kKeys = kHiddenKey + kProof;

// Everything derived from the random key of one message.
struct MessageSecrets {
  crypto::KeyPair ephemeral;
  Key cipher;

  static MessageSecrets derive(const Key& message_key) {
    const auto expand = [&](std::string_view label) {
      return crypto::hkdf_sha256<32>({}, message_key.view(), view_of(label));
    };
    return {crypto::KeyPair::from_private(expand("Sealed Sender v2: r (2023-08)").view()),
            expand("Sealed Sender v2: K")};
  }
};

constexpr ByteArray<crypto::kGcmSivNonce> kNoNonce{};  // a key serves once

// What hides the message's key from everybody but `recipient`.
Result<Key> hiding_key(const Key& ours, const PublicKey& theirs, const PublicKey& ephemeral,
                       const PublicKey& recipient) {
  const auto shared = crypto::dh(ours, theirs.u);
  if (!shared) return fail(shared.error());
  return crypto::hkdf_sha256<32>({},
                                 join(shared->view(), ephemeral.wire(), recipient.wire()).view(),
                                 view_of("Sealed Sender v2: DH"));
}

Key exclusive_or(ByteView a, ByteView b) {
  Key out;
  for (std::size_t i = 0; i < out.view().size(); ++i) {
    out.mutable_view()[i] = static_cast<std::uint8_t>(a[i] ^ b[i]);
  }
  return out;
}

Result<crypto::Secret<kProof>> proof(const Key& ours, const PublicKey& theirs,
                                     const PublicKey& ephemeral, ByteView hidden_key,
                                     const PublicKey& sender, const PublicKey& recipient) {
  const auto shared = crypto::dh(ours, theirs.u);
  if (!shared) return fail(shared.error());
  return crypto::hkdf_sha256<kProof>(
      {},
      join(shared->view(), ephemeral.wire(), hidden_key, sender.wire(), recipient.wire()).view(),
      view_of("Sealed Sender v2: DH-sender"));
}

Result<SealedContent> open_version2(ByteView wire, const LocalIdentity& own) {
  if (wire.size() < kKeys + 32) return fail(Code::kCorrupt, "a sealed message cut short");
  const ByteView hidden_key = wire.first(kHiddenKey);
  const ByteView received_proof = wire.subspan(kHiddenKey, kProof);
  const PublicKey ephemeral{*to_array<32>(wire.subspan(kKeys, 32))};
  const Key& ours = own.keys.private_key;

  const auto hiding = hiding_key(ours, ephemeral, ephemeral, own.public_key());
  if (!hiding) return fail(hiding.error());
  const auto secrets = MessageSecrets::derive(exclusive_or(hidden_key, hiding->view()));
  if (secrets.ephemeral.public_key != ephemeral.u) {
    return fail(Code::kCorrupt, "the sealed message is not for this key");
  }
  const auto opened =
      crypto::aes_gcm_siv_open(secrets.cipher.view(), kNoNonce, {}, wire.subspan(kKeys + 32));
  if (!opened) return fail(opened.error());
  auto content = SealedContent::parse(*opened);
  if (!content) return content;
  const PublicKey& sender = content->sender.identity_key;
  const auto expected = proof(ours, sender, ephemeral, hidden_key, sender, own.public_key());
  if (!expected) return fail(expected.error());
  if (!crypto::equal(expected->view(), received_proof)) {
    return fail(Code::kCorrupt, "sealed by another key than its certificate names");
  }
  return content;
}

// A device in the sent form: its id, and 16 bits of which the highest says that another follows.
constexpr std::uint16_t kMoreDevices = 0x8000;
constexpr std::uint16_t kMaxRegistrationId = 0x3fff;

Result<void> put_recipient(Bytes& out, const SealedRecipient& recipient) {
  if (recipient.devices.empty() || recipient.devices.size() > limits::kMaxDevices) {
    return fail(Code::kInvalid, "a recipient without devices, or with too many");
  }
  out.push_back(kAccount);
  append(out, recipient.user.octets);
  for (std::size_t i = 0; i < recipient.devices.size(); ++i) {
    const auto& device = recipient.devices[i];
    if (device.id.value == 0 || device.registration_id > kMaxRegistrationId) {
      return fail(Code::kInvalid, "a device or registration id out of range");
    }
    const bool last = i + 1 == recipient.devices.size();
    out.push_back(device.id.value);
    put_be16(out, last ? device.registration_id
                       : static_cast<std::uint16_t>(device.registration_id | kMoreDevices));
  }
  return {};
}

Result<std::vector<SealedRecipient::Device>> read_devices(Reader& reader) {
  std::vector<SealedRecipient::Device> devices;
  while (true) {
    const auto id = reader.bytes(1);
    if (!id) return fail(id.error());
    if ((*id)[0] == 0 && devices.empty()) return devices;
    const auto rest = reader.bytes(2);
    if (!rest) return fail(rest.error());
    const std::uint16_t bits = get_be16(*rest);
    if ((*id)[0] == 0 || devices.size() == limits::kMaxDevices) {
      return fail(Code::kCorrupt, "a malformed list of devices");
    }
    devices.push_back({{(*id)[0]}, static_cast<std::uint16_t>(bits & kMaxRegistrationId)});
    if ((bits & kMoreDevices) == 0) return devices;
  }
}

}  // namespace

Bytes SealedContent::encode() const {
  Bytes out;
  put_uint_field(out, 1, static_cast<std::uint64_t>(type));
  put_bytes_field(out, 2, sender.wire);
  put_bytes_field(out, 3, message);
  if (hint != ContentHint::kDefault) put_uint_field(out, 4, static_cast<std::uint64_t>(hint));
  if (!group_id.empty()) put_bytes_field(out, 5, group_id);
  return out;
}

Result<SealedContent> SealedContent::parse(ByteView wire) {
  SealedContent out;
  std::uint32_t type = 0, hint = 0;
  ByteView certificate, message, group_id;
  GODWIT_TRY(read_record(wire, require(1, 2, 3), [&](const Reader::Field& field) {
    switch (field.number) {
      case 1: return read_uint(field, type);
      case 2: return read_bytes(field, certificate);
      case 3: return read_bytes(field, message);
      case 4: return read_uint(field, hint);
      case 5: return read_bytes(field, group_id);
      default: return true;
    }
  }));
  switch (type) {
    case 1: out.type = SealedType::kPrekey; break;
    case 2: out.type = SealedType::kWhisper; break;
    case 7: out.type = SealedType::kSenderKey; break;
    case 8: out.type = SealedType::kPlaintext; break;
    default: return fail(Code::kUnsupported, "another type of sealed content");
  }
  if (hint == 1) out.hint = ContentHint::kResendable;
  if (hint == 2) out.hint = ContentHint::kImplicit;
  auto sender = SenderCertificate::parse(certificate);
  if (!sender) return fail(sender.error());
  out.sender = std::move(*sender);
  out.message = to_bytes(message);
  out.group_id = to_bytes(group_id);
  return out;
}

Result<Bytes> seal_for_one(const SealedContent& content, const LocalIdentity& own,
                           const PublicKey& recipient, Entropy& entropy) {
  GODWIT_TRY(check_sealable(content, own));
  const auto pair = crypto::KeyPair::generate(entropy);
  const PublicKey ephemeral{pair.public_key};
  const auto outer = ephemeral_keys(pair.private_key, recipient, recipient, ephemeral);
  if (!outer) return fail(outer.error());
  const Bytes sealed_sender = outer->seal(own.public_key().wire());
  const auto inner = static_keys(*outer, sealed_sender, own.keys.private_key, recipient);
  if (!inner) return fail(inner.error());
  Bytes out = {kVersion1};
  put_bytes_field(out, 1, ephemeral.wire());
  put_bytes_field(out, 2, sealed_sender);
  put_bytes_field(out, 3, inner->seal(content.encode()));
  return out;
}

Result<Bytes> seal_for_many(const SealedContent& content, const LocalIdentity& own,
                            std::span<const SealedRecipient> recipients, Entropy& entropy) {
  GODWIT_TRY(check_sealable(content, own));
  if (recipients.empty() || recipients.size() > limits::kSealedRecipients) {
    return fail(Code::kInvalid, "no recipients, or too many");
  }
  Key message_key;
  entropy.fill(message_key.mutable_view());
  const auto secrets = MessageSecrets::derive(message_key);
  const PublicKey ephemeral{secrets.ephemeral.public_key};

  Bytes out = {kSentServiceIds};
  put_varint(out, recipients.size());
  for (const auto& recipient : recipients) {
    const PublicKey& theirs = recipient.identity_key;
    GODWIT_TRY(put_recipient(out, recipient));
    const auto hiding = hiding_key(secrets.ephemeral.private_key, theirs, ephemeral, theirs);
    if (!hiding) return fail(hiding.error());
    const Key hidden = exclusive_or(message_key.view(), hiding->view());
    append(out, hidden.view());
    const auto proven =
        proof(own.keys.private_key, theirs, ephemeral, hidden.view(), own.public_key(), theirs);
    if (!proven) return fail(proven.error());
    append(out, proven->view());
  }
  append(out, ephemeral.u);
  append(out, crypto::aes_gcm_siv_seal(secrets.cipher.view(), kNoNonce, {}, content.encode()));
  return out;
}

Result<SplitSealed> SplitSealed::parse(ByteView sent) {
  if (sent.empty()) return fail(Code::kCorrupt, "an empty message");
  if (sent[0] != kSentUuids && sent[0] != kSentServiceIds) {
    return fail(Code::kUnsupported, "another version of sealed messages for many");
  }
  Reader reader(sent.subspan(1));
  const auto count = reader.varint();
  if (!count) return fail(count.error());
  if (*count > limits::kSealedRecipients) return fail(Code::kTooLarge, "too many recipients");
  SplitSealed out;
  for (std::uint64_t i = 0; i < *count; ++i) {
    if (sent[0] == kSentServiceIds) {
      const auto kind = reader.bytes(1);
      if (!kind) return fail(kind.error());
      if ((*kind)[0] != kAccount) return fail(Code::kUnsupported, "a recipient that is no user");
    }
    const auto user = reader.bytes(16);
    if (!user) return fail(user.error());
    Recipient recipient{{*to_array<16>(*user)}};
    auto devices = read_devices(reader);
    if (!devices) return fail(devices.error());
    recipient.devices = std::move(*devices);
    if (!recipient.devices.empty()) {
      const auto keys = reader.bytes(kKeys);
      if (!keys) return fail(keys.error());
      recipient.keys = *keys;
    }
    out.recipients.push_back(std::move(recipient));
  }
  out.shared = reader.rest();
  if (out.shared.size() < 32 + crypto::kGcmSivTag) {
    return fail(Code::kCorrupt, "a sealed message cut short");
  }
  return out;
}

Bytes SplitSealed::received_by(const Recipient& recipient) const {
  Bytes out = {kReceived2};
  out.reserve(1 + recipient.keys.size() + shared.size());
  append(out, recipient.keys);
  append(out, shared);
  return out;
}

Result<SealedContent> open_unvouched(ByteView received, const LocalIdentity& own) {
  if (received.empty()) return fail(Code::kCorrupt, "an empty message");
  switch (received[0] >> 4) {
    case kVersion1 >> 4: return open_version1(received.subspan(1), own);
    case kReceived2 >> 4: return open_version2(received.subspan(1), own);
    default: return fail(Code::kUnsupported, "another version of sealed messages");
  }
}

Result<SealedContent> open_sealed(ByteView received, const SealedReceiver& receiver, Instant at) {
  auto content = open_unvouched(received, receiver.own);
  if (!content) return content;
  GODWIT_TRY(content->sender.validate(receiver.trust_root, at));
  if (content->sender.user == receiver.user && content->sender.device == receiver.device) {
    return fail(Code::kDuplicate, "this device's own message came back");
  }
  return content;
}

}  // namespace godwit::e2e
