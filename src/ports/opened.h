// Opened<T>: what opening a directory or a file gives: the thing, or why not.
//
// Unlike Error, whose text is fixed, the reason is told to the one person who starts the program:
// it names the path, and says what to do. It never holds a key, a phone number or content.
#pragma once

#include <expected>
#include <string>
#include <utility>

#include "base/result.h"

namespace godwit::ports {

struct OpenError {
  Code code;
  std::string text;
};

template <typename T>
using Opened = std::expected<T, OpenError>;

inline std::unexpected<OpenError> cannot_open(Code code, std::string text) {
  return std::unexpected(OpenError{code, std::move(text)});
}

}  // namespace godwit::ports
