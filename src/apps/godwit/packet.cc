#include "apps/godwit/packet.h"

namespace godwit::cli {

void put_packet(Bytes& stream, PacketKind kind, ByteView body) {
  put_be32(stream, static_cast<std::uint32_t>(body.size() + 1));
  stream.push_back(static_cast<std::uint8_t>(kind));
  append(stream, body);
}

Result<std::optional<Packet>> PacketReader::next() {
  const ByteView rest = ByteView(buffer_).subspan(used_);
  if (rest.size() >= 4) {
    const std::size_t size = get_be32(rest);
    if (size == 0 || size > kMaxPacket) return fail(Code::kTooLarge, "a packet is too large");
    if (rest.size() >= 4 + size) {
      used_ += 4 + size;
      return Packet{static_cast<PacketKind>(rest[4]), to_bytes(rest.subspan(5, size - 1))};
    }
  }
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(used_));
  used_ = 0;
  return std::nullopt;
}

}  // namespace godwit::cli
