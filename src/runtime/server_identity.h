// ServerIdentity: what one server keeps across restarts: its Noise key, the directory's pepper,
// what its certificates are signed with, and the count of its starts, all in the store's kMeta
// space, partition "godwitd".
#pragma once

#include "base/entropy.h"
#include "crypto/curve.h"
#include "ports/store.h"

namespace godwit::runtime {

struct ServerIdentity {
  crypto::KeyPair key;  // clients know the server by it
  ByteArray<32> pepper{};  // without it the directory's rows name nobody
  crypto::Key certificate_seed;  // server/certifier.h
  std::uint32_t incarnation = 0;  // counts the starts from 1: no epoch is used by two of them

  // Loads it, or makes it on the first start; counts this start durably before it returns.
  // kCorrupt: what is stored is not an identity. Errors of the store as they are.
  static Result<ServerIdentity> start(ports::Store& store, Entropy& entropy);
};

}  // namespace godwit::runtime
