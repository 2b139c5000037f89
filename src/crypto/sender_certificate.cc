#include "crypto/sender_certificate.h"

#include "crypto/record.h"

namespace godwit::crypto {
namespace {

// Both certificates are { 1 the signed part, 2 its signature }.
struct Signed {
  ByteView part;
  ByteView signature;

  static Result<Signed> parse(ByteView wire) {
    Signed out;
    GODWIT_TRY(read_record(wire, require(1, 2), [&](const Reader::Field& field) {
      switch (field.number) {
        case 1: return read_bytes(field, out.part);
        case 2: return read_bytes(field, out.signature);
        default: return true;
      }
    }));
    return out;
  }
  static Bytes make(ByteView part, const KeyPair& by, Entropy& entropy) {
    Bytes out;
    put_bytes_field(out, 1, part);
    put_bytes_field(out, 2, xeddsa_sign(by.private_key, part, entropy.draw<64>()));
    return out;
  }
};

// True when `wire` is signed by `key`.
bool is_signed_by(const PublicKey& key, ByteView wire) {
  const auto parsed = Signed::parse(wire);
  return parsed && verify(key, parsed->part, parsed->signature);
}

// 8-4-4-4-12 hexadecimal digits.
std::string uuid_text(const UserId& user) {
  std::string text = to_hex(user.octets);
  for (const std::size_t at : {8u, 13u, 18u, 23u}) text.insert(at, 1, '-');
  return text;
}

bool read_uuid(const Reader::Field& field, UserId& user) {
  if (field.type != WireType::kBytes || field.bytes.size() != 36) return false;
  std::string text = to_string(field.bytes);
  for (const std::size_t at : {23u, 18u, 13u, 8u}) {
    if (text[at] != '-') return false;
    text.erase(at, 1);
  }
  const auto octets = from_hex(text);
  return octets && read_octets({.type = WireType::kBytes, .bytes = *octets}, user.octets);
}

void put_fixed64_field(Bytes& out, std::uint32_t number, std::uint64_t value) {
  put_varint(out, number << 3 | static_cast<std::uint32_t>(WireType::kFixed64));
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<std::uint8_t>(value >> 8 * i));
}

bool read_time(const Reader::Field& field, Instant& value) {
  value.ms = static_cast<std::int64_t>(field.integer);
  return field.type == WireType::kFixed64 && value.ms >= 0;
}

}  // namespace

ServerCertificate ServerCertificate::issue(std::uint32_t id, const PublicKey& key,
                                           const KeyPair& trust_root, Entropy& entropy) {
  Bytes part;
  put_uint_field(part, 1, id);
  put_bytes_field(part, 2, key.wire());
  return {id, key, Signed::make(part, trust_root, entropy)};
}

Result<ServerCertificate> ServerCertificate::parse(ByteView wire) {
  const auto outer = Signed::parse(wire);
  if (!outer) return fail(outer.error());
  ServerCertificate out;
  GODWIT_TRY(read_record(outer->part, require(1, 2), [&](const Reader::Field& field) {
    switch (field.number) {
      case 1: return read_uint(field, out.id);
      case 2: return read_public_key(field, out.key);
      default: return true;
    }
  }));
  out.wire = to_bytes(wire);
  return out;
}

SenderCertificate SenderCertificate::issue(UserId user, DeviceId device,
                                           const PublicKey& identity_key, Instant expires,
                                           const ServerCertificate& server,
                                           const KeyPair& server_keys, Entropy& entropy) {
  Bytes part;
  put_uint_field(part, 2, device.value);
  put_fixed64_field(part, 3, static_cast<std::uint64_t>(expires.ms));
  put_bytes_field(part, 4, identity_key.wire());
  put_bytes_field(part, 5, server.wire);
  put_bytes_field(part, 6, view_of(uuid_text(user)));
  return {user, device, identity_key, expires, server, Signed::make(part, server_keys, entropy)};
}

Result<SenderCertificate> SenderCertificate::parse(ByteView wire) {
  const auto outer = Signed::parse(wire);
  if (!outer) return fail(outer.error());
  SenderCertificate out;
  ByteView server;
  bool has_user = false;
  GODWIT_TRY(read_record(outer->part, require(2, 3, 4), [&](const Reader::Field& field) {
    switch (field.number) {
      case 2: return read_uint(field, out.device.value);
      case 3: return read_time(field, out.expires);
      case 4: return read_public_key(field, out.identity_key);
      case 5: return read_bytes(field, server);
      case 6: return has_user = read_uuid(field, out.user);
      case 7: return has_user = read_octets(field, out.user.octets);
      default: return true;
    }
  }));
  if (!has_user) return fail(Code::kCorrupt, "the sender certificate names no user");
  if (server.empty()) {
    return fail(Code::kUnsupported, "the sender certificate encloses no server certificate");
  }
  auto parsed = ServerCertificate::parse(server);
  if (!parsed) return fail(parsed.error());
  out.server = std::move(*parsed);
  out.wire = to_bytes(wire);
  return out;
}

Result<void> SenderCertificate::validate(const PublicKey& trust_root, Instant at) const {
  if (!is_signed_by(trust_root, server.wire) || !is_signed_by(server.key, wire)) {
    return fail(Code::kForbidden, "the sender's certificate is not the service's");
  }
  if (at > expires) return fail(Code::kExpired, "the sender's certificate has expired");
  return {};
}

}  // namespace godwit::crypto
