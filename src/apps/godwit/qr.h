// A QR code drawn with half blocks: two modules per character, dark on light on any terminal.
#pragma once

#include <string>

#include "base/bytes.h"

namespace godwit::cli {

// Lines without the last one's end; empty when the payload does not fit a code. Capitals, digits
// and a few signs take two thirds of the room.
std::string qr_text(ByteView payload);

}  // namespace godwit::cli
