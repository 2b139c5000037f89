// Frames in the octet stream of a Noise channel: varint length || encoded Frame, back to back.
//
// The channel's records are a stream: a record may hold many frames (batching), and a frame may
// span records. On the socket a record is u16 big-endian length || Noise message.
#pragma once

#include <optional>

#include "proto/messages.h"

namespace godwit::proto {

// Opens the connection, before the first handshake message; part of the Noise prologue.
inline constexpr ByteArray<4> kPreamble = {'G', 'W', 1, 0};  // the third octet is the version
enum class Handshake : std::uint8_t { kXX = 1, kIK = 2 };    // follows the preamble, one octet

// Appends a frame to the stream.
void put_frame(Bytes& stream, const Frame& frame);

template <typename Body>
Frame make_frame(Kind kind, std::uint64_t id, const Body& body) {
  return {kind, id, encode(body)};
}
Frame ok_frame(std::uint64_t id);
Frame error_frame(std::uint64_t id, Error error, Duration retry_after = {});

// Cuts a stream into frames. Holds octets only while a frame is incomplete.
class FrameReader {
 public:
  // Adds octets that arrived. kTooLarge: a frame over limits::kMaxFrame; close the connection.
  Result<void> feed(ByteView octets);
  Result<void> feed(Bytes&& octets);  // takes them, when nothing else waits
  // The next whole frame, nullopt when there is none yet, kCorrupt when it is malformed.
  Result<std::optional<Frame>> next();
  bool idle() const { return buffer_.empty(); }
  // Octets of an incomplete frame; another reader goes on when it is fed with them.
  ByteView waiting() const { return ByteView(buffer_).subspan(used_); }

 private:
  Result<void> check_head() const;

  Bytes buffer_;
  std::size_t used_ = 0;  // octets of buffer_ already returned
};

}  // namespace godwit::proto
