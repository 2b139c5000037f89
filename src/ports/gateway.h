// Gateway: the world outside: verification codes by SMS or voice (push notifications later).
//
// Best effort: an adapter may refuse (kInvalid: no such number; kUnavailable: try later) and may
// lose what it accepted. It sees phone numbers, so it never logs them.
#pragma once

#include <string_view>

#include "base/result.h"

namespace godwit::ports {

class Gateway {
 public:
  virtual ~Gateway() = default;
  // `phone` in E.164 ("+33612345678"), `code` six digits. May block; call off the loops.
  virtual Result<void> send_code(std::string_view phone, std::string_view code) = 0;
};

}  // namespace godwit::ports
