// Certifier: vouches for who a device is, so that whoever it writes to can believe it without the
// server knowing that it writes (crypto/sender_certificate.h).
//
// Both of its keys, the trust root that clients keep and the one that signs from day to day, come
// from one seed, which the server keeps with its other keys. Immutable: shards of all threads share
// one.
#pragma once

#include "base/env.h"
#include "crypto/sender_certificate.h"

namespace godwit::server {

class Certifier {
 public:
  Certifier(const crypto::Key& seed, Entropy& entropy);

  const crypto::PublicKey& trust_root() const { return trust_root_; }
  // Valid for limits::kCertificateLifetime. kInvalid: `identity_key` is none.
  Result<crypto::SenderCertificate> certify(UserId user, DeviceId device, ByteView identity_key,
                                            Env& env) const;

 private:
  crypto::PublicKey trust_root_;
  crypto::KeyPair keys_;
  crypto::ServerCertificate server_;
};

}  // namespace godwit::server
