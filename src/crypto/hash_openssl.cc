// SHA-256 of what is there at once, and HMAC, by OpenSSL, which uses the processor's instructions
// for it: native builds. The functions are those that need no memory and no look-up by name: a
// message takes ten short hashes, and either would cost more than they do.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "crypto/hash.h"

namespace godwit::crypto {
namespace {

class Hash {
 public:
  Hash() { SHA256_Init(&state_); }
  Hash(const Hash&) = delete;
  Hash& operator=(const Hash&) = delete;
  ~Hash() { OPENSSL_cleanse(&state_, sizeof state_); }

  void add(ByteView piece) { SHA256_Update(&state_, piece.data(), piece.size()); }
  void finish(MutableByteView digest) { SHA256_Final(digest.data(), &state_); }

 private:
  SHA256_CTX state_;
};

}  // namespace

ByteArray<32> sha256(Parts parts) {
  Hash hash;
  for (const ByteView part : parts) hash.add(part);
  ByteArray<32> digest;
  hash.finish(digest);
  return digest;
}

Key hmac_sha256(ByteView key, Parts parts) {
  constexpr std::size_t kBlock = 64;
  Secret<kBlock> pad;
  if (key.size() > kBlock) {
    Hash shorter;
    shorter.add(key);
    shorter.finish(pad.mutable_view().first(32));
  } else {
    std::ranges::copy(key, pad.mutable_view().begin());
  }
  for (std::uint8_t& octet : pad.mutable_view()) octet ^= 0x36;
  Key tag;
  Hash inner, outer;
  inner.add(pad.view());
  for (const ByteView part : parts) inner.add(part);
  inner.finish(tag.mutable_view());
  for (std::uint8_t& octet : pad.mutable_view()) octet ^= 0x36 ^ 0x5c;
  outer.add(pad.view());
  outer.add(tag.view());
  outer.finish(tag.mutable_view());
  return tag;
}

}  // namespace godwit::crypto
