#include "e2e/message.h"

#include "base/limits.h"
#include "crypto/hash.h"
#include "e2e/record.h"

namespace godwit::e2e {
namespace {

crypto::Key mac_of(const crypto::Key& key, const PublicKey& sender, const PublicKey& receiver,
                   ByteView authenticated) {
  return crypto::hmac_sha256(key.view(), {sender.wire(), receiver.wire(), authenticated});
}

// The version octet in front of every message; the rest is the protobuf.
Result<std::uint8_t> read_version(ByteView wire) {
  if (wire.empty()) return fail(Code::kCorrupt, "an empty message");
  if (wire.size() > limits::kMaxFrame)
    return fail(Code::kTooLarge, "the message is over its limit");
  if (session_version(wire[0]) != session_version(kVersion3) &&
      session_version(wire[0]) != session_version(kVersion4)) {
    return fail(Code::kUnsupported, "the message has another protocol version");
  }
  return wire[0];
}

}  // namespace

AddressPair address_pair(const DeviceAddress& sender, const DeviceAddress& receiver) {
  AddressPair out{};
  auto at = out.begin();
  for (const DeviceAddress* address : {&sender, &receiver}) {
    *at++ = 0;  // an account
    at = std::ranges::copy(address->user.octets, at).out;
    *at++ = address->device.value;
  }
  return out;
}

bool parse_address_pair(ByteView pair, DeviceAddress& sender, DeviceAddress& receiver) {
  if (pair.size() != sizeof(AddressPair)) return false;
  for (DeviceAddress* address : {&sender, &receiver}) {
    *address = {UserId{*to_array<16>(pair.subspan(1, 16))}, DeviceId{pair[17]}};
    pair = pair.subspan(18);
  }
  return true;
}

Result<WhisperMessage> WhisperMessage::parse(ByteView wire) {
  const auto version = read_version(wire);
  if (!version) return fail(version.error());
  if (wire.size() < 1 + kMac) return fail(Code::kCorrupt, "the message is shorter than its MAC");
  WhisperMessage message{*version};
  message.authenticated = wire.first(wire.size() - kMac);
  message.mac = wire.last(kMac);
  GODWIT_TRY(read_record(message.authenticated.subspan(1), require(1, 2, 4),
                         [&](const Reader::Field& field) {
                           switch (field.number) {
                             case 1: return read_public_key(field, message.ratchet);
                             case 2: return read_uint(field, message.counter);
                             case 3: return read_uint(field, message.previous_counter);
                             case 4: return read_bytes(field, message.ciphertext);
                             case 5: return read_bytes(field, message.pq_ratchet);
                             case 6: return read_bytes(field, message.addresses);
                             default: return true;
                           }
                         }));
  return message;
}

bool WhisperMessage::verifies(const crypto::Key& mac_key, const PublicKey& sender,
                              const PublicKey& receiver) const {
  const auto expected = mac_of(mac_key, sender, receiver, authenticated);
  return crypto::equal(expected.view().first(kMac), mac);
}

Bytes encode_whisper(const WhisperMessage& message, const crypto::Key& mac_key,
                     const PublicKey& sender, const PublicKey& receiver) {
  Bytes out;
  out.reserve(1 + 35 + 12 + 6 + message.ciphertext.size() + 6 + message.pq_ratchet.size() + 2 +
              message.addresses.size() + WhisperMessage::kMac);
  out.push_back(message.version);
  put_bytes_field(out, 1, message.ratchet.wire());
  put_uint_field(out, 2, message.counter);
  put_uint_field(out, 3, message.previous_counter);
  put_bytes_field(out, 4, message.ciphertext);
  if (!message.pq_ratchet.empty()) put_bytes_field(out, 5, message.pq_ratchet);
  if (!message.addresses.empty()) put_bytes_field(out, 6, message.addresses);
  const auto mac = mac_of(mac_key, sender, receiver, out);
  append(out, mac.view().first(WhisperMessage::kMac));
  return out;
}

Result<PrekeyMessage> PrekeyMessage::parse(ByteView wire) {
  const auto version = read_version(wire);
  if (!version) return fail(version.error());
  PrekeyMessage message{*version};
  GODWIT_TRY(read_record(wire.subspan(1), require(2, 3, 4, 6), [&](const Reader::Field& field) {
    switch (field.number) {
      case 1: return read_uint(field, message.one_time_prekey_id.emplace().value);
      case 2: return read_public_key(field, message.base_key);
      case 3: return read_public_key(field, message.identity_key);
      case 4: return read_bytes(field, message.whisper);
      case 5: return read_uint(field, message.registration_id);
      case 6: return read_uint(field, message.signed_prekey_id.value);
      case 7: return read_uint(field, message.kyber_prekey_id.emplace().value);
      case 8: return read_bytes(field, message.kyber_ciphertext);
      default: return true;
    }
  }));
  const bool has_kyber = message.kyber_prekey_id && !message.kyber_ciphertext.empty();
  if (session_version(*version) == session_version(kVersion4) && !has_kyber) {
    return fail(Code::kCorrupt, "a required field is missing");
  }
  return message;
}

Bytes PrekeyMessage::encode() const {
  Bytes out;
  out.reserve(1 + 6 + 35 + 35 + 6 + whisper.size() + 4 + 6 + 6 + 4 + kyber_ciphertext.size());
  out.push_back(version);
  if (one_time_prekey_id) put_uint_field(out, 1, one_time_prekey_id->value);
  put_bytes_field(out, 2, base_key.wire());
  put_bytes_field(out, 3, identity_key.wire());
  put_bytes_field(out, 4, whisper);
  put_uint_field(out, 5, registration_id);
  put_uint_field(out, 6, signed_prekey_id.value);
  if (kyber_prekey_id) {
    put_uint_field(out, 7, kyber_prekey_id->value);
    put_bytes_field(out, 8, kyber_ciphertext);
  }
  return out;
}

}  // namespace godwit::e2e
