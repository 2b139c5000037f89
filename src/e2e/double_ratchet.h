// Double Ratchet (signal.org/docs/specifications/doubleratchet) as libsignal runs it.
//
// Every message has its own seed; a seed is erased when its message has been read. Old receiving
// chains stay usable for late messages, so there is no "skip to previous counter" step.
//
// Not transactional: a failed receiving_seed() may leave the ratchet advanced. Callers work on a
// clone and keep it only after the message has verified.
#pragma once

#include <vector>

#include "e2e/identity.h"
#include "e2e/skipped_keys.h"

namespace godwit::e2e {

// What encrypts one message. Derived late: a post-quantum ratchet adds its key as the salt when
// the message arrives, which is why skipped messages are stored as seeds.
struct MessageKeys {
  crypto::Key cipher;
  crypto::Key mac;
  crypto::Secret<16> iv;

  // `pq_key`: 32 octets, or none.
  static MessageKeys derive(const crypto::Key& seed, ByteView pq_key);
};

// The messages of one ratchet key of theirs.
struct ReceivingChain {
  crypto::CurvePoint ratchet{};
  crypto::Key key;
  std::uint32_t next = 0;  // the counter of the next message in order
  SkippedKeys skipped;     // seeds, by their counters

  ReceivingChain clone() const { return {ratchet, key.clone(), next, skipped.clone()}; }
};

struct DoubleRatchet {
  crypto::Key root;
  crypto::KeyPair ratchet;  // ours, current
  crypto::Key sending_chain;
  std::uint32_t sent = 0;              // the counter of the next message
  std::uint32_t previous_counter = 0;  // last index used in the chain before, as libsignal has it
  std::vector<ReceivingChain> receiving;  // oldest first, at most limits::kReceivingChains

  // After the key agreement (section "initial ratchet states"). `root` and `chain` are its results.
  static Result<DoubleRatchet> initiator(const crypto::Key& root, const crypto::Key& chain,
                                         const crypto::CurvePoint& their_signed_prekey,
                                         Entropy& entropy);
  static DoubleRatchet responder(const crypto::Key& root, const crypto::Key& chain,
                                 const crypto::KeyPair& signed_prekey);
  DoubleRatchet clone() const;

  // The seed of message number `sent`; then advances.
  crypto::Key sending_seed();

  // The seed of their message; takes a ratchet step first if `their_ratchet` is new.
  // kDuplicate: that message was read before (or is older than the seeds kept).
  // kCorrupt: the key is a point of small order, or the counter is more than `jump` ahead.
  Result<crypto::Key> receiving_seed(const crypto::CurvePoint& their_ratchet, std::uint32_t counter,
                                     std::uint32_t jump, Entropy& entropy);

 private:
  Result<void> step(const crypto::CurvePoint& their_ratchet, Entropy& entropy);
};

}  // namespace godwit::e2e
