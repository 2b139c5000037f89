// How the parsers of this folder read their records. Internal to e2e.
#pragma once

#include "crypto/record.h"
#include "e2e/identity.h"

namespace godwit::e2e {

using crypto::put_key_pair;
using crypto::read_bytes;
using crypto::read_octets;
using crypto::read_public_key;
using crypto::read_record;
using crypto::read_uint;
using crypto::require;

}  // namespace godwit::e2e
