#include "apps/e2e_peer/session_host.h"

#include "crypto/system_entropy.h"
#include "e2e/fingerprint.h"

namespace godwit::e2e_peer {
namespace {

constexpr std::size_t kMaxPeers = 10000;

Address address_of(const Request& request) {
  const auto device = request.number_or("deviceId", 1, 127);
  if (device == 0) throw Refused{"\"deviceId\" is 1 to 127"};
  return {request.text("name"), {static_cast<std::uint8_t>(device)}};
}

// Discarded if malformed. What is nested deeper than any request is dropped, for the library
// copies and writes by recursion.
Json parse_line(std::string_view line) {
  constexpr int kMaxDepth = 8;
  const auto keep = [](int depth, Json::parse_event_t, Json&) { return depth <= kMaxDepth; };
  return Json::parse(line, keep, false);
}

Json message_json(const Bytes& message) { return {{"message", to_hex(message)}}; }

e2e::Protocol protocol_of(const Request& request) {
  if (!request.has("protocol")) {
    return request.flag("pqRatchet", true) ? e2e::Protocol::kPqxdhSpqrLater : e2e::Protocol::kPqxdh;
  }
  const Json& protocol = request.json()["protocol"];
  if (protocol == "4-spqr") return e2e::Protocol::kPqxdhSpqrLater;
  if (protocol == "product") return e2e::Protocol::kPqxdhSpqr;
  if (protocol == 3 || protocol == "3") return e2e::Protocol::kX3dh;
  if (protocol == 4 || protocol == "4") return e2e::Protocol::kPqxdh;
  throw Refused{"\"protocol\" is 3, 4, \"4-spqr\" or \"product\""};
}

e2e::SealedContent sealed_content(const Request& request) {
  e2e::SealedContent content;
  content.sender = value(e2e::SenderCertificate::parse(request.bytes("certificate")));
  content.hint = static_cast<e2e::ContentHint>(request.number_or("contentHint", 0, 2));
  content.group_id = request.bytes_or_none("groupId");
  return content;
}

// A certificate that is not good is no matter of identities.
template <typename T>
T sealed_value(Result<T> result) {
  if (!result && result.error().code == Code::kForbidden) {
    throw Refused{std::string(result.error().text), "Forbidden"};
  }
  return value(std::move(result));
}

}  // namespace

SessionHost::SessionHost()
    : operations_{{"new", &SessionHost::make},
                  {"export", &SessionHost::export_state},
                  {"import", &SessionHost::import_state},
                  {"bundle", &SessionHost::bundle},
                  {"process", &SessionHost::process},
                  {"encrypt", &SessionHost::encrypt},
                  {"decrypt", &SessionHost::decrypt},
                  {"skdm", &SessionHost::skdm},
                  {"processSkdm", &SessionHost::process_skdm},
                  {"groupEncrypt", &SessionHost::group_encrypt},
                  {"groupDecrypt", &SessionHost::group_decrypt},
                  {"serverCertificate", &SessionHost::server_certificate},
                  {"senderCertificate", &SessionHost::sender_certificate},
                  {"sealedEncrypt", &SessionHost::sealed_encrypt},
                  {"sealedSplit", &SessionHost::sealed_split},
                  {"sealedDecrypt", &SessionHost::sealed_decrypt},
                  {"version", &SessionHost::version},
                  {"fingerprint", &SessionHost::fingerprint},
                  {"keyPair", &SessionHost::key_pair},
                  {"sign", &SessionHost::sign},
                  {"verify", &SessionHost::verify},
                  {"quit", &SessionHost::quit}} {}

std::string SessionHost::answer(std::string_view line, Instant now) {
  const Json request = parse_line(line);
  Json out = Json::object();
  if (request.is_object() && request.contains("id")) out["id"] = request["id"];
  try {
    if (!request.is_object()) throw Refused{"the line is not a JSON object"};
    const std::string name = Request(request).text("op");
    const auto found = operations_.find(name);
    if (found == operations_.end()) throw Refused{"no operation \"" + name + "\""};
    crypto::SystemEntropy entropy;
    Env env{now, entropy};
    const Json result = (this->*found->second)(Request(request), env);
    out["ok"] = true;
    out.update(result);
  } catch (const Refused& refused) {
    out["ok"] = false;
    out["error"] = refused.error;
    out["name"] = refused.name;
    out["code"] = refused.code;
  }
  return out.dump();
}

Peer& SessionHost::peer(const Request& request) {
  const auto found = peers_.find(request.text("peer"));
  if (found == peers_.end()) throw Refused{"no such peer: call new first", "NotFound"};
  return found->second;
}

Json SessionHost::add(std::string handle, Peer peer) {
  if (peers_.size() == kMaxPeers && !peers_.contains(handle)) throw Refused{"too many peers"};
  const Json out = {{"identityPublic", to_hex(peer.own().public_key().wire())},
                    {"registrationId", peer.own().registration_id},
                    {"name", peer.self().name},
                    {"deviceId", peer.self().device.value}};
  peers_.insert_or_assign(std::move(handle), std::move(peer));
  return out;
}

Json SessionHost::make(const Request& request, Env& env) {
  auto own = e2e::LocalIdentity::generate(env.entropy);
  if (request.has("identityPrivate")) own.keys = request.key_pair("identityPrivate");
  const auto id = request.number_or("registrationId", own.registration_id, 0x3fff);
  if (id == 0) throw Refused{"\"registrationId\" is 1 to 16383"};
  own.registration_id = static_cast<std::uint16_t>(id);
  const Peer::Options options{protocol_of(request), request.flag("trustAll", false)};
  return add(request.text("peer"), Peer(address_of(request), std::move(own), options));
}

Json SessionHost::export_state(const Request& request, Env&) {
  return {{"state", to_hex(peer(request).serialize().view())}};
}

Json SessionHost::import_state(const Request& request, Env&) {
  return add(request.text("peer"), value(Peer::parse(request.bytes("state"))));
}

Json SessionHost::bundle(const Request& request, Env& env) {
  const auto bundle = value(peer(request).make_bundle(request.flag("oneTime", true),
                                                      request.flag("kyber", true), env.entropy));
  return {{"bundle", json_of(bundle)}};
}

Json SessionHost::process(const Request& request, Env& env) {
  value(peer(request).process(address_of(request), bundle_of(request.object("bundle")), env));
  return Json::object();
}

Json SessionHost::encrypt(const Request& request, Env& env) {
  const auto sent =
      value(peer(request).encrypt(address_of(request), request.bytes("plaintext"), env));
  return {{"type", static_cast<int>(sent.type)}, {"message", to_hex(sent.message)}};
}

Json SessionHost::decrypt(const Request& request, Env& env) {
  const auto type = static_cast<e2e::MessageType>(request.number("type", 255));
  const auto read =
      value(peer(request).decrypt(address_of(request), type, request.bytes("message"), env));
  return {{"plaintext", to_hex(read.plaintext)}, {"events", read.events}};
}

Json SessionHost::skdm(const Request& request, Env& env) {
  return message_json(
      value(peer(request).distribution_message(request.uuid("distributionId"), env.entropy)));
}

Json SessionHost::process_skdm(const Request& request, Env&) {
  value(peer(request).learn(address_of(request), request.bytes("message")));
  return Json::object();
}

Json SessionHost::group_encrypt(const Request& request, Env& env) {
  return message_json(value(peer(request).group_encrypt(request.uuid("distributionId"),
                                                        request.bytes("plaintext"), env.entropy)));
}

Json SessionHost::group_decrypt(const Request& request, Env&) {
  return {{"plaintext", to_hex(value(peer(request).group_decrypt(address_of(request),
                                                                 request.bytes("message"))))}};
}

Json SessionHost::server_certificate(const Request& request, Env& env) {
  const auto id = static_cast<std::uint32_t>(request.number("serverId", UINT32_MAX));
  return {{"certificate",
           to_hex(e2e::ServerCertificate::issue(id, request.public_key("publicKey"),
                                                request.key_pair("trustRootPrivate"), env.entropy)
                      .wire)}};
}

Json SessionHost::sender_certificate(const Request& request, Env& env) {
  const Instant expires{static_cast<std::int64_t>(request.number("expires", INT64_MAX))};
  const auto server = value(e2e::ServerCertificate::parse(request.bytes("serverCertificate")));
  const auto certificate = e2e::SenderCertificate::issue(
      {request.uuid("name")}, address_of(request).device, request.public_key("identityKey"),
      expires, server, request.key_pair("serverPrivate"), env.entropy);
  return {{"certificate", to_hex(certificate.wire)}};
}

Json SessionHost::sealed_encrypt(const Request& request, Env& env) {
  auto content = sealed_content(request);
  const Bytes plaintext = request.bytes("plaintext");
  if (request.number_or("version", 1, 2) < 2) {
    return message_json(sealed_value(
        peer(request).seal_for_one(address_of(request), std::move(content), plaintext, env)));
  }
  std::vector<Address> recipients;
  for (const Request& recipient : request.list("recipients")) {
    recipients.push_back(address_of(recipient));
  }
  return {{"sent", to_hex(sealed_value(
                       peer(request).seal_for_many(recipients, request.uuid("distributionId"),
                                                   std::move(content), plaintext, env.entropy)))}};
}

Json SessionHost::sealed_split(const Request& request, Env&) {
  const Bytes sent = request.bytes("sent");
  const auto split = value(e2e::SplitSealed::parse(sent));
  Json recipients = Json::array();
  for (const auto& recipient : split.recipients) {
    Json devices = Json::array();
    for (const auto& device : recipient.devices) {
      devices.push_back(
          {{"deviceId", device.id.value}, {"registrationId", device.registration_id}});
    }
    recipients.push_back({{"name", uuid_text(recipient.user.octets)},
                          {"devices", devices},
                          {"message", to_hex(split.received_by(recipient))}});
  }
  return {{"recipients", recipients}};
}

Json SessionHost::sealed_decrypt(const Request& request, Env& env) {
  const Instant at{static_cast<std::int64_t>(request.number("timestamp", INT64_MAX))};
  const auto opened =
      peer(request).unseal(request.bytes("message"), request.public_key("trustRoot"), at);
  if (!opened && opened.error().code == Code::kDuplicate) {
    throw Refused{std::string(opened.error().text), "SealedSenderSelfSend", 2};
  }
  const auto content = sealed_value(opened);
  const auto read = value(peer(request).read(content, env));
  return {{"plaintext", to_hex(read.plaintext)},
          {"events", read.events},
          {"senderName", uuid_text(content.sender.user.octets)},
          {"senderDeviceId", content.sender.device.value},
          {"type", static_cast<int>(content.type)},
          {"contentHint", static_cast<int>(content.hint)},
          {"groupId", to_hex(content.group_id)}};
}

Json SessionHost::version(const Request&, Env&) {
  return {{"version", GODWIT_VERSION}, {"protocol", "4-spqr"}};
}

Json SessionHost::fingerprint(const Request& request, Env&) {
  if (request.number_or("iterations", 5200, UINT32_MAX) != 5200) {
    throw Refused{"\"iterations\" is 5200: both sides have to use the same", "Unsupported"};
  }
  const auto version = request.number("version", 255);
  if (version != 1 && version != 2) throw Refused{"\"version\" is 1 or 2", "Unsupported"};
  const Bytes local_id = request.bytes("localId"), remote_id = request.bytes("remoteId");
  const e2e::FingerprintParty own{local_id, request.public_key("localKey")};
  const e2e::FingerprintParty theirs{remote_id, request.public_key("remoteKey")};
  return {{"displayable", e2e::safety_number(own, theirs)},
          {"scannable", to_hex(e2e::scannable_fingerprint(
                            static_cast<e2e::FingerprintVersion>(version), own, theirs))}};
}

Json SessionHost::key_pair(const Request& request, Env& env) {
  const auto keys = request.has("privateKey") ? request.key_pair("privateKey")
                                              : crypto::KeyPair::generate(env.entropy);
  return {{"privateKey", to_hex(keys.private_key.view())},
          {"publicKey", to_hex(e2e::PublicKey{keys.public_key}.wire())}};
}

Json SessionHost::sign(const Request& request, Env& env) {
  return {
      {"signature", to_hex(crypto::xeddsa_sign(request.key_pair("privateKey").private_key,
                                               request.bytes("message"), env.entropy.draw<64>()))}};
}

Json SessionHost::verify(const Request& request, Env&) {
  return {{"valid", e2e::verify(request.public_key("publicKey"), request.bytes("message"),
                                request.bytes("signature"))}};
}

Json SessionHost::quit(const Request&, Env&) {
  has_quit_ = true;
  return Json::object();
}

}  // namespace godwit::e2e_peer
