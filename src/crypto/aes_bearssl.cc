// AES-GCM and AES-CBC by BearSSL: WebAssembly builds. Its "ct64" AES is bitsliced, so its time does
// not depend on keys or texts; OpenSSL's speed comes from instructions that WebAssembly lacks.
#include <bearssl_aead.h>
#include <bearssl_block.h>

#include "base/check.h"
#include "crypto/aead.h"
#include "crypto/aes_block.h"
#include "crypto/cbc.h"

namespace godwit::crypto {
namespace {

template <typename T>
void wipe_object(T& object) {
  wipe({reinterpret_cast<std::uint8_t*>(&object), sizeof object});
}

// One GCM operation over `data`, in place.
class Gcm {
 public:
  Gcm(KeyView key, std::span<const std::uint8_t, kGcmNonce> nonce, ByteView associated) {
    br_aes_ct64_ctr_init(&keys_, key.data(), key.size());
    br_gcm_init(&gcm_, &keys_.vtable, br_ghash_ctmul64);
    br_gcm_reset(&gcm_, nonce.data(), nonce.size());
    br_gcm_aad_inject(&gcm_, associated.data(), associated.size());
    br_gcm_flip(&gcm_);
  }
  Gcm(const Gcm&) = delete;
  Gcm& operator=(const Gcm&) = delete;
  ~Gcm() {
    wipe_object(keys_);
    wipe_object(gcm_);
  }
  void run(bool encrypt, MutableByteView data) {
    br_gcm_run(&gcm_, encrypt ? 1 : 0, data.data(), data.size());
  }
  ByteArray<kGcmTag> tag() {
    ByteArray<kGcmTag> tag;
    br_gcm_get_tag(&gcm_, tag.data());
    return tag;
  }

 private:
  br_aes_ct64_ctr_keys keys_;
  br_gcm_context gcm_;
};

// The number of padding octets at the end, 0 when they are malformed. Looks at the whole last block
// whatever it holds.
std::size_t padding_of(ByteView text) {
  const ByteView block = text.last(kAesBlock);
  const std::size_t padding = block.back();
  bool good = padding >= 1 && padding <= kAesBlock;
  for (std::size_t i = 1; i <= kAesBlock; ++i) {
    good &= i > padding || block[kAesBlock - i] == padding;
  }
  return good ? padding : 0;
}

}  // namespace

void aes_gcm_seal(KeyView key, std::span<const std::uint8_t, kGcmNonce> nonce, ByteView associated,
                  ByteView text, Bytes& out) {
  const std::size_t start = out.size();
  append(out, text);
  Gcm gcm(key, nonce, associated);
  gcm.run(true, MutableByteView(out).subspan(start));
  append(out, gcm.tag());
}

Result<void> aes_gcm_open(KeyView key, std::span<const std::uint8_t, kGcmNonce> nonce,
                          ByteView associated, ByteView sealed, Bytes& out) {
  if (sealed.size() < kGcmTag) return fail(Code::kCorrupt, "shorter than its authentication tag");
  const std::size_t start = out.size();
  append(out, sealed.first(sealed.size() - kGcmTag));
  Gcm gcm(key, nonce, associated);
  gcm.run(false, MutableByteView(out).subspan(start));
  if (!equal(gcm.tag(), sealed.last(kGcmTag))) {
    wipe(MutableByteView(out).subspan(start));
    out.resize(start);
    return fail(Code::kCorrupt, "the authentication tag does not match");
  }
  return {};
}

Bytes aes_cbc_encrypt(KeyView key, BlockView iv, ByteView text) {
  const std::size_t padding = kAesBlock - text.size() % kAesBlock;
  Bytes out;
  out.reserve(text.size() + padding);
  append(out, text);
  out.resize(text.size() + padding, static_cast<std::uint8_t>(padding));
  ByteArray<kAesBlock> chained;
  std::ranges::copy(iv, chained.begin());
  br_aes_ct64_cbcenc_keys keys;
  br_aes_ct64_cbcenc_init(&keys, key.data(), key.size());
  br_aes_ct64_cbcenc_run(&keys, chained.data(), out.data(), out.size());
  wipe_object(keys);
  return out;
}

Result<Bytes> aes_cbc_decrypt(KeyView key, BlockView iv, ByteView sealed) {
  if (sealed.empty() || sealed.size() % kAesBlock != 0) {
    return fail(Code::kCorrupt, "the ciphertext is not a whole number of blocks");
  }
  Bytes out = to_bytes(sealed);
  ByteArray<kAesBlock> chained;
  std::ranges::copy(iv, chained.begin());
  br_aes_ct64_cbcdec_keys keys;
  br_aes_ct64_cbcdec_init(&keys, key.data(), key.size());
  br_aes_ct64_cbcdec_run(&keys, chained.data(), out.data(), out.size());
  wipe_object(keys);
  const std::size_t padding = padding_of(out);
  if (padding == 0) {
    wipe(out);
    return fail(Code::kCorrupt, "the padding is wrong");
  }
  out.resize(out.size() - padding);
  return out;
}

void aes_encrypt_blocks(KeyView key, MutableByteView blocks) {
  CHECK(blocks.size() % kAesBlock == 0);
  br_aes_ct64_cbcenc_keys keys;
  br_aes_ct64_cbcenc_init(&keys, key.data(), key.size());
  for (std::size_t at = 0; at < blocks.size(); at += kAesBlock) {
    ByteArray<kAesBlock> zero_iv{};  // CBC of one block from zero is the block cipher itself
    br_aes_ct64_cbcenc_run(&keys, zero_iv.data(), blocks.data() + at, kAesBlock);
  }
  wipe_object(keys);
}

}  // namespace godwit::crypto
