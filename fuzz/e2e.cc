// What e2e/ reads: messages of the wire, and its own records. The first octet says which.
#include "base/check.h"
#include "e2e/resend.h"
#include "e2e/sealed_sender.h"
#include "e2e/sender_key.h"
#include "e2e/session.h"
#include "e2e/spqr.h"
#include "fuzz.h"

using namespace godwit;

namespace {

template <typename Message>
void wire(ByteView octets) {
  (void)Message::parse(octets);
}

void prekey_message(ByteView octets) {
  const auto message = e2e::PrekeyMessage::parse(octets);
  if (!message) return;
  const Bytes once = message->encode();
  const auto again = e2e::PrekeyMessage::parse(once);
  CHECK(again && again->encode() == once);
}

// A record that parses and was written is stable from then on.
template <typename Record>
void record(ByteView octets) {
  const auto parsed = Record::parse(octets);
  if (!parsed) return;
  const auto once = parsed->serialize();
  const auto again = Record::parse(once.view());
  CHECK(!again || same(again->serialize().view(), once.view()));
}

// No octets make somebody without a session read something: they would have to guess a key.
void decrypt(ByteView octets) {
  SeededEntropy entropy(1);
  Env env{Instant{1000}, entropy};
  struct None final : e2e::LocalPrekeys {
    const e2e::SignedPrekey* find_signed(e2e::SignedPrekeyId) const override { return &prekey; }
    const e2e::OneTimePrekey* find_one_time(e2e::OneTimePrekeyId) const override { return nullptr; }
    std::optional<crypto::Kem1024SecretKey> find_kyber(e2e::KyberPrekeyId) const override {
      return kyber.secret_key();
    }
    bool was_used(const e2e::KyberUse&) const override { return false; }
    e2e::SignedPrekey prekey;
    e2e::KyberPrekey kyber;
  };
  static const auto own = e2e::LocalIdentity::generate(entropy);
  static const None prekeys = [&] {
    None made;
    made.prekey = e2e::SignedPrekey::make({1}, own, entropy);
    made.kyber = e2e::KyberPrekey::make({1}, own, entropy);
    return made;
  }();
  for (const auto type : {e2e::MessageType::kPrekey, e2e::MessageType::kWhisper}) {
    e2e::Session session;
    CHECK(!e2e::decrypt(session, own, prekeys, type, octets, nullptr, env));
    CHECK(!session.has_current());
  }
}

// The place in this list is part of the corpus: append only.
constexpr void (*kReaders[])(ByteView) = {
    &wire<e2e::WhisperMessage>,  &prekey_message,
    &record<e2e::Session>,       &record<e2e::SessionState>,
    &record<e2e::LocalIdentity>, &record<e2e::SignedPrekey>,
    &record<e2e::OneTimePrekey>, &decrypt,
    &wire<e2e::DecryptionError>, &wire<e2e::SealedContent>,
    &wire<e2e::SplitSealed>,     &wire<e2e::SenderCertificate>,
    &wire<e2e::SenderKey>,       &record<e2e::Spqr>,
    &record<e2e::KyberPrekey>};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto reader = kReaders[input.octet() % std::size(kReaders)];
  reader(input.rest());
  return 0;
}
