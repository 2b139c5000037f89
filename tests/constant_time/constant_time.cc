// Does time depend on secrets? Run under valgrind: secrets are marked as undefined memory, so that
// every branch and every address that depends on one is reported as the use of an undefined value.
//
// Compiled as people run it (tests/CMakeLists.txt). Two cases are faults on purpose: a run that
// does not notice them has failed. What is public though made from secrets is in public.supp.
#include <valgrind/memcheck.h>

#include <cstdio>

#include "base/entropy.h"
#include "crypto/gcm_siv.h"
#include "crypto/hash.h"
#include "crypto/kdf.h"
#include "crypto/kem.h"
#include "crypto/xeddsa.h"
#include "e2e/message.h"

using namespace godwit;
using namespace godwit::crypto;

namespace {

SeededEntropy entropy(1);

void hide(ByteView secret) { (void)VALGRIND_MAKE_MEM_UNDEFINED(secret.data(), secret.size()); }
// The end of a case: its results are public, or are looked at by nobody.
template <typename T>
void reveal(const T& result) {
  (void)VALGRIND_MAKE_MEM_DEFINED(&result, sizeof result);
}

template <std::size_t N = 32>
Secret<N> hidden() {
  Secret<N> secret(entropy.draw<N>());
  hide(secret.view());
  return secret;
}

void compare() {
  const Key a(entropy.draw<32>()), b = a.clone(), c = hidden();
  hide(a.view());
  const bool results[] = {equal(a.view(), b.view()), equal(a.view(), c.view())};
  reveal(results);
}

void key_derivation() {
  const Key key = hidden();
  reveal(hmac_sha256(key.view(), view_of("text")));
  reveal(hkdf_sha256<80>(hidden().view(), key.view(), view_of("info")));
}

void message_mac() {
  const e2e::PublicKey alice{entropy.draw<32>()}, bob{entropy.draw<32>()};
  const Key key(entropy.draw<32>());
  const Bytes wire = e2e::encode_whisper(
      {.version = e2e::kVersion4, .ciphertext = view_of("0123456789abcdef")}, key, alice, bob);
  const auto message = e2e::WhisperMessage::parse(wire);
  hide(key.view());
  const bool results[] = {message->verifies(key, alice, bob), message->verifies(key, bob, alice)};
  reveal(results);
}

void x25519() {
  const auto own = KeyPair::from_private(hidden().view());
  const auto theirs = KeyPair::generate(entropy);
  const auto shared = dh(own.private_key, theirs.public_key);
  reveal(shared);
}

void xeddsa() {
  const auto pair = KeyPair::generate(entropy);
  hide(pair.private_key.view());
  const auto random = entropy.draw<64>();
  hide(random);
  reveal(xeddsa_sign(pair.private_key, view_of("message"), random));
}

void gcm_siv() {
  const ByteArray<kGcmSivNonce> nonce{};
  const Bytes text(100, 'x');
  hide(text);
  const Bytes sealed = aes_gcm_siv_seal(hidden().view(), nonce, view_of("head"), text);
  (void)VALGRIND_MAKE_MEM_DEFINED(sealed.data(), sealed.size());
}

void kem1024() {
  reveal(kem1024_keygen(hidden<64>()));
  constexpr std::size_t kInner = 1536, kZ = 32;  // the public key between them is public
  for (const auto variant : {Kem1024Variant::kKyberRound3, Kem1024Variant::kMlKem}) {
    const auto pair = kem1024_keygen(KemSeed(entropy.draw<64>()));
    const auto sent = kem1024_encaps(variant, pair.public_key, hidden());
    reveal(sent);
    hide(pair.secret_key.view().first(kInner));
    hide(pair.secret_key.view().last(kZ));
    reveal(kem1024_decaps(variant, pair.secret_key, sent.ciphertext));
    auto forged = sent.ciphertext;
    forged[0] ^= 1;  // rejected, which must not show
    reveal(kem1024_decaps(variant, pair.secret_key, forged));
  }
}

void kem768() {
  reveal(Kem768::keygen(hidden<64>()));
  const auto pair = Kem768::keygen(KemSeed(entropy.draw<64>()));
  const auto sent = Kem768::encaps1(pair.header, hidden());
  reveal(sent.first);
  const auto second = Kem768::encaps2(pair.vector, sent.state);
  reveal(second);
  constexpr std::size_t kInner = 1152, kZ = 32;
  hide(pair.secret_key.view().first(kInner));
  hide(pair.secret_key.view().last(kZ));
  reveal(Kem768::decaps(pair.secret_key, sent.first, second));
  auto forged = second;
  forged[0] ^= 1;
  reveal(Kem768::decaps(pair.secret_key, sent.first, forged));
}

// ---- faults on purpose

volatile int sink;

void planted_branch() {
  const Key key = hidden();
  for (const std::uint8_t octet : key.view()) {
    if (octet == 0) sink = 1;
  }
}

void planted_index() {
  static volatile std::uint8_t table[256];
  sink = table[hidden().view()[0]];
}

struct Case {
  const char* name;
  void (*run)();
  bool faulty = false;
};
constexpr Case kCases[] = {{"compare", compare},
                           {"key derivation", key_derivation},
                           {"MAC of a message", message_mac},
                           {"X25519", x25519},
                           {"XEdDSA", xeddsa},
                           {"AES-256-GCM-SIV", gcm_siv},
                           {"Kyber1024 and ML-KEM-1024", kem1024},
                           {"ML-KEM-768", kem768},
                           {"a branch on a secret is noticed", planted_branch, true},
                           {"a secret as an index is noticed", planted_index, true}};

}  // namespace

int main() {
  if (!RUNNING_ON_VALGRIND) {
    std::fprintf(stderr, "to be run under valgrind\n");
    return 2;
  }
  unsigned passed = 0, failed = 0;
  for (const Case& test : kCases) {
    const unsigned before = VALGRIND_COUNT_ERRORS;
    test.run();
    const bool noticed = VALGRIND_COUNT_ERRORS != before;
    const bool good = noticed == test.faulty;
    std::printf("%s: %s\n", test.name, good ? "ok" : test.faulty ? "NOT NOTICED" : "LEAKS");
    ++(good ? passed : failed);
  }
  std::printf("%u passed, %u failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
