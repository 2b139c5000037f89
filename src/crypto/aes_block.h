// AES-256 on single blocks: what each backend supplies (aes_openssl.cc, aes_bearssl.cc) and the
// modes of ctr.h and gcm_siv.h are made of. Internal to crypto: a block cipher alone hides nothing.
#pragma once

#include "crypto/secret.h"

namespace godwit::crypto {

// Encrypts each 16-octet block of `blocks` by itself, in place. Takes constant time.
// CHECKed: a whole number of blocks.
void aes_encrypt_blocks(KeyView key, MutableByteView blocks);

}  // namespace godwit::crypto
