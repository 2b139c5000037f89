#include "proto/frame.h"

#include <algorithm>

namespace godwit::proto {

namespace {
constexpr std::size_t kFrameOverhead = 32;  // of lengths, kind and id
}  // namespace

void put_frame(Bytes& stream, const Frame& frame) {
  if (stream.empty()) stream.reserve(frame.body.size() + kFrameOverhead);
  put_delimited(stream, [&] { encode_to(stream, frame); });
}

Frame ok_frame(std::uint64_t id) { return {Kind::kOk, id, {}}; }

Frame error_frame(std::uint64_t id, Error error, Duration retry_after) {
  return make_frame(Kind::kError, id,
                    ErrorBody{error.code, std::string(error.text), retry_after, {}});
}

namespace {

// The frame at the head of `in` with its length prefix; nullopt while it is incomplete.
Result<std::optional<ByteView>> head(ByteView in, std::size_t& whole) {
  if (in.empty()) return std::nullopt;
  const ByteView prefix = in.first(std::min<std::size_t>(in.size(), 10));
  const bool cut = std::ranges::all_of(prefix, [](std::uint8_t b) { return b >= 0x80; });
  if (cut && in.size() < 4) return std::nullopt;
  Reader reader(in);
  const auto size = reader.varint();
  if (!size || *size > limits::kMaxFrame) {
    return fail(Code::kTooLarge, "a frame is over 1 MiB: close the connection");
  }
  if (reader.rest().size() < *size) return std::nullopt;
  const ByteView body = reader.rest().first(static_cast<std::size_t>(*size));
  whole = in.size() - reader.rest().size() + body.size();
  return body;
}

}  // namespace

Result<void> FrameReader::feed(Bytes&& octets) {
  if (!buffer_.empty()) return feed(ByteView(octets));
  buffer_ = std::move(octets);
  used_ = 0;
  return check_head();
}

Result<void> FrameReader::feed(ByteView octets) {
  if (used_ > 0) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(used_));
    used_ = 0;
  }
  append(buffer_, octets);
  return check_head();
}

Result<void> FrameReader::check_head() const {
  std::size_t whole = 0;
  if (auto first = head(buffer_, whole); !first) return fail(first.error());
  return {};
}

Result<std::optional<Frame>> FrameReader::next() {
  std::size_t whole = 0;
  const auto body = head(ByteView(buffer_).subspan(used_), whole);
  if (!body) return fail(body.error());
  if (!*body) {
    if (used_ == buffer_.size()) {
      Bytes().swap(buffer_);
      used_ = 0;
    }
    return std::nullopt;
  }
  auto frame = decode<Frame>(**body);
  if (!frame) return fail(frame.error());
  used_ += whole;
  return std::optional<Frame>(std::move(*frame));
}

}  // namespace godwit::proto
