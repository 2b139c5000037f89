// The stream of frames inside a channel. The first octet says in which pieces it arrives.
#include "proto/frame.h"

#include "base/check.h"
#include "fuzz.h"

using namespace godwit;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::size_t step = input.octet() + 1U;
  ByteView left = input.rest();
  proto::FrameReader reader;
  while (!left.empty()) {
    const ByteView piece = left.first(std::min(step, left.size()));
    left = left.subspan(piece.size());
    if (!reader.feed(piece)) return 0;
    for (;;) {
      const auto frame = reader.next();
      if (!frame) return 0;
      if (!*frame) break;
      Bytes written;
      proto::put_frame(written, **frame);
      proto::FrameReader again;
      CHECK(again.feed(written));
      const auto read = again.next();
      CHECK(read && *read && encode(**read) == encode(**frame) && again.next());
    }
  }
  return 0;
}
