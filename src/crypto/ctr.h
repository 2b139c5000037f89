// AES-256 in counter mode (NIST SP 800-38A) from a zero counter block.
//
// There is no nonce, so a key encrypts one text and is thrown away: derive a fresh one each time.
// Authenticates nothing: check a MAC over the ciphertext before decrypting.
#pragma once

#include "crypto/secret.h"

namespace godwit::crypto {

// Encrypts or decrypts, which are the same.
Bytes aes_ctr(KeyView key, ByteView text);

}  // namespace godwit::crypto
