#include "apps/godwit/qr.h"

#include <qrencode.h>

#include <memory>

namespace godwit::cli {
namespace {

constexpr int kQuiet = 2;  // light modules around it; readers want some

}  // namespace

std::string qr_text(ByteView payload) {
  const std::unique_ptr<QRcode, decltype(&QRcode_free)> code(
      QRcode_encodeData(static_cast<int>(payload.size()), payload.data(), 0, QR_ECLEVEL_L),
      QRcode_free);
  if (!code) return {};
  const int width = code->width;
  const auto dark = [&](int x, int y) {
    return x >= 0 && y >= 0 && x < width && y < width && (code->data[y * width + x] & 1) != 0;
  };
  std::string text;
  for (int y = -kQuiet; y < width + kQuiet; y += 2) {
    text += "  \x1b[30;107m";
    for (int x = -kQuiet; x < width + kQuiet; ++x) {
      const bool top = dark(x, y), bottom = dark(x, y + 1);
      text += top && bottom ? "█" : top ? "▀" : bottom ? "▄" : " ";
    }
    text += "\x1b[0m\n";
  }
  return text;
}

}  // namespace godwit::cli
