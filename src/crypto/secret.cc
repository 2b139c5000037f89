#include "crypto/secret.h"

#include <sodium/utils.h>

namespace godwit::crypto {

void wipe(MutableByteView bytes) { sodium_memzero(bytes.data(), bytes.size()); }

bool equal(ByteView a, ByteView b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace godwit::crypto
