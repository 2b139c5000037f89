// AES-GCM, AES-CBC and the AES block function by OpenSSL: native builds.
#include <openssl/evp.h>

#include "base/check.h"
#include "crypto/aead.h"
#include "crypto/aes_block.h"
#include "crypto/cbc.h"

namespace godwit::crypto {
namespace {

// OpenSSL looks algorithms up by name, which costs more than encrypting a short text: once is
// enough.
const EVP_CIPHER* gcm() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  return cipher;
}
const EVP_CIPHER* cbc() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
  return cipher;
}
const EVP_CIPHER* ecb() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-ECB", nullptr);
  return cipher;
}

// One operation. Freeing it wipes the key schedule.
class Context {
 public:
  Context() : context_(EVP_CIPHER_CTX_new()) { CHECK(context_ != nullptr); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() { EVP_CIPHER_CTX_free(context_); }

  void init(const EVP_CIPHER* cipher, KeyView key, const std::uint8_t* iv, bool encrypt) {
    CHECK(EVP_CipherInit_ex2(context_, cipher, key.data(), iv, encrypt ? 1 : 0, nullptr) == 1);
  }
  // `out` may be null: then `in` is associated data. Returns the octets written.
  std::size_t update(std::uint8_t* out, ByteView in) {
    constexpr std::size_t kMax = 1 << 30;  // the library counts in int
    CHECK(in.size() <= kMax);
    int written = 0;
    if (in.empty()) return 0;
    CHECK(EVP_CipherUpdate(context_, out, &written, in.data(), static_cast<int>(in.size())) == 1);
    return static_cast<std::size_t>(written);
  }
  // nullopt: the tag or the padding is wrong.
  std::optional<std::size_t> finish(std::uint8_t* out) {
    int written = 0;
    if (EVP_CipherFinal_ex(context_, out, &written) != 1) return std::nullopt;
    return static_cast<std::size_t>(written);
  }
  void get_tag(std::uint8_t* tag) {
    CHECK(EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_GET_TAG, kGcmTag, tag) == 1);
  }
  void set_tag(ByteView tag) {
    CHECK(EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_SET_TAG, kGcmTag,
                              const_cast<std::uint8_t*>(tag.data())) == 1);
  }

 private:
  EVP_CIPHER_CTX* context_;
};

}  // namespace

void aes_gcm_seal(KeyView key, std::span<const std::uint8_t, kGcmNonce> nonce, ByteView associated,
                  ByteView text, Bytes& out) {
  const std::size_t start = out.size();
  out.resize(start + text.size() + kGcmTag);
  Context context;
  context.init(gcm(), key, nonce.data(), true);
  context.update(nullptr, associated);
  std::size_t end = start + context.update(out.data() + start, text);
  end += context.finish(out.data() + end).value_or(0);
  CHECK(end + kGcmTag == out.size());
  context.get_tag(out.data() + end);
}

Result<void> aes_gcm_open(KeyView key, std::span<const std::uint8_t, kGcmNonce> nonce,
                          ByteView associated, ByteView sealed, Bytes& out) {
  if (sealed.size() < kGcmTag) return fail(Code::kCorrupt, "shorter than its authentication tag");
  const ByteView text = sealed.first(sealed.size() - kGcmTag);
  const std::size_t start = out.size();
  out.resize(start + text.size());
  Context context;
  context.init(gcm(), key, nonce.data(), false);
  context.update(nullptr, associated);
  const std::size_t end = start + context.update(out.data() + start, text);
  context.set_tag(sealed.last(kGcmTag));
  if (!context.finish(out.data() + end)) {
    wipe(MutableByteView(out).subspan(start));
    out.resize(start);
    return fail(Code::kCorrupt, "the authentication tag does not match");
  }
  return {};
}

Bytes aes_cbc_encrypt(KeyView key, BlockView iv, ByteView text) {
  Bytes out(text.size() + kAesBlock);
  Context context;
  context.init(cbc(), key, iv.data(), true);
  std::size_t size = context.update(out.data(), text);
  size += context.finish(out.data() + size).value_or(0);
  CHECK(size == text.size() / kAesBlock * kAesBlock + kAesBlock);
  out.resize(size);
  return out;
}

Result<Bytes> aes_cbc_decrypt(KeyView key, BlockView iv, ByteView sealed) {
  if (sealed.empty() || sealed.size() % kAesBlock != 0) {
    return fail(Code::kCorrupt, "the ciphertext is not a whole number of blocks");
  }
  Bytes out(sealed.size() + kAesBlock);
  Context context;
  context.init(cbc(), key, iv.data(), false);
  const std::size_t size = context.update(out.data(), sealed);
  const auto last = context.finish(out.data() + size);
  if (!last) {
    wipe(out);
    return fail(Code::kCorrupt, "the padding is wrong");
  }
  out.resize(size + *last);
  return out;
}

void aes_encrypt_blocks(KeyView key, MutableByteView blocks) {
  CHECK(blocks.size() % kAesBlock == 0);
  Context context;
  context.init(ecb(), key, nullptr, true);
  CHECK(context.update(blocks.data(), blocks) == blocks.size());
}

}  // namespace godwit::crypto
