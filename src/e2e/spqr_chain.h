// The symmetric half of SPQR: a key for every message, from the secrets of all epochs so far.
//
// A message of epoch e of the braid uses the chain of epoch e - 1; epoch 0 comes from the key
// agreement. A key is given once. Not transactional: work on a clone (as double_ratchet.h).
#pragma once

#include <vector>

#include "base/result.h"
#include "crypto/secret.h"
#include "e2e/skipped_keys.h"

namespace godwit::e2e {

// Who started the session: it sends in direction A->B.
enum class Role : std::uint8_t { kInitiator = 1, kResponder = 2 };

class SpqrChain {
 public:
  static SpqrChain start(const crypto::Key& seed, Role role);

  // The secret of the next epoch.
  void add_epoch(Role role, const crypto::Key& secret);
  std::uint64_t first_epoch() const { return first_epoch_; }
  std::uint64_t newest_epoch() const { return first_epoch_ + epochs_.size() - 1; }

  struct Numbered {
    std::uint32_t index = 0;  // from 1
    crypto::Key key;
  };
  // Forgets what was before the epoch before this one. `epoch` never decreases and is present.
  // kExpired: its indexes are used up.
  Result<Numbered> sending_key(std::uint64_t epoch);
  // kDuplicate: given before, or older than the keys kept. kCorrupt: an epoch that is not there, or
  // an index that is too far ahead.
  Result<crypto::Key> receiving_key(std::uint64_t epoch, std::uint32_t index, std::uint32_t jump);

  SpqrChain clone() const;
  crypto::SecretBytes serialize() const;
  static Result<SpqrChain> parse(ByteView record);

 private:
  // The keys of one direction in one epoch.
  struct Direction {
    crypto::Key next;
    std::uint32_t used = 0;  // the highest index given
    SkippedKeys skipped;  // by their indexes

    crypto::Key step();
    Direction clone() const { return {next.clone(), used, skipped.clone()}; }
  };
  struct Epoch {
    Direction sending, receiving;
  };
  void push(Role role, const crypto::Secret<96>& keys);

  crypto::Key root_;  // for the next epoch
  std::uint64_t first_epoch_ = 0;
  std::vector<Epoch> epochs_;
};

}  // namespace godwit::e2e
