#include "e2e/double_ratchet.h"

#include "base/limits.h"
#include "crypto/hash.h"
#include "crypto/kdf.h"

namespace godwit::e2e {
namespace {

using crypto::CurvePoint;
using crypto::Key;
using crypto::KeyPair;

// KDF_RK: moves the root on, returns the key of a new chain.
Result<Key> step_root(Key& root, const Key& private_key, const CurvePoint& their_public) {
  const auto shared = crypto::dh(private_key, their_public);
  if (!shared) return fail(shared.error());
  const auto out = crypto::hkdf_sha256<64>(root.view(), shared->view(), view_of("WhisperRatchet"));
  root = Key(out.view().first<32>());
  return Key(out.view().last<32>());
}

// KDF_CK: the seed of one message; moves the chain on.
Key seed_of(const Key& chain) { return crypto::hmac_sha256(chain.view(), ByteArray<1>{1}); }
void step_chain(Key& chain) { chain = crypto::hmac_sha256(chain.view(), ByteArray<1>{2}); }

}  // namespace

MessageKeys MessageKeys::derive(const Key& seed, ByteView pq_key) {
  const auto out = crypto::hkdf_sha256<80>(pq_key, seed.view(), view_of("WhisperMessageKeys"));
  return {Key(out.view().first<32>()), Key(out.view().subspan<32, 32>()),
          crypto::Secret<16>(out.view().last<16>())};
}

Result<DoubleRatchet> DoubleRatchet::initiator(const Key& root, const Key& chain,
                                               const CurvePoint& their_signed_prekey,
                                               Entropy& entropy) {
  DoubleRatchet ratchet{root.clone(), KeyPair::generate(entropy)};
  auto sending = step_root(ratchet.root, ratchet.ratchet.private_key, their_signed_prekey);
  if (!sending) return fail(sending.error());
  ratchet.sending_chain = std::move(*sending);
  ratchet.receiving.push_back({their_signed_prekey, chain.clone()});
  return ratchet;
}

DoubleRatchet DoubleRatchet::responder(const Key& root, const Key& chain,
                                       const KeyPair& signed_prekey) {
  return {root.clone(), signed_prekey.clone(), chain.clone()};
}

DoubleRatchet DoubleRatchet::clone() const {
  DoubleRatchet copy{root.clone(), ratchet.clone(), sending_chain.clone(), sent, previous_counter};
  copy.receiving.reserve(receiving.size() + 1);
  for (const ReceivingChain& chain : receiving) copy.receiving.push_back(chain.clone());
  return copy;
}

Key DoubleRatchet::sending_seed() {
  Key seed = seed_of(sending_chain);
  step_chain(sending_chain);
  ++sent;
  return seed;
}

// The step with a new ratchet key of theirs: their new sending chain, then at once ours.
Result<void> DoubleRatchet::step(const CurvePoint& their_ratchet, Entropy& entropy) {
  auto theirs = step_root(root, ratchet.private_key, their_ratchet);
  if (!theirs) return fail(theirs.error());
  ratchet = KeyPair::generate(entropy);
  auto ours = step_root(root, ratchet.private_key, their_ratchet);
  if (!ours) return fail(ours.error());
  receiving.push_back({their_ratchet, std::move(*theirs)});
  if (receiving.size() > limits::kReceivingChains) receiving.erase(receiving.begin());
  sending_chain = std::move(*ours);
  previous_counter = sent == 0 ? 0 : sent - 1;
  sent = 0;
  return {};
}

Result<Key> DoubleRatchet::receiving_seed(const CurvePoint& their_ratchet, std::uint32_t counter,
                                          std::uint32_t jump, Entropy& entropy) {
  auto chain = std::ranges::find(receiving, their_ratchet, &ReceivingChain::ratchet);
  if (chain == receiving.end()) {
    GODWIT_TRY(step(their_ratchet, entropy));
    chain = receiving.end() - 1;
  }
  if (counter < chain->next) {
    auto seed = chain->skipped.take(counter);
    if (!seed) return fail(Code::kDuplicate, "this message was decrypted before");
    return std::move(*seed);
  }
  if (counter - chain->next > jump || counter == UINT32_MAX) {
    return fail(Code::kCorrupt, "the message is too far ahead of the last one");
  }
  const auto next_seed = [&] {
    Key seed = seed_of(chain->key);
    step_chain(chain->key);
    return seed;
  };
  if (counter > chain->next) chain->skipped.skip(chain->next, counter, next_seed);
  chain->next = counter + 1;
  return next_seed();
}

}  // namespace godwit::e2e
