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
  return prekeys;
}

PrekeyBundle bundle_of(const json& from) {
  PrekeyBundle bundle{from["registrationId"],
                      {from["deviceId"].get<std::uint8_t>()},
                      *PublicKey::parse(hex(from["identityKey"])),
                      {from["signedPreKeyId"].get<std::uint32_t>()},
                      *PublicKey::parse(hex(from["signedPreKey"])),
                      array<64>(from["signedPreKeySignature"])};
  bundle.one_time_prekey = {{from["preKeyId"].get<std::uint32_t>()},
                            *PublicKey::parse(hex(from["preKey"]))};
  return bundle;
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

TEST(SignalVectors, RecordedSessionByteForByte) {
  const json file = vectors::load("signal/session-v3-x3dh.json");
  const LocalIdentity alice = identity_of(file["initial"]["A"]),
                      bob = identity_of(file["initial"]["B"]);
  const Prekeys none, bobs_prekeys = prekeys_of(file["initial"]["B"]);
  Session at_alice, at_bob;
  Recorded entropy;
  Env env{Instant{0}, entropy};

  entropy.expect(json::array({file["setupRandom"][4]}));
  const PrekeyBundle bundle = bundle_of(file["bundle"]);
  EXPECT_EQ(bob.sign(bundle.signed_prekey.wire(), entropy), bundle.signed_prekey_signature);

  entropy.expect(file["initiateRandom"]);
  const auto started = start_session(at_alice, alice, bundle, nullptr, env);
  ASSERT_TRUE(started) << started.error().text;
  EXPECT_TRUE(entropy.empty());
  const json& after = file["afterInitiate"];
  const SessionState state = state_of(at_alice);
  EXPECT_EQ(to_hex(state.ratchet.root.view()), text(after["rootKey"]));
  EXPECT_EQ(to_hex(state.ratchet.sending_chain.view()), text(after["senderChainKey"]));
  EXPECT_EQ(to_hex(state.ratchet.ratchet.private_key.view()), text(after["senderRatchetPrivate"]));
  EXPECT_EQ(to_hex(state.ratchet.receiving[0].key.view()), text(after["receiverChainKey"]));
  speak_old_octet(at_alice);

  ASSERT_EQ(file["steps"].size(), 10u);
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
    const auto received = decrypt(receiver, from_alice ? bob : alice,
                                  from_alice ? bobs_prekeys : none, sent->type, wire, nullptr, env);
    ASSERT_TRUE(received) << received.error().text;
    EXPECT_EQ(to_string(received->plaintext), text(step["plaintext"]));
    EXPECT_EQ(received->sender, (from_alice ? alice : bob).public_key());
    EXPECT_TRUE(entropy.empty());
    if (received->new_session) speak_old_octet(at_bob);
  }
}

TEST(SignalVectors, OfficialMessages) {
  const json file = vectors::load("signal/authentic-libsignal-0.22.0-v3.json");
  const LocalIdentity own = identity_of(file["recipient"]);
  Prekeys prekeys = prekeys_of(file["recipient"]);
  EXPECT_TRUE(bundle_of(file["recipientBundle"]).verify());
  Session session;
  SeededEntropy entropy(1);
  Env env{Instant{0}, entropy};
  int read = 0;
  for (const json& index : file["outOfOrderHint"]) {
    const json& message = file["messages"][index.get<std::size_t>()];
    const auto type = static_cast<MessageType>(message["type"].get<int>());
    const Bytes wire = hex(message["message"]);
    auto received = decrypt(session, own, prekeys, type, wire, nullptr, env);
    ASSERT_TRUE(received) << received.error().text;
    EXPECT_EQ(to_string(received->plaintext), text(message["plaintext"]));
    EXPECT_EQ(to_bytes(received->sender.wire()), hex(file["senderIdentityPublic"]));
    EXPECT_EQ(received->consumed_prekey.has_value(), read == 0);
    if (received->consumed_prekey) prekeys.one_time_prekeys.erase(*received->consumed_prekey);
    EXPECT_EQ(decrypt(session, own, prekeys, type, wire, nullptr, env).error().code,
              Code::kDuplicate);
    ++read;
  }
  EXPECT_EQ(read, 5);
}

}  // namespace
}  // namespace godwit::e2e
