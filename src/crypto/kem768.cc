#include "crypto/kem.h"

extern "C" {
#include <fips202.h>
#include <ml-kem-768/clean/indcpa.h>
#include <ml-kem-768/clean/kem.h>
#include <ml-kem-768/clean/poly.h>
#include <ml-kem-768/clean/polyvec.h>
}

namespace godwit::crypto {
namespace {

// The secrets of one encryption (FIPS 203, algorithm 14), from its coins. Wiped when they die.
struct Noise {
  polyvec y;   // in the NTT domain
  polyvec e1;
  poly e2;

  explicit Noise(const std::uint8_t* coins) {
    std::uint8_t nonce = 0;
    for (poly& p : y.vec) PQCLEAN_MLKEM768_CLEAN_poly_getnoise_eta1(&p, coins, nonce++);
    for (poly& p : e1.vec) PQCLEAN_MLKEM768_CLEAN_poly_getnoise_eta2(&p, coins, nonce++);
    PQCLEAN_MLKEM768_CLEAN_poly_getnoise_eta2(&e2, coins, nonce);
    PQCLEAN_MLKEM768_CLEAN_polyvec_ntt(&y);
  }
  Noise(const Noise&) = delete;
  Noise& operator=(const Noise&) = delete;
  ~Noise() { wipe({reinterpret_cast<std::uint8_t*>(this), sizeof *this}); }
};

// c1 = Compress(NTT^-1(A^T y) + e1): needs rho and the coins only.
Kem768::First encrypt_first(const std::uint8_t* rho, const std::uint8_t* coins) {
  const Noise noise(coins);
  polyvec matrix[KYBER_K], u;
  PQCLEAN_MLKEM768_CLEAN_gen_matrix(matrix, rho, 1);
  for (std::size_t i = 0; i < KYBER_K; ++i) {
    PQCLEAN_MLKEM768_CLEAN_polyvec_basemul_acc_montgomery(&u.vec[i], &matrix[i], &noise.y);
  }
  PQCLEAN_MLKEM768_CLEAN_polyvec_invntt_tomont(&u);
  PQCLEAN_MLKEM768_CLEAN_polyvec_add(&u, &u, &noise.e1);
  PQCLEAN_MLKEM768_CLEAN_polyvec_reduce(&u);
  Kem768::First out;
  PQCLEAN_MLKEM768_CLEAN_polyvec_compress(out.data(), &u);
  return out;
}

}  // namespace

Kem768::KeyPair Kem768::keygen(const KemSeed& seed) {
  KeyPair pair;
  ByteArray<KYBER_PUBLICKEYBYTES> public_key;
  PQCLEAN_MLKEM768_CLEAN_crypto_kem_keypair_derand(
      public_key.data(), pair.secret_key.mutable_view().data(), seed.view().data());
  std::copy_n(public_key.begin(), pair.vector.size(), pair.vector.begin());
  std::copy_n(public_key.begin() + pair.vector.size(), 32, pair.header.begin());
  sha3_256(pair.header.data() + 32, public_key.data(), public_key.size());
  return pair;
}

Kem768::Encapsulation Kem768::encaps1(const Header& header, const KemRandom& random) {
  Secret<64> input, derived;  // message || hash of the public key; secret || coins
  std::ranges::copy(random.view(), input.mutable_view().begin());
  std::copy_n(header.begin() + 32, 32, input.mutable_view().begin() + 32);
  sha3_512(derived.mutable_view().data(), input.view().data(), 64);
  Encapsulation out;
  out.shared = Key(derived.view().first<32>());
  std::ranges::copy(random.view(), out.state.mutable_view().begin());
  std::ranges::copy(derived.view().last<32>(), out.state.mutable_view().begin() + 32);
  out.first = encrypt_first(header.data(), derived.view().data() + 32);
  return out;
}

// c2 = Compress(NTT^-1(t . y) + e2 + message).
Kem768::Second Kem768::encaps2(const Vector& vector, const State& state) {
  const Noise noise(state.view().data() + 32);
  polyvec t;
  poly v, message;
  PQCLEAN_MLKEM768_CLEAN_polyvec_frombytes(&t, vector.data());
  PQCLEAN_MLKEM768_CLEAN_poly_frommsg(&message, state.view().data());
  PQCLEAN_MLKEM768_CLEAN_polyvec_basemul_acc_montgomery(&v, &t, &noise.y);
  PQCLEAN_MLKEM768_CLEAN_poly_invntt_tomont(&v);
  PQCLEAN_MLKEM768_CLEAN_poly_add(&v, &v, &noise.e2);
  PQCLEAN_MLKEM768_CLEAN_poly_add(&v, &v, &message);
  PQCLEAN_MLKEM768_CLEAN_poly_reduce(&v);
  Second out;
  PQCLEAN_MLKEM768_CLEAN_poly_compress(out.data(), &v);
  wipe({reinterpret_cast<std::uint8_t*>(&v), sizeof v});
  wipe({reinterpret_cast<std::uint8_t*>(&message), sizeof message});
  return out;
}

bool Kem768::valid(const Vector& vector, const Header& header) {
  ByteArray<KYBER_PUBLICKEYBYTES> public_key;
  std::ranges::copy(vector, public_key.begin());
  std::copy_n(header.begin(), 32, public_key.begin() + vector.size());
  ByteArray<32> hash;
  sha3_256(hash.data(), public_key.data(), public_key.size());
  return same(hash, ByteView(header).last<32>()) && kem_coefficients_reduced(vector);
}

Key Kem768::decaps(const SecretKey& secret_key, const First& first, const Second& second) {
  ByteArray<KYBER_CIPHERTEXTBYTES> ciphertext;
  std::ranges::copy(first, ciphertext.begin());
  std::ranges::copy(second, ciphertext.begin() + first.size());
  Key shared;
  PQCLEAN_MLKEM768_CLEAN_crypto_kem_dec(shared.mutable_view().data(), ciphertext.data(),
                                        secret_key.view().data());
  return shared;
}

}  // namespace godwit::crypto
