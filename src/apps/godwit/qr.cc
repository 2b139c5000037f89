#include "apps/godwit/qr.h"

#include <qrencode.h>

#include <algorithm>
#include <memory>

namespace godwit::cli {
namespace {

constexpr int kQuiet = 2;  // light modules around it; readers want some

QRcode* encoded(ByteView payload) {
  constexpr std::string_view kOthers = " $%*+-./:";
  const bool tight = std::ranges::all_of(payload, [&](std::uint8_t c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kOthers.contains(static_cast<char>(c));
  });
  if (!tight) {
    return QRcode_encodeData(static_cast<int>(payload.size()), payload.data(), 0, QR_ECLEVEL_L);
  }
  return QRcode_encodeString(to_string(payload).c_str(), 0, QR_ECLEVEL_L, QR_MODE_8, 1);
}

}  // namespace

std::string qr_text(ByteView payload) {
  const std::unique_ptr<QRcode, decltype(&QRcode_free)> code(encoded(payload), QRcode_free);
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
  text.pop_back();
  return text;
}

}  // namespace godwit::cli
