#include "apps/e2e_peer/request.h"

#include "apps/e2e_peer/peer.h"

namespace godwit::e2e_peer {

void refuse(const Error& error) {
  std::string text(error.text);
  switch (error.code) {
    case Code::kDuplicate: throw Refused{text, "DuplicatedMessage", 1};
    case Code::kForbidden: throw Refused{text, "UntrustedIdentity", 3};
    case Code::kInvalid: throw Refused{text, "Invalid"};
    case Code::kNotFound: throw Refused{text, "NotFound"};
    case Code::kCorrupt: throw Refused{text, "Corrupt"};
    case Code::kExpired: throw Refused{text, "Expired"};
    case Code::kUnsupported: throw Refused{text, "Unsupported"};
    default: throw Refused{text, "Limit"};
  }
}

void Request::refuse(const char* field, const char* why) {
  throw Refused{"\"" + std::string(field) + "\" " + why};
}

bool Request::has(const char* field) const {
  const auto found = fields_.find(field);
  return found != fields_.end() && !found->is_null();
}

const Json& Request::at(const char* field) const {
  if (!has(field)) refuse(field, "is missing");
  return *fields_.find(field);
}

std::string Request::text(const char* field) const {
  constexpr std::size_t kMaxText = 1024;
  const Json& value = at(field);
  if (!value.is_string()) refuse(field, "is not a text");
  const auto& text = value.get_ref<const std::string&>();
  if (text.size() > kMaxText) refuse(field, "is too long");
  return text;
}

Bytes Request::bytes(const char* field) const {
  const Json& value = at(field);
  if (!value.is_string()) refuse(field, "is not hexadecimal text");
  const auto octets = from_hex(value.get_ref<const std::string&>());
  if (!octets) refuse(field, "is not hexadecimal text");
  return *octets;
}

bool Request::flag(const char* field, bool otherwise) const {
  if (!has(field)) return otherwise;
  if (!at(field).is_boolean()) refuse(field, "is neither true nor false");
  return at(field).get<bool>();
}

std::uint64_t Request::number(const char* field, std::uint64_t max) const {
  const Json& value = at(field);
  if (!value.is_number_unsigned()) refuse(field, "is not a natural number");
  const auto number = value.get<std::uint64_t>();
  if (number > max) refuse(field, "is too large");
  return number;
}

ByteArray<16> Request::uuid(const char* field) const {
  const auto octets = parse_uuid(text(field));
  if (!octets) refuse(field, "is not a UUID");
  return *octets;
}

e2e::PublicKey Request::public_key(const char* field) const {
  const auto key = e2e::PublicKey::parse(bytes(field));
  if (!key) refuse(field, "is not a public key of 33 octets");
  return *key;
}

crypto::KeyPair Request::key_pair(const char* field) const {
  const auto key = to_array<32>(bytes(field));
  if (!key) refuse(field, "is not a private key of 32 octets");
  return crypto::KeyPair::from_private(*key);
}

Request Request::object(const char* field) const {
  if (!at(field).is_object()) refuse(field, "is not an object");
  return Request(at(field));
}

std::vector<Request> Request::list(const char* field) const {
  if (!at(field).is_array()) refuse(field, "is not a list");
  std::vector<Request> out;
  for (const Json& item : at(field)) {
    if (!item.is_object()) refuse(field, "holds something else than objects");
    out.emplace_back(item);
  }
  return out;
}

namespace {

crypto::Signature signature_of(const Request& fields, const char* field) {
  const auto signature = to_array<64>(fields.bytes(field));
  if (!signature) throw Refused{"\"" + std::string(field) + "\" is not a signature of 64 octets"};
  return *signature;
}

}  // namespace

e2e::PrekeyBundle bundle_of(const Request& fields) {
  const auto id = [&](const char* field) {
    return static_cast<std::uint32_t>(fields.number(field, UINT32_MAX));
  };
  e2e::PrekeyBundle bundle;
  bundle.registration_id = static_cast<std::uint16_t>(fields.number("registrationId", 0x3fff));
  bundle.device_id = {static_cast<std::uint8_t>(fields.number_or("deviceId", 1, 127))};
  bundle.identity_key = fields.public_key("identityKey");
  bundle.signed_prekey_id = {id("signedPreKeyId")};
  bundle.signed_prekey = fields.public_key("signedPreKey");
  bundle.signed_prekey_signature = signature_of(fields, "signedPreKeySignature");
  if (fields.has("preKey"))
    bundle.one_time_prekey = {{id("preKeyId")}, fields.public_key("preKey")};
  if (fields.has("kyberPreKey")) {
    bundle.kyber_prekey = {{id("kyberPreKeyId")},
                           value(e2e::KemPublicKey::parse(fields.bytes("kyberPreKey"))),
                           signature_of(fields, "kyberPreKeySignature")};
  }
  return bundle;
}

Json json_of(const e2e::PrekeyBundle& bundle) {
  Json out = {{"registrationId", bundle.registration_id},
              {"deviceId", bundle.device_id.value},
              {"identityKey", to_hex(bundle.identity_key.wire())},
              {"signedPreKeyId", bundle.signed_prekey_id.value},
              {"signedPreKey", to_hex(bundle.signed_prekey.wire())},
              {"signedPreKeySignature", to_hex(bundle.signed_prekey_signature)}};
  if (const auto& prekey = bundle.one_time_prekey) {
    out["preKeyId"] = prekey->id.value;
    out["preKey"] = to_hex(prekey->key.wire());
  }
  if (const auto& prekey = bundle.kyber_prekey) {
    out["kyberPreKeyId"] = prekey->id.value;
    out["kyberPreKey"] = to_hex(prekey->key.wire());
    out["kyberPreKeySignature"] = to_hex(prekey->signature);
  }
  return out;
}

}  // namespace godwit::e2e_peer
