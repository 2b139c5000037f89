// A QR code drawn with half blocks: two modules per character, dark on light on any terminal.
#pragma once

#include <string>

#include "base/bytes.h"

namespace godwit::cli {

// Empty when the payload does not fit a code.
std::string qr_text(ByteView payload);

}  // namespace godwit::cli
