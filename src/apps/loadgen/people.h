// People: the users that were registered, so that a later run can connect them again. One file:
// the key that they all share, the server's key, and a user id each.
#pragma once

#include <string>
#include <vector>

#include "base/id.h"
#include "crypto/curve.h"

namespace godwit::loadgen {

struct People {
  crypto::KeyPair key;
  crypto::CurvePoint server{};
  std::vector<UserId> users;

  static Result<People> load(const std::string& path);
  Result<void> save(const std::string& path) const;
};

// A number that no two users have, of German mobile form: +49152 and eight digits.
std::string phone_of(std::uint32_t user);

}  // namespace godwit::loadgen
