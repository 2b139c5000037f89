// For tests only: one device with its prekeys and a session, stored and loaded at every step.
#pragma once

#include <gtest/gtest.h>

#include <map>

#include "e2e/session.h"

namespace godwit::e2e {

class Prekeys final : public LocalPrekeys {
 public:
  std::map<SignedPrekeyId, SignedPrekey> signed_prekeys;
  std::map<OneTimePrekeyId, OneTimePrekey> one_time_prekeys;
  std::map<KyberPrekeyId, crypto::Kem1024SecretKey> kyber_prekeys;
  KyberPrekeyId last_resort;
  std::vector<KyberUse> uses;  // of the last resort

  const SignedPrekey* find_signed(SignedPrekeyId id) const override {
    const auto found = signed_prekeys.find(id);
    return found == signed_prekeys.end() ? nullptr : &found->second;
  }
  const OneTimePrekey* find_one_time(OneTimePrekeyId id) const override {
    const auto found = one_time_prekeys.find(id);
    return found == one_time_prekeys.end() ? nullptr : &found->second;
  }
  std::optional<crypto::Kem1024SecretKey> find_kyber(KyberPrekeyId id) const override {
    const auto found = kyber_prekeys.find(id);
    if (found == kyber_prekeys.end()) return std::nullopt;
    return found->second.clone();
  }
  bool was_used(const KyberUse& use) const override {
    return std::ranges::find(uses, use) != uses.end();
  }
  // What a client does in the transaction that stores the session.
  void consume(const Decrypted& decrypted) {
    if (decrypted.consumed_prekey) one_time_prekeys.erase(*decrypted.consumed_prekey);
    if (!decrypted.kyber_use) return;
    if (decrypted.kyber_use->prekey == last_resort) uses.push_back(*decrypted.kyber_use);
    else kyber_prekeys.erase(decrypted.kyber_use->prekey);
  }
};

struct Peer {
  explicit Peer(std::uint64_t seed) : entropy(seed), own(LocalIdentity::generate(entropy)) {
    add_signed(SignedPrekey::make({22}, own, entropy));
    add_one_time(1);
    add_kyber(900);
    prekeys.last_resort = {900};
  }
  void add_signed(SignedPrekey prekey) {
    prekeys.signed_prekeys.insert_or_assign(prekey.id, std::move(prekey));
  }
  void add_one_time(std::uint32_t id) {
    prekeys.one_time_prekeys.insert_or_assign({id}, OneTimePrekey::make({id}, entropy));
  }

  void add_kyber(std::uint32_t id) {
    const auto prekey = KyberPrekey::make({id}, own, entropy);
    prekeys.kyber_prekeys.insert_or_assign({id}, prekey.secret_key());
    offered.insert_or_assign({id},
                             PrekeyBundle::Kyber{{id}, prekey.public_key(), prekey.signature});
  }

  // With the lowest one-time prekeys that there are.
  PrekeyBundle bundle() const {
    const SignedPrekey& prekey = prekeys.signed_prekeys.begin()->second;
    PrekeyBundle out{own.registration_id, {1}, own.public_key(), prekey.id, prekey.public_key(),
                     prekey.signature};
    if (!prekeys.one_time_prekeys.empty()) {
      const OneTimePrekey& one_time = prekeys.one_time_prekeys.begin()->second;
      out.one_time_prekey = {one_time.id, one_time.public_key()};
    }
    if (!prekeys.kyber_prekeys.empty()) {
      out.kyber_prekey = offered.at(prekeys.kyber_prekeys.begin()->first);
    }
    return out;
  }
  Env env() { return {now, entropy}; }

  Result<void> start(const PrekeyBundle& with) {
    Session session = load();
    auto at = env();
    const auto started = start_session(session, own, with, nullptr, at);
    if (started) record = session.serialize();
    return started;
  }
  Encrypted send(std::string_view text) {
    Session session = load();
    auto at = env();
    auto encrypted = encrypt(session, own, view_of(text), at);
    EXPECT_TRUE(encrypted) << encrypted.error().text;
    record = session.serialize();
    return encrypted ? std::move(*encrypted) : Encrypted{};
  }
  // Commits as a client does: the session and the used prekey together, or nothing.
  Result<Decrypted> read(MessageType type, ByteView message, const PublicKey* pinned = nullptr) {
    Session session = load();
    auto at = env();
    auto decrypted = decrypt(session, own, prekeys, type, message, pinned, at);
    if (!decrypted) {
      EXPECT_TRUE(same(session.serialize().view(), record.view())) << "an error changed it";
      return decrypted;
    }
    record = session.serialize();
    prekeys.consume(*decrypted);
    return decrypted;
  }
  Result<Decrypted> read(const Encrypted& encrypted) {
    return read(encrypted.type, encrypted.message);
  }
  Session load() const {
    auto session = Session::parse(record.view());
    EXPECT_TRUE(session);
    return session ? std::move(*session) : Session();
  }

  SeededEntropy entropy;
  Instant now{1000};
  LocalIdentity own;
  Prekeys prekeys;
  std::map<KyberPrekeyId, PrekeyBundle::Kyber> offered;
  crypto::SecretBytes record;
};

// What happened to a message: its text, or the name of the error.
inline std::string outcome(const Result<Decrypted>& decrypted) {
  if (!decrypted) return std::string(code_name(decrypted.error().code));
  return to_string(decrypted->plaintext);
}

}  // namespace godwit::e2e
