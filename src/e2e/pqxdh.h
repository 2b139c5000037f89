// PQXDH (signal.org/docs/specifications/pqxdh): the first shared secret with somebody who is away.
// Secret as long as either X25519 or Kyber1024 holds. Without a KEM secret it is X3DH.
#pragma once

#include "e2e/prekey.h"

namespace godwit::e2e {

struct Agreement {
  crypto::Key root;
  crypto::Key chain;
  crypto::Key pq_seed;  // for the post-quantum ratchet
};

// Alice: `base` is fresh; `kem`: what she encapsulated to the Kyber prekey, or null. The bundle's
// signatures must have been verified.
// kCorrupt: one of the bundle's keys is a point of small order.
Result<Agreement> agree_as_initiator(const LocalIdentity& own, const crypto::KeyPair& base,
                                     const PrekeyBundle& bundle, const crypto::Key* kem);

// Bob: `one_time` and `kem`, what he decapsulated, may be null. kCorrupt: a key of theirs is a
// point of small order, or the base key is not canonical and of prime order.
Result<Agreement> agree_as_responder(const LocalIdentity& own, const SignedPrekey& signed_prekey,
                                     const OneTimePrekey* one_time, const PublicKey& their_identity,
                                     const PublicKey& their_base, const crypto::Key* kem);

}  // namespace godwit::e2e
