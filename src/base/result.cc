#include "base/result.h"

namespace godwit {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::kInvalid: return "invalid";
    case Code::kNotFound: return "not_found";
    case Code::kUnauthenticated: return "unauthenticated";
    case Code::kForbidden: return "forbidden";
    case Code::kConflict: return "conflict";
    case Code::kTooLarge: return "too_large";
    case Code::kFull: return "full";
    case Code::kRateLimited: return "rate_limited";
    case Code::kUnavailable: return "unavailable";
    case Code::kCorrupt: return "corrupt";
    case Code::kExpired: return "expired";
    case Code::kDuplicate: return "duplicate";
    case Code::kUnsupported: return "unsupported";
    case Code::kIo: return "io";
  }
  return "unknown";
}

}  // namespace godwit
