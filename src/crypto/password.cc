#include "crypto/password.h"

#include <sodium/crypto_pwhash_argon2id.h>

namespace godwit::crypto {

Result<Key> argon2id(ByteView password, std::span<const std::uint8_t, 16> salt, Argon2Cost cost) {
  static_assert(crypto_pwhash_argon2id_SALTBYTES == 16);
  constexpr std::size_t kKib = 1024;
  if (cost.passes < crypto_pwhash_argon2id_OPSLIMIT_MIN || cost.memory_kib < 8 ||
      cost.memory_kib > crypto_pwhash_argon2id_MEMLIMIT_MAX / kKib ||
      password.size() > crypto_pwhash_argon2id_PASSWD_MAX) {
    return fail(Code::kInvalid, "the password's cost is out of range");
  }
  Key key;
  if (crypto_pwhash_argon2id(key.mutable_view().data(), 32, text_of(password).data(),
                             password.size(), salt.data(), cost.passes, cost.memory_kib * kKib,
                             crypto_pwhash_argon2id_ALG_ARGON2ID13) != 0) {
    return fail(Code::kUnavailable, "not enough memory for the password's cost");
  }
  return key;
}

}  // namespace godwit::crypto
