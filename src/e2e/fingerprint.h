// Safety numbers: what two people compare to know that nobody sits between them.
//
// Stable ids are octets that never change for an account: version 1 the E.164 number as text,
// version 2 the 16 octets of the UserId. Both sides must use the same version.
#pragma once

#include <string>

#include "e2e/identity.h"

namespace godwit::e2e {

enum class FingerprintVersion : std::uint8_t { kNumber = 1, kUserId = 2 };

struct FingerprintParty {
  ByteView stable_id;
  PublicKey identity_key;
};

// 60 decimal digits, the same on both sides (5200 rounds of SHA-512 each: a few milliseconds).
std::string safety_number(const FingerprintParty& own, const FingerprintParty& theirs);

// The octets of the QR code that `own` shows.
Bytes scannable_fingerprint(FingerprintVersion version, const FingerprintParty& own,
                            const FingerprintParty& theirs);

// Compares the code scanned from the other screen with what this side would show.
// kUnsupported: made by another version. kCorrupt: not a fingerprint. false: do not trust.
Result<bool> matches_scanned(FingerprintVersion version, const FingerprintParty& own,
                             const FingerprintParty& theirs, ByteView scanned);

}  // namespace godwit::e2e
