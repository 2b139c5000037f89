#include "client/content.h"

namespace godwit::client {

Bytes seal_content(const Content& content) {
  Bytes out = encode(content);
  out.push_back(0x80);
  out.resize((out.size() + kPadding - 1) / kPadding * kPadding);
  return out;
}

Result<Content> open_content(ByteView padded) {
  while (!padded.empty() && padded.back() == 0) padded = padded.first(padded.size() - 1);
  if (padded.empty() || padded.back() != 0x80) {
    return fail(Code::kCorrupt, "the padding of a message is damaged");
  }
  auto content = decode<Content>(padded.first(padded.size() - 1));
  if (!content) return content;
  const bool numbered = content->number != 0;  // all but hints are
  if (content->id.is_nil() || content->stream == 0 || numbered == content->typing.has_value()) {
    return fail(Code::kCorrupt, "a message lacks its identification");
  }
  if (content->text && !is_utf8(view_of(content->text->body))) {
    return fail(Code::kCorrupt, "a message is not UTF-8");
  }
  return content;
}

}  // namespace godwit::client
