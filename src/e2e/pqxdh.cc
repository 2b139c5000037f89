#include "e2e/pqxdh.h"

#include "crypto/kdf.h"

namespace godwit::e2e {
namespace {

using crypto::Key;

// 0xFF * 32 || DH1 || DH2 || DH3 || [DH4] || [SS], section 3.3. A failed DH fails the whole.
class Secrets {
 public:
  Secrets() { std::ranges::fill(octets_.mutable_view().first<32>(), std::uint8_t{0xff}); }
  void add(const Result<Key>& shared) {
    if (!shared && !error_) error_ = shared.error();
    if (shared) put(*shared);
  }
  Result<Agreement> derive(const Key* kem) {
    if (error_) return fail(*error_);
    if (kem != nullptr) put(*kem);
    const ByteView input = octets_.view().first(static_cast<std::size_t>(size_));
    const std::string_view info =
        kem == nullptr ? "WhisperText" : "WhisperText_X25519_SHA-256_CRYSTALS-KYBER-1024";
    const auto out = crypto::hkdf_sha256<96>({}, input, view_of(info));
    return Agreement{Key(out.view().first<32>()), Key(out.view().subspan<32, 32>()),
                     Key(out.view().last<32>())};
  }

 private:
  void put(const Key& secret) {
    std::ranges::copy(secret.view(), octets_.mutable_view().begin() + size_);
    size_ += 32;
  }

  crypto::Secret<6 * 32> octets_;
  std::ptrdiff_t size_ = 32;
  std::optional<Error> error_;
};

}  // namespace

Result<Agreement> agree_as_initiator(const LocalIdentity& own, const crypto::KeyPair& base,
                                     const PrekeyBundle& bundle, const Key* kem) {
  Secrets secrets;
  secrets.add(crypto::dh(own.keys.private_key, bundle.signed_prekey.u));
  secrets.add(crypto::dh(base.private_key, bundle.identity_key.u));
  secrets.add(crypto::dh(base.private_key, bundle.signed_prekey.u));
  if (bundle.one_time_prekey) {
    secrets.add(crypto::dh(base.private_key, bundle.one_time_prekey->key.u));
  }
  return secrets.derive(kem);
}

Result<Agreement> agree_as_responder(const LocalIdentity& own, const SignedPrekey& signed_prekey,
                                     const OneTimePrekey* one_time, const PublicKey& their_identity,
                                     const PublicKey& their_base, const Key* kem) {
  if (!crypto::is_prime_order(their_base.u)) {
    return fail(Code::kCorrupt, "the base key is not a canonical point of prime order");
  }
  Secrets secrets;
  secrets.add(crypto::dh(signed_prekey.keys.private_key, their_identity.u));
  secrets.add(crypto::dh(own.keys.private_key, their_base.u));
  secrets.add(crypto::dh(signed_prekey.keys.private_key, their_base.u));
  if (one_time != nullptr) secrets.add(crypto::dh(one_time->keys.private_key, their_base.u));
  return secrets.derive(kem);
}

}  // namespace godwit::e2e
