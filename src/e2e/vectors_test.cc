// Byte-compatibility with libsignal: recorded sessions and official messages.
#include <gtest/gtest.h>

#include "crypto/test_vectors.h"
#include "e2e/record.h"
#include "e2e/session.h"
#include "e2e/test_peer.h"

namespace godwit::e2e {
namespace {

using nlohmann::json;
using vectors::array;
using vectors::hex;
using vectors::text;

class Recorded final : public Entropy {
 public:
  void expect(const json& draws) {
    for (const auto& draw : draws) append(octets_, hex(draw));
  }
  bool empty() const { return used_ == octets_.size(); }
  void fill(MutableByteView out) override {
    ASSERT_LE(used_ + out.size(), octets_.size()) << "drew more than recorded";
    for (std::uint8_t& octet : out) octet = octets_[used_++];
  }

 private:
  Bytes octets_;
  std::size_t used_ = 0;
};

LocalIdentity identity_of(const json& party) {
  LocalIdentity own{crypto::KeyPair::from_private(array<32>(party["identityPrivate"]))};
  own.registration_id = party["registrationId"];
  EXPECT_EQ(own.keys.public_key, array<32>(party["identityPublic"]));
  return own;
}

Prekeys prekeys_of(const json& party) {
  Prekeys prekeys;
  for (const auto& key : party["oneTimePreKeys"]) {
    const OneTimePrekeyId id{key["id"]};
    prekeys.one_time_prekeys[id] = {id, crypto::KeyPair::from_private(array<32>(key["private"]))};
  }
  for (const auto& key : party["signedPreKeys"]) {
    const SignedPrekeyId id{key["id"]};
    prekeys.signed_prekeys[id] = {id, crypto::KeyPair::from_private(array<32>(key["private"]))};
  }
  if (!party.contains("kyberPreKeys")) return prekeys;
  for (const auto& key : party["kyberPreKeys"]) {
    prekeys.kyber_prekeys.insert_or_assign({key["id"].get<std::uint32_t>()},
                                           crypto::Kem1024SecretKey(array<3168>(key["secretKey"])));
  }
  return prekeys;
}

PrekeyBundle bundle_of(const json& from) {
  PrekeyBundle bundle{from["registrationId"],
                      {from["deviceId"].get<std::uint8_t>()},
                      *PublicKey::parse(hex(from["identityKey"])),
                      {from["signedPreKeyId"].get<std::uint32_t>()},
                      *PublicKey::parse(hex(from["signedPreKey"])),
                      array<64>(from["signedPreKeySignature"])};
  if (from.contains("preKeyId")) {
    bundle.one_time_prekey = {{from["preKeyId"].get<std::uint32_t>()},
                              *PublicKey::parse(hex(from["preKey"]))};
  }
  if (from.contains("kyberPreKeyId")) {
    bundle.kyber_prekey = {{from["kyberPreKeyId"].get<std::uint32_t>()},
                           *KemPublicKey::parse(hex(from["kyberPreKey"])),
                           array<64>(from["kyberPreKeySignature"])};
  }
  return bundle;
}

// A device of libsignal's: its name is a UUID.
DeviceAddress address_of(std::string name, int device) {
  std::erase(name, '-');
  return {UserId{*to_array<16>(*from_hex(name))}, DeviceId{static_cast<std::uint8_t>(device)}};
}

// The current state of a session, as its record has it.
SessionState state_of(const Session& session) {
  const auto record = session.serialize();
  return std::move(*SessionState::parse(Reader(record.view()).field()->bytes));
}

// The vector writes version octet 0x33, as libsignal did before 0.24; this code writes 0x34.
void speak_old_octet(Session& session) {
  SessionState state = state_of(session);
  state.version = 0x33;
  Bytes record;
  put_bytes_field(record, 1, state.serialize().view());
  session = std::move(*Session::parse(record));
}

// The same PreKeySignalMessage with its fields in ascending order, as libsignal writes them; the
// vector's author wrote them in another.
Bytes in_order(const Bytes& message) {
  std::map<std::uint32_t, Reader::Field> fields;
  Reader reader(ByteView(message).subspan(1));
  while (!reader.at_end()) {
    const auto field = reader.field();
    fields[field->number] = *field;
  }
  Bytes out = {message[0]};
  for (const auto& [number, field] : fields) {
    if (field.type == WireType::kBytes) put_bytes_field(out, number, field.bytes);
    else put_uint_field(out, number, field.integer);
  }
  return out;
}

// Both sides of a recorded session, every random draw as it was.
void replay(const std::string& path, Protocol protocol, std::size_t steps) {
  const json file = vectors::load(path);
  const LocalIdentity alice = identity_of(file["initial"]["A"]),
                      bob = identity_of(file["initial"]["B"]);
  const Prekeys none, bobs_prekeys = prekeys_of(file["initial"]["B"]);
  Session at_alice, at_bob;
  if (protocol == Protocol::kPqxdhSpqr) {
    const json &a = file["initial"]["A"], &b = file["initial"]["B"];
    const auto alices = address_of(a["name"], a["deviceId"]);
    const auto bobs = address_of(b["name"], b["deviceId"]);
    at_alice = Session(alices, bobs);
    at_bob = Session(bobs, alices);
  }
  Recorded entropy;
  Env env{Instant{0}, entropy};

  const PrekeyBundle bundle = bundle_of(file["bundle"]);
  const std::size_t signature = bundle.one_time_prekey ? 4 : 3;
  entropy.expect(json::array({file["setupRandom"][signature]}));
  EXPECT_EQ(bob.sign(bundle.signed_prekey.wire(), entropy), bundle.signed_prekey_signature);
  ASSERT_EQ(bundle.kyber_prekey.has_value(), protocol != Protocol::kX3dh);
  if (bundle.kyber_prekey) {
    entropy.expect(json::array({file["setupRandom"][signature + 2]}));
    EXPECT_EQ(bob.sign(bundle.kyber_prekey->key.wire(), entropy), bundle.kyber_prekey->signature);
  }

  entropy.expect(file["initiateRandom"]);
  const auto started = start_session(at_alice, alice, bundle, nullptr, env, protocol);
  ASSERT_TRUE(started) << started.error().text;
  EXPECT_TRUE(entropy.empty());
  const json& after = file["afterInitiate"];
  const SessionState state = state_of(at_alice);
  EXPECT_EQ(to_hex(state.ratchet.root.view()), text(after["rootKey"]));
  EXPECT_EQ(to_hex(state.ratchet.sending_chain.view()), text(after["senderChainKey"]));
  EXPECT_EQ(to_hex(state.ratchet.ratchet.private_key.view()), text(after["senderRatchetPrivate"]));
  EXPECT_EQ(to_hex(state.ratchet.receiving[0].key.view()), text(after["receiverChainKey"]));
  if (protocol == Protocol::kX3dh) speak_old_octet(at_alice);

  ASSERT_EQ(file["steps"].size(), steps);
  for (const json& step : file["steps"]) {
    const bool from_alice = text(step["from"]) == "A";
    Session& sender = from_alice ? at_alice : at_bob;
    Session& receiver = from_alice ? at_bob : at_alice;
    entropy.expect(step["encryptRandom"]);
    const auto sent =
        encrypt(sender, from_alice ? alice : bob, view_of(text(step["plaintext"])), env);
    ASSERT_TRUE(sent);
    EXPECT_EQ(static_cast<int>(sent->type), step["type"].get<int>());
    const Bytes wire = hex(step["message"]);
    EXPECT_EQ(to_hex(sent->message),
              to_hex(sent->type == MessageType::kPrekey ? in_order(wire) : wire));

    entropy.expect(step["decryptRandom"]);
    const auto received =
        decrypt(receiver, from_alice ? bob : alice, from_alice ? bobs_prekeys : none, sent->type,
                wire, nullptr, env, protocol);
    ASSERT_TRUE(received) << received.error().text;
    EXPECT_EQ(to_string(received->plaintext), text(step["plaintext"]));
    EXPECT_EQ(received->sender, (from_alice ? alice : bob).public_key());
    EXPECT_TRUE(entropy.empty());
    if (received->new_session && protocol == Protocol::kX3dh) speak_old_octet(at_bob);
  }
  if (protocol == Protocol::kPqxdhSpqr) {
    EXPECT_GE(state_of(at_alice).spqr->epoch(), 2u);
  }
}

TEST(SignalVectors, X3dh) { replay("signal/session-v3-x3dh.json", Protocol::kX3dh, 10); }
TEST(SignalVectors, Pqxdh) { replay("signal/session-v4-pqxdh.json", Protocol::kPqxdh, 10); }
TEST(SignalVectors, PqxdhWithoutOneTimePrekey) {
  replay("signal/session-v4-pqxdh-no-otk.json", Protocol::kPqxdh, 6);
}
TEST(SignalVectors, PqxdhSpqr) { replay("signal/session-v4-spqr.json", Protocol::kPqxdhSpqr, 122); }

// What the official library wrote for us, in the order of the file's hint.
void read_official(const std::string& path, Protocol protocol) {
  SCOPED_TRACE(path);
  const json file = vectors::load(path);
  const LocalIdentity own = identity_of(file["recipient"]);
  Prekeys prekeys = prekeys_of(file["recipient"]);
  EXPECT_TRUE(bundle_of(file["recipientBundle"]).verify());
  Session session(address_of(file["recipient"]["name"], file["recipient"]["deviceId"]),
                  address_of(file["senderName"], file["senderDeviceId"]));
  SeededEntropy entropy(1);
  Env env{Instant{0}, entropy};
  int read = 0;
  for (const json& index : file["outOfOrderHint"]) {
    const json& message = file["messages"][index.get<std::size_t>()];
    const auto type = static_cast<MessageType>(message["type"].get<int>());
    const Bytes wire = hex(message["message"]);
    auto received = decrypt(session, own, prekeys, type, wire, nullptr, env, protocol);
    ASSERT_TRUE(received) << received.error().text;
    EXPECT_EQ(to_string(received->plaintext), text(message["plaintext"]));
    EXPECT_EQ(to_bytes(received->sender.wire()), hex(file["senderIdentityPublic"]));
    EXPECT_EQ(received->consumed_prekey.has_value(), read == 0);
    EXPECT_EQ(received->kyber_use.has_value(), read == 0 && protocol != Protocol::kX3dh);
    prekeys.consume(*received);
    EXPECT_EQ(decrypt(session, own, prekeys, type, wire, nullptr, env, protocol).error().code,
              Code::kDuplicate);
    ++read;
  }
  EXPECT_EQ(read, 5);
}

TEST(SignalVectors, OfficialMessages) {
  read_official("signal/authentic-libsignal-0.22.0-v3.json", Protocol::kX3dh);
  read_official("signal/authentic-libsignal-0.72.1-v4.json", Protocol::kPqxdh);
  // Its post-quantum ratchet is negotiable: it gives no keys before the first answer.
  read_official("signal/authentic-libsignal-0.88.3-v4-spqr-optional.json", Protocol::kPqxdh);
  read_official("signal/authentic-libsignal-0.103.0-v4-spqr-required.json", Protocol::kPqxdhSpqr);
}

// No peer talks us down: not by what it sends, not by what it offers.
TEST(SignalVectors, OlderProtocolsAreRefused) {
  for (const char* path :
       {"signal/authentic-libsignal-0.22.0-v3.json", "signal/authentic-libsignal-0.72.1-v4.json",
        "signal/authentic-libsignal-0.88.3-v4-spqr-optional.json"}) {
    const json file = vectors::load(path);
    const LocalIdentity own = identity_of(file["recipient"]);
    const Prekeys prekeys = prekeys_of(file["recipient"]);
    SeededEntropy entropy(1);
    Env env{Instant{0}, entropy};
    Session session;
    const auto got = decrypt(session, own, prekeys, MessageType::kPrekey,
                             hex(file["messages"][0]["message"]), nullptr, env);
    EXPECT_FALSE(got) << path;
    EXPECT_FALSE(session.has_current());
  }
  const json file = vectors::load("signal/authentic-libsignal-0.72.1-v4.json");
  const LocalIdentity own = identity_of(file["recipient"]);
  PrekeyBundle bundle = bundle_of(file["recipientBundle"]);
  bundle.kyber_prekey.reset();
  SeededEntropy entropy(1);
  Env env{Instant{0}, entropy};
  Session session;
  EXPECT_EQ(start_session(session, own, bundle, nullptr, env).error().code, Code::kUnsupported);
}

}  // namespace
}  // namespace godwit::e2e
