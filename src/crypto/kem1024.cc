#include "crypto/kem.h"

extern "C" {
#include <fips202.h>
#include <ml-kem-1024/clean/indcpa.h>
#include <ml-kem-1024/clean/kem.h>
#include <ml-kem-1024/clean/verify.h>
}

#include "base/check.h"

// PQClean's own source of randomness, for functions that nothing here calls.
extern "C" int PQCLEAN_randombytes(std::uint8_t*, std::size_t) {
  CHECK(false && "a KEM drew its own randomness");
  return -1;
}

namespace godwit::crypto {
namespace {

static_assert(std::tuple_size_v<Kem1024PublicKey> == KYBER_PUBLICKEYBYTES);
static_assert(std::tuple_size_v<Kem1024Ciphertext> == KYBER_CIPHERTEXTBYTES);

// Round 3 hashes the ciphertext into the secret: SHAKE256(`inner` || SHA3-256(ciphertext)).
Key round3_secret(KeyView inner, const Kem1024Ciphertext& ciphertext) {
  Secret<64> input;
  std::ranges::copy(inner, input.mutable_view().begin());
  sha3_256(input.mutable_view().data() + 32, ciphertext.data(), ciphertext.size());
  Key shared;
  shake256(shared.mutable_view().data(), 32, input.view().data(), 64);
  return shared;
}

Kem1024Encapsulation round3_encaps(const Kem1024PublicKey& public_key, const KemRandom& random) {
  Secret<64> message;  // the message, then the hash of the public key
  Secret<64> derived;  // the inner secret, then the coins
  sha3_256(message.mutable_view().data(), random.view().data(), 32);
  sha3_256(message.mutable_view().data() + 32, public_key.data(), public_key.size());
  sha3_512(derived.mutable_view().data(), message.view().data(), 64);
  Kem1024Encapsulation out;
  PQCLEAN_MLKEM1024_CLEAN_indcpa_enc(out.ciphertext.data(), message.view().data(),
                                     public_key.data(), derived.view().data() + 32);
  out.shared = round3_secret(derived.view().first<32>(), out.ciphertext);
  return out;
}

Key round3_decaps(const Kem1024SecretKey& secret_key, const Kem1024Ciphertext& ciphertext) {
  const std::uint8_t* const secret = secret_key.view().data();
  const std::uint8_t* const public_key = secret + KYBER_INDCPA_SECRETKEYBYTES;
  const std::uint8_t* const hash = secret + KYBER_SECRETKEYBYTES - 64;
  const std::uint8_t* const rejection = secret + KYBER_SECRETKEYBYTES - 32;
  Secret<64> message, derived;
  PQCLEAN_MLKEM1024_CLEAN_indcpa_dec(message.mutable_view().data(), ciphertext.data(), secret);
  std::copy_n(hash, 32, message.mutable_view().begin() + 32);
  sha3_512(derived.mutable_view().data(), message.view().data(), 64);
  Secret<KYBER_CIPHERTEXTBYTES> again;
  PQCLEAN_MLKEM1024_CLEAN_indcpa_enc(again.mutable_view().data(), message.view().data(), public_key,
                                     derived.view().data() + 32);
  const int differs =
      PQCLEAN_MLKEM1024_CLEAN_verify(ciphertext.data(), again.view().data(), ciphertext.size());
  PQCLEAN_MLKEM1024_CLEAN_cmov(derived.mutable_view().data(), rejection, 32,
                               static_cast<std::uint8_t>(differs));
  return round3_secret(derived.view().first<32>(), ciphertext);
}

}  // namespace

bool kem_coefficients_reduced(ByteView coefficients) {
  constexpr unsigned kModulus = 3329;
  for (std::size_t i = 0; i + 3 <= coefficients.size(); i += 3) {  // two in three octets
    const unsigned a = coefficients[i], b = coefficients[i + 1], c = coefficients[i + 2];
    if ((a | (b & 15) << 8) >= kModulus || (b >> 4 | c << 4) >= kModulus) return false;
  }
  return true;
}

Kem1024KeyPair kem1024_keygen(const KemSeed& seed) {
  Kem1024KeyPair pair;
  PQCLEAN_MLKEM1024_CLEAN_crypto_kem_keypair_derand(
      pair.public_key.data(), pair.secret_key.mutable_view().data(), seed.view().data());
  return pair;
}

Kem1024Encapsulation kem1024_encaps(Kem1024Variant variant, const Kem1024PublicKey& public_key,
                                    const KemRandom& random) {
  if (variant == Kem1024Variant::kKyberRound3) return round3_encaps(public_key, random);
  Kem1024Encapsulation out;
  PQCLEAN_MLKEM1024_CLEAN_crypto_kem_enc_derand(out.ciphertext.data(),
                                                out.shared.mutable_view().data(), public_key.data(),
                                                random.view().data());
  return out;
}

Key kem1024_decaps(Kem1024Variant variant, const Kem1024SecretKey& secret_key,
                   const Kem1024Ciphertext& ciphertext) {
  if (variant == Kem1024Variant::kKyberRound3) return round3_decaps(secret_key, ciphertext);
  Key shared;
  PQCLEAN_MLKEM1024_CLEAN_crypto_kem_dec(shared.mutable_view().data(), ciphertext.data(),
                                         secret_key.view().data());
  return shared;
}

bool kem1024_valid(const Kem1024PublicKey& public_key) {
  return kem_coefficients_reduced(ByteView(public_key).first<KYBER_POLYVECBYTES>());
}

}  // namespace godwit::crypto
