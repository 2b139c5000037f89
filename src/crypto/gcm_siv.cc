#include "crypto/gcm_siv.h"

#include "crypto/aes_block.h"

namespace godwit::crypto {
namespace {

__extension__ using Uint128 = unsigned __int128;
using Block = ByteArray<16>;

std::uint64_t load_le64(ByteView from) {
  std::uint64_t out = 0;
  for (std::size_t i = 8; i-- > 0;) out = out << 8 | from[i];
  return out;
}

void store_le(MutableByteView to, std::uint64_t value) {
  for (auto& octet : to) {
    octet = static_cast<std::uint8_t>(value);
    value >>= 8;
  }
}

// The product of two polynomials over GF(2), bit i the coefficient of x^i. Multiplies every fifth
// bit of one with every fifth of the other as integers: at most 13 ones meet in a column, so the
// carries stay within the five bits and the lowest of them is the coefficient.
Uint128 multiply(std::uint64_t a, std::uint64_t b) {
  constexpr std::uint64_t kFifths = 0x1084210842108421;
  constexpr Uint128 kColumns = Uint128{0x2108421084210842} << 64 | kFifths;
  Uint128 out = 0;
  for (unsigned i = 0; i < 5; ++i) {
    for (unsigned j = 0; j < 5; ++j) {
      const Uint128 product = Uint128{a & kFifths << i} * (b & kFifths << j);
      const unsigned column = (i + j) % 5;
      out ^= product & kColumns << column;
    }
  }
  return out;
}

// POLYVAL (RFC 8452, section 3): blocks as elements of GF(2^128), lowest coefficient first.
class Polyval {
 public:
  explicit Polyval(ByteView key) : key_low_(load_le64(key)), key_high_(load_le64(key.subspan(8))) {}
  Polyval(const Polyval&) = delete;
  Polyval& operator=(const Polyval&) = delete;
  ~Polyval() { wipe({reinterpret_cast<std::uint8_t*>(this), sizeof *this}); }

  // The last block is filled up with zeros.
  void add(ByteView text) {
    while (!text.empty()) {
      Block block{};
      const std::size_t size = std::min(text.size(), block.size());
      std::ranges::copy(text.first(size), block.begin());
      add(load_le64(block), load_le64(ByteView(block).subspan(8)));
      text = text.subspan(size);
    }
  }
  // sum = (sum + block) * key * x^-128 mod x^128 + x^127 + x^126 + x^121 + 1
  void add(std::uint64_t low, std::uint64_t high) {
    low ^= sum_low_;
    high ^= sum_high_;
    const Uint128 bottom = multiply(low, key_low_), top = multiply(high, key_high_);
    const Uint128 middle = multiply(low ^ high, key_low_ ^ key_high_) ^ bottom ^ top;
    std::uint64_t words[4] = {
        static_cast<std::uint64_t>(bottom), static_cast<std::uint64_t>(bottom >> 64 ^ middle),
        static_cast<std::uint64_t>(top ^ middle >> 64), static_cast<std::uint64_t>(top >> 64)};
    // The modulus ends in ...0001, so adding word * modulus clears the word: a division by x^64.
    for (int i = 0; i < 2; ++i) {
      const std::uint64_t word = words[i];
      words[i + 1] ^= word << 63 ^ word << 62 ^ word << 57;
      words[i + 2] ^= word ^ word >> 1 ^ word >> 2 ^ word >> 7;
    }
    sum_low_ = words[2];
    sum_high_ = words[3];
  }
  Block sum() const {
    Block out;
    store_le(MutableByteView(out).first(8), sum_low_);
    store_le(MutableByteView(out).last(8), sum_high_);
    return out;
  }

 private:
  std::uint64_t key_low_, key_high_;
  std::uint64_t sum_low_ = 0, sum_high_ = 0;
};

// The keys of one nonce (section 4).
struct Keys {
  Secret<16> authentication;
  Key encryption;

  static Keys derive(KeyView key, GcmSivNonce nonce) {
    Secret<6 * 16> blocks;
    for (std::size_t i = 0; i < 6; ++i) {
      const auto block = blocks.mutable_view().subspan(16 * i, 16);
      block[0] = static_cast<std::uint8_t>(i);
      std::ranges::copy(nonce, block.begin() + 4);
    }
    aes_encrypt_blocks(key, blocks.mutable_view());
    Keys keys;
    for (std::size_t i = 0; i < 6; ++i) {  // the first half of each block
      const auto to = i < 2 ? keys.authentication.mutable_view().subspan(8 * i, 8)
                            : keys.encryption.mutable_view().subspan(8 * (i - 2), 8);
      std::ranges::copy(blocks.view().subspan(16 * i, 8), to.begin());
    }
    return keys;
  }
};

Block tag_of(const Keys& keys, GcmSivNonce nonce, ByteView associated, ByteView text) {
  Polyval polyval(keys.authentication.view());
  polyval.add(associated);
  polyval.add(text);
  polyval.add(std::uint64_t{associated.size()} * 8, std::uint64_t{text.size()} * 8);
  Block tag = polyval.sum();
  for (std::size_t i = 0; i < nonce.size(); ++i) tag[i] ^= nonce[i];
  tag[15] &= 0x7f;
  aes_encrypt_blocks(keys.encryption.view(), tag);
  return tag;
}

// Counter mode from the tag: a little-endian counter in the first four octets, modulo 2^32.
void crypt(const Key& key, ByteView tag, MutableByteView text) {
  SecretBytes stream(Bytes((text.size() + 15) / 16 * 16));
  auto counter = static_cast<std::uint32_t>(load_le64(tag));
  for (std::size_t at = 0; at < stream.size(); at += 16) {
    const auto block = stream.mutable_view().subspan(at, 16);
    std::ranges::copy(tag, block.begin());
    block[15] |= 0x80;
    store_le(block.first(4), counter++);
  }
  aes_encrypt_blocks(key.view(), stream.mutable_view());
  for (std::size_t i = 0; i < text.size(); ++i) text[i] ^= stream.view()[i];
}

}  // namespace

Bytes aes_gcm_siv_seal(KeyView key, GcmSivNonce nonce, ByteView associated, ByteView text) {
  const Keys keys = Keys::derive(key, nonce);
  const Block tag = tag_of(keys, nonce, associated, text);
  Bytes out;
  out.reserve(text.size() + kGcmSivTag);
  append(out, text);
  crypt(keys.encryption, tag, out);
  append(out, tag);
  return out;
}

Result<Bytes> aes_gcm_siv_open(KeyView key, GcmSivNonce nonce, ByteView associated,
                               ByteView sealed) {
  if (sealed.size() < kGcmSivTag) {
    return fail(Code::kCorrupt, "shorter than its authentication tag");
  }
  const Keys keys = Keys::derive(key, nonce);
  const ByteView tag = sealed.last(kGcmSivTag);
  Bytes text = to_bytes(sealed.first(sealed.size() - kGcmSivTag));
  crypt(keys.encryption, tag, text);
  if (!equal(tag_of(keys, nonce, associated, text), tag)) {
    wipe(text);
    return fail(Code::kCorrupt, "the authentication tag does not match");
  }
  return text;
}

}  // namespace godwit::crypto
