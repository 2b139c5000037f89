// Key encapsulation on module lattices: Kyber1024 (round 3), ML-KEM-1024 and ML-KEM-768 (FIPS 203),
// the last one in parts, as the ML-KEM Braid sends it.
//
// Deterministic: the caller brings the randomness. A ciphertext never fails to open; a wrong one
// opens to a secret that nobody else has (implicit rejection). Constant time in all secrets.
// The arithmetic is PQClean's; nothing outside kem*.cc sees it, so that it can be replaced.
#pragma once

#include "crypto/secret.h"

namespace godwit::crypto {

using KemSeed = Secret<64>;  // d || z
using KemRandom = Secret<32>;  // of one encapsulation

// True when every 12-bit coefficient is below 3329 (FIPS 203, section 7.2): to be checked on every
// received encapsulation key. `coefficients` is a key without its last 32 octets.
bool kem_coefficients_reduced(ByteView coefficients);

// ---- level 1024, whole

// How the shared secret comes from the inner encryption; keys and sizes are the same.
enum class Kem1024Variant : std::uint8_t { kKyberRound3, kMlKem };

using Kem1024PublicKey = ByteArray<1568>;
using Kem1024Ciphertext = ByteArray<1568>;
using Kem1024SecretKey = Secret<3168>;  // inner key, public key, its hash, z

struct Kem1024KeyPair {
  Kem1024SecretKey secret_key;
  Kem1024PublicKey public_key{};
};

struct Kem1024Encapsulation {
  Kem1024Ciphertext ciphertext{};
  Key shared;
};

// The key generation of FIPS 203, whose pairs serve both variants.
Kem1024KeyPair kem1024_keygen(const KemSeed& seed);
Kem1024Encapsulation kem1024_encaps(Kem1024Variant variant, const Kem1024PublicKey& public_key,
                                    const KemRandom& random);
Key kem1024_decaps(Kem1024Variant variant, const Kem1024SecretKey& secret_key,
                   const Kem1024Ciphertext& ciphertext);
bool kem1024_valid(const Kem1024PublicKey& public_key);

// ---- ML-KEM-768, in parts: header and first ciphertext travel before the bulk of the key

struct Kem768 {
  using SecretKey = Secret<2400>;
  using Header = ByteArray<64>;  // rho || SHA3-256(public key)
  using Vector = ByteArray<1152>;  // t-hat; public key = t-hat || rho
  using First = ByteArray<960>;
  using Second = ByteArray<128>;  // First || Second is an ordinary ciphertext
  using State = Secret<64>;  // of an encapsulation under way: message || coins

  struct KeyPair {
    SecretKey secret_key;
    Header header{};
    Vector vector{};
  };
  struct Encapsulation {
    First first{};
    State state;
    Key shared;
  };

  static KeyPair keygen(const KemSeed& seed);
  static Encapsulation encaps1(const Header& header, const KemRandom& random);
  // `vector` must be valid() for the header of encaps1().
  static Second encaps2(const Vector& vector, const State& state);
  // True when `vector` is reduced, and the one whose hash is in `header`.
  static bool valid(const Vector& vector, const Header& header);
  static Key decaps(const SecretKey& secret_key, const First& first, const Second& second);
};

}  // namespace godwit::crypto
