#include "server/certifier.h"

#include "base/limits.h"
#include "crypto/kdf.h"

namespace godwit::server {
namespace {

constexpr std::uint32_t kServer = 1;  // one server, one key

crypto::KeyPair derive(const crypto::Key& seed, std::string_view what) {
  return crypto::KeyPair::from_private(
      crypto::hkdf_sha256<32>({}, seed.view(), view_of(what)).view());
}

}  // namespace

Certifier::Certifier(const crypto::Key& seed, Entropy& entropy)
    : keys_(derive(seed, "godwit certificates: server")) {
  const crypto::KeyPair root = derive(seed, "godwit certificates: trust root");
  trust_root_ = {root.public_key};
  server_ = crypto::ServerCertificate::issue(kServer, {keys_.public_key}, root, entropy);
}

Result<crypto::SenderCertificate> Certifier::certify(UserId user, DeviceId device,
                                                     ByteView identity_key, Env& env) const {
  const auto identity = crypto::PublicKey::parse(identity_key);
  if (!identity) return fail(Code::kInvalid, "the device's identity key is malformed");
  return crypto::SenderCertificate::issue(
      user, device, *identity, env.now + limits::kCertificateLifetime, server_, keys_, env.entropy);
}

}  // namespace godwit::server
