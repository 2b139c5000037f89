// Phone numbers as people write them, to E.164.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace godwit::adapters {

// "+33 6 12 34 56 78" -> "+33612345678". The number has to begin with + and its country code, and
// be one that its country's numbering plan gives out. kInvalid otherwise; the text says which.
Result<std::string> parse_phone(std::string_view text);

}  // namespace godwit::adapters
