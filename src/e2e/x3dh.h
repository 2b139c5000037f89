// X3DH (signal.org/docs/specifications/x3dh): the first shared secret with somebody who is away.
#pragma once

#include "e2e/prekey.h"

namespace godwit::e2e {

struct Agreement {
  crypto::Key root;
  crypto::Key chain;
  crypto::Key pq_seed;  // for the post-quantum ratchet; unused in version 3
};

// Alice: `base` is fresh. The bundle's signature must have been verified.
// kCorrupt: one of the bundle's keys is a point of small order.
Result<Agreement> agree_as_initiator(const LocalIdentity& own, const crypto::KeyPair& base,
                                     const PrekeyBundle& bundle);

// Bob: `one_time` may be null. kCorrupt: a key of theirs is a point of small order, or the base key
// is not canonical and of prime order.
Result<Agreement> agree_as_responder(const LocalIdentity& own, const SignedPrekey& signed_prekey,
                                     const OneTimePrekey* one_time, const PublicKey& their_identity,
                                     const PublicKey& their_base);

}  // namespace godwit::e2e
