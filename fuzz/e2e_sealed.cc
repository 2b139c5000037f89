// Sealed messages on their way through a hostile server: any content, for one and for many.
//
// Whole ones open to what was sealed; changed ones do not open.
#include "base/check.h"
#include "e2e/sealed_sender.h"
#include "fuzz.h"

using namespace godwit;

namespace {

struct People {
  static constexpr UserId kAlice{{1}}, kBob{{2}};
  static constexpr Instant kExpiry{2000};

  SeededEntropy entropy{1};
  crypto::KeyPair root = crypto::KeyPair::generate(entropy);
  crypto::KeyPair server = crypto::KeyPair::generate(entropy);
  e2e::LocalIdentity alice = e2e::LocalIdentity::generate(entropy);
  e2e::LocalIdentity bob = e2e::LocalIdentity::generate(entropy);
  e2e::SenderCertificate certificate = e2e::SenderCertificate::issue(
      kAlice, {1}, alice.public_key(), kExpiry,
      e2e::ServerCertificate::issue(7, {server.public_key}, root, entropy), server, entropy);
  e2e::SealedReceiver reader{bob, kBob, {1}, {root.public_key}};
};

constexpr e2e::SealedType kTypes[] = {e2e::SealedType::kPrekey, e2e::SealedType::kWhisper,
                                      e2e::SealedType::kSenderKey, e2e::SealedType::kPlaintext};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static People people;
  fuzz::Input input(data, size);
  const std::uint8_t choice = input.octet();
  SeededEntropy entropy(choice);
  e2e::SealedContent content{kTypes[choice >> 1 & 3],
                             people.certificate,
                             to_bytes(input.piece()),
                             static_cast<e2e::ContentHint>(choice >> 3 & 3),
                             {}};
  if (choice & 32) content.group_id = to_bytes(input.piece());

  const auto reparsed = e2e::SealedContent::parse(content.encode());
  CHECK(reparsed && reparsed->message == content.message && reparsed->type == content.type);
  Bytes received;
  if (choice & 1) {
    received = e2e::seal_for_one(content, people.alice, people.bob.public_key(), entropy).value();
  } else {
    const e2e::SealedRecipient recipients[] = {
        {People::kBob, people.bob.public_key(), {{{1}, 1}}},
        {People::kAlice, people.alice.public_key(), {{{1}, 5}, {{2}, 6}}}};
    const Bytes sent = e2e::seal_for_many(content, people.alice, recipients, entropy).value();
    const auto split = e2e::SplitSealed::parse(sent);
    CHECK(split && split->recipients.size() == 2);
    received = split->received_by(split->recipients[0]);
  }
  const auto opened = e2e::open_sealed(received, people.reader, {1000});
  CHECK(opened && opened->message == content.message && opened->type == content.type);
  CHECK(opened->group_id == content.group_id && opened->sender.user == People::kAlice);
  CHECK(!e2e::open_sealed(received, people.reader, {3000}));

  Bytes forged = received;
  while (!input.empty()) {
    const std::size_t high = input.octet(), low = input.octet();
    forged[(high << 8 | low) % forged.size()] ^= input.octet();
  }
  // The low half of the first octet says what its writer knew: it has no meaning yet.
  forged[0] = static_cast<std::uint8_t>((forged[0] & 0xf0) | (received[0] & 0x0f));
  if (forged != received) CHECK(!e2e::open_sealed(forged, people.reader, {1000}));
  return 0;
}
