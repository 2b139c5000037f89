// What e2e/ reads: messages of the wire, and its own records. The first octet says which.
#include "base/check.h"
#include "e2e/attachment.h"
#include "e2e/fingerprint.h"
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

void incoming(ByteView octets) {
  const auto parsed = e2e::Incoming::parse(octets);
  if (!parsed) return;
  const Bytes once = parsed->serialize();
  const auto again = e2e::Incoming::parse(once);
  CHECK(again && again->serialize() == once && again->value() == parsed->value());
}

void resend(ByteView octets) {
  (void)e2e::DecryptionError::about_whisper(octets, {}, {});
  (void)e2e::DecryptionError::about_prekey(octets, {}, {});
  const auto error = e2e::parse_plaintext(octets);
  if (!error) return;
  const Bytes once = e2e::encode_plaintext(*error);
  const auto again = e2e::parse_plaintext(once);
  CHECK(again && e2e::encode_plaintext(*again) == once);
}

// A member of a group that has been told a chain, and is told and sent anything.
void group_message(ByteView octets) {
  static const e2e::SenderKey told = [] {
    SeededEntropy entropy(1);
    e2e::SenderKey sender, member;
    sender.create({1}, entropy);
    CHECK(member.learn(sender.distribution_message().value()));
    return member;
  }();
  (void)e2e::SenderKey::distribution_of(octets);
  CHECK(!told.clone().decrypt(octets));
  e2e::SenderKey learner = told.clone();
  if (learner.learn(octets)) CHECK(e2e::SenderKey::parse(learner.serialize().view()));
}

void fingerprint(ByteView octets) {
  const e2e::FingerprintParty own{view_of("own"), {}}, theirs{view_of("theirs"), {{1}}};
  const auto same = e2e::matches_scanned(e2e::FingerprintVersion::kUserId, own, theirs, octets);
  CHECK(!same || !*same);  // one would have to guess a hash
}

void sealed(ByteView octets) {
  SeededEntropy entropy(1);
  static const auto own = e2e::LocalIdentity::generate(entropy);
  static const e2e::PublicKey root{crypto::KeyPair::generate(entropy).public_key};
  CHECK(!e2e::open_sealed(octets, {own, {}, {1}, root}, {1000}));
  const auto split = e2e::SplitSealed::parse(octets);
  if (!split) return;
  for (const auto& recipient : split->recipients) (void)split->received_by(recipient);
}

// The first message of the post-quantum ratchet, on both sides.
void spqr_message(ByteView octets) {
  for (const e2e::Role role : {e2e::Role::kInitiator, e2e::Role::kResponder}) {
    auto ratchet = e2e::Spqr::start(crypto::Key(), role);
    if (ratchet.receive(octets)) CHECK(e2e::Spqr::parse(ratchet.serialize().view()));
  }
}

// Any record that parses can be used: piece, the record; rest, a message of its post-quantum half.
void used_record(ByteView octets) {
  fuzz::Input input(octets.data(), octets.size());
  const ByteView stored = input.piece(), message = input.rest();
  SeededEntropy entropy(1);
  Env env{Instant{1000}, entropy};
  static const auto own = e2e::LocalIdentity::generate(entropy);
  if (auto session = e2e::Session::parse(stored)) {
    for (int i = 0; i < 2; ++i) (void)e2e::encrypt(*session, own, message, env);
    CHECK(e2e::Session::parse(session->serialize().view()));
  }
  auto ratchet = e2e::Spqr::parse(stored);
  if (!ratchet || !ratchet->receive(message)) return;
  for (int i = 0; i < 2; ++i) (void)ratchet->send(entropy);
  CHECK(e2e::Spqr::parse(ratchet->serialize().view()));
}

// The place in this list is part of the corpus: append only.
constexpr void (*kReaders[])(ByteView) = {&wire<e2e::WhisperMessage>,
                                          &prekey_message,
                                          &record<e2e::Session>,
                                          &record<e2e::SessionState>,
                                          &record<e2e::LocalIdentity>,
                                          &record<e2e::SignedPrekey>,
                                          &record<e2e::OneTimePrekey>,
                                          &decrypt,
                                          &wire<e2e::DecryptionError>,
                                          &wire<e2e::SealedContent>,
                                          &wire<e2e::SplitSealed>,
                                          &wire<e2e::SenderCertificate>,
                                          &wire<e2e::SenderKey>,
                                          &record<e2e::Spqr>,
                                          &record<e2e::KyberPrekey>,
                                          &record<e2e::SenderKey>,
                                          &record<e2e::SpqrChain>,
                                          &incoming,
                                          &record<e2e::Attachment>,
                                          &wire<e2e::ServerCertificate>,
                                          &resend,
                                          &group_message,
                                          &fingerprint,
                                          &sealed,
                                          &spqr_message,
                                          &used_record};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto reader = kReaders[input.octet() % std::size(kReaders)];
  reader(input.rest());
  return 0;
}
