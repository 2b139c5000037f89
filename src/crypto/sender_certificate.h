// Certificates of sealed sender: the service vouches for who writes, without seeing what it
// carries.
//
// The trust root, which clients are built with, signs the keys of servers; a server signs for a
// day or so that a device of an account has an identity key. Byte-compatible with libsignal; phone
// numbers, which its format has room for, are neither written nor kept.
#pragma once

#include "base/id.h"
#include "base/time.h"
#include "crypto/public_key.h"

namespace godwit::crypto {

struct ServerCertificate {
  std::uint32_t id = 0;
  PublicKey key;
  Bytes wire;  // as signed; what encloses it needs no other field

  static ServerCertificate issue(std::uint32_t id, const PublicKey& key, const KeyPair& trust_root,
                                 Entropy& entropy);
  // Checks no signature: SenderCertificate::validate() does. kCorrupt: malformed.
  static Result<ServerCertificate> parse(ByteView wire);
};

struct SenderCertificate {
  UserId user;
  DeviceId device;
  PublicKey identity_key;
  Instant expires;
  ServerCertificate server;
  Bytes wire;

  static SenderCertificate issue(UserId user, DeviceId device, const PublicKey& identity_key,
                                 Instant expires, const ServerCertificate& server,
                                 const KeyPair& server_keys, Entropy& entropy);
  // Checks no signature: see validate(). kCorrupt: malformed, or the user is no UUID.
  // kUnsupported: names the server's certificate by number instead of enclosing it.
  static Result<SenderCertificate> parse(ByteView wire);
  // kForbidden: the trust root did not sign the server's key, or that key this certificate.
  // kExpired: at `at`, which is when the server received the message, it was no longer valid.
  Result<void> validate(const PublicKey& trust_root, Instant at) const;
};

}  // namespace godwit::crypto
