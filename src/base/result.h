// A value, or a canonical code with a static text that tells what to do.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

namespace godwit {

// Sent over the wire as their numbers: append only.
enum class Code : std::uint8_t {
  kInvalid = 1,        // the request itself is wrong; repeating it cannot help
  kNotFound = 2,       // no such user, device, key or row
  kUnauthenticated = 3,  // who you are was not shown
  kForbidden = 4,      // you may not
  kConflict = 5,       // the state changed under you: refresh, then repeat
  kTooLarge = 6,       // over a documented limit
  kFull = 7,           // a bounded queue has no room: repeat later
  kRateLimited = 8,    // repeat after the time given
  kUnavailable = 9,    // a part of the system cannot serve now: repeat later
  kCorrupt = 10,       // stored or received bytes do not verify
  kExpired = 11,       // it was valid once
  kDuplicate = 12,     // it has been processed before: drop it
  kUnsupported = 13,   // another version
  kIo = 14,            // the operating system refused
};

// The stable lower-case name of a code, e.g. "not_found": in JSON output, logs, metrics.
std::string_view code_name(Code code);

struct Error {
  Code code;
  std::string_view text;  // static storage; names no person and no content
};

template <typename T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(Code code, std::string_view static_text) {
  return std::unexpected(Error{code, static_text});
}
inline std::unexpected<Error> fail(Error error) { return std::unexpected(error); }

}  // namespace godwit

// Leaves the calling function with the error of `expression`, if it has one.
#define GODWIT_TRY(expression) \
  do { \
    if (auto try_result = (expression); !try_result) return ::godwit::fail(try_result.error()); \
  } while (false)
