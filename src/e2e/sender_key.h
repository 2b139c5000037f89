// Sender keys: one ciphertext for a whole group (PROTOCOLS "Sender keys", libsignal version 3).
//
// Each member device has a chain per distribution id. It tells the chain's present state to the
// others by a SenderKeyDistributionMessage inside pairwise sessions; from then on it encrypts and
// signs once, and everybody who was told reads. Whoever was told later reads nothing earlier.
//
// A record is a value: load, call, commit the new one. An error leaves it as it was; a message is
// read once; the signature is checked before anything else is looked at. There is no recovery from
// a stolen chain: make a new one (create()) whenever somebody leaves.
#pragma once

#include <optional>
#include <vector>

#include "base/entropy.h"
#include "e2e/identity.h"
#include "e2e/skipped_keys.h"

namespace godwit::e2e {

using DistributionId = ByteArray<16>;  // a UUID

// The chain of one sender device for one distribution id, its own or somebody else's.
class SenderKey {
 public:
  SenderKey() = default;

  // Starts a new chain: fresh id, chain key and signing key. For the own record only. The chains
  // before it stay readable to nobody: they are dropped.
  void create(const DistributionId& distribution, Entropy& entropy);
  bool can_encrypt() const;

  // What the other members need, from the next message on. kNotFound: create() first.
  Result<Bytes> distribution_message() const;
  // kNotFound: create() first. kExpired: the chain is used up: create() a new one.
  Result<Bytes> encrypt(ByteView plaintext, Entropy& entropy);

  // Learns the sender's chain. Told again of a chain that is known, it never goes back; the same
  // chain id with another signing key replaces it. kUnsupported, kCorrupt: nothing learned.
  Result<void> learn(ByteView distribution_message);
  // kNotFound: this chain was never told: ask the sender for it. kDuplicate: read before, or too
  // late. kCorrupt: the signature or the padding is wrong, or the counter too far ahead.
  Result<Bytes> decrypt(ByteView message);

  // The ids of the chains that it reads, newest first.
  std::vector<std::uint32_t> chain_ids() const;
  SenderKey clone() const;
  crypto::SecretBytes serialize() const;
  static Result<SenderKey> parse(ByteView record);

  // The distribution id that a message or distribution message names, without checking it.
  static Result<DistributionId> distribution_of(ByteView wire);

 private:
  struct Chain {
    DistributionId distribution{};
    std::uint32_t id = 0;
    std::uint32_t iteration = 0;  // of the next message
    crypto::Key key;
    PublicKey signing;
    std::optional<crypto::Key> signing_private;  // of the own chain only
    SkippedKeys skipped;  // seeds, by their iterations

    Chain clone() const;
    crypto::Key next_seed();
    Result<crypto::Key> seed_of(std::uint32_t wanted);
    crypto::SecretBytes serialize() const;
    static Result<Chain> parse(ByteView record);
  };

  std::vector<Chain> chains_;  // newest first, at most limits::kSenderKeyChains
};

}  // namespace godwit::e2e
