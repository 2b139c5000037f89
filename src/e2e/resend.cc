#include "e2e/resend.h"

#include "e2e/message.h"
#include "e2e/record.h"

namespace godwit::e2e {
namespace {
constexpr std::uint8_t kPlaintextMark = 0xc0;  // no session version begins so
constexpr std::uint8_t kPaddingMark = 0x80;    // ends the content, which is not padded further
constexpr std::uint32_t kErrorField = 8;
// Far from what libsignal may come to use.
constexpr std::uint32_t kEnvelopeField = 100;
constexpr std::uint32_t kReusedField = 101;
}  // namespace

DecryptionError DecryptionError::about_whisper(ByteView message, Instant timestamp,
                                               DeviceId device) {
  DecryptionError out{{}, timestamp, device, {}};
  if (const auto parsed = WhisperMessage::parse(message)) out.ratchet_key = parsed->ratchet;
  return out;
}

DecryptionError DecryptionError::about_prekey(ByteView message, Instant timestamp,
                                              DeviceId device) {
  const auto parsed = PrekeyMessage::parse(message);
  return about_whisper(parsed ? parsed->whisper : ByteView{}, timestamp, device);
}

Bytes DecryptionError::encode() const {
  Bytes out;
  if (ratchet_key) put_bytes_field(out, 1, ratchet_key->wire());
  put_uint_field(out, 2, static_cast<std::uint64_t>(timestamp.ms));
  put_uint_field(out, 3, device.value);
  if (envelope) put_bytes_field(out, kEnvelopeField, envelope->view());
  if (reused) put_uint_field(out, kReusedField, 1);
  return out;
}

Result<DecryptionError> DecryptionError::parse(ByteView wire) {
  DecryptionError out;
  std::uint64_t timestamp = 0;
  GODWIT_TRY(read_record(wire, require(2), [&](const Reader::Field& field) {
    switch (field.number) {
      case 1: return read_public_key(field, out.ratchet_key.emplace());
      case 2: return read_uint(field, timestamp) && timestamp <= INT64_MAX;
      case 3: return read_uint(field, out.device.value);
      case kReusedField: return read_uint(field, out.reused);
      case kEnvelopeField: return read_octets(field, out.envelope.emplace().octets);
      default: return true;
    }
  }));
  out.timestamp = {static_cast<std::int64_t>(timestamp)};
  return out;
}

Bytes encode_plaintext(const DecryptionError& error) {
  Bytes out = {kPlaintextMark};
  put_bytes_field(out, kErrorField, error.encode());
  out.push_back(kPaddingMark);
  return out;
}

Result<DecryptionError> parse_plaintext(ByteView wire) {
  if (wire.size() < 2 || wire.front() != kPlaintextMark || wire.back() != kPaddingMark) {
    return fail(Code::kCorrupt, "malformed plaintext content");
  }
  ByteView error;
  bool only = true;
  GODWIT_TRY(read_record(wire.subspan(1, wire.size() - 2), 0, [&](const Reader::Field& field) {
    only &= field.number == kErrorField;
    return field.number != kErrorField || read_bytes(field, error);
  }));
  if (!only || error.empty()) {
    return fail(Code::kUnsupported, "content that may only come encrypted");
  }
  return DecryptionError::parse(error);
}

}  // namespace godwit::e2e
