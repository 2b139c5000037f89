#include "client/content.h"

#include <algorithm>

namespace godwit::client {
namespace {

// A clock may be wrong; what is reckoned with it stays within its type.
bool sane(Instant composed) {
  constexpr std::int64_t kLatest = std::int64_t{1} << 48;
  return composed.ms >= 0 && composed.ms <= kLatest;
}

}  // namespace

bool well_formed(const Extras& extras) {
  const auto text = [](const std::string& each) { return is_utf8(view_of(each)); };
  if (extras.quote && !text(extras.quote->snippet)) return false;
  if (!std::ranges::all_of(extras.mentions, is_phone)) return false;
  if (const auto& preview = extras.preview; preview) {
    if (!text(preview->url) || !text(preview->title) || !text(preview->description)) return false;
  }
  if (extras.poll) {
    if (extras.poll->options.size() < 2) return false;
    for (const std::string& option : extras.poll->options) {
      if (option.empty() || option.size() > limits::kMaxName || !text(option)) return false;
    }
  }
  if (extras.card && (!text(extras.card->name) || !is_phone(extras.card->phone))) return false;
  if (const auto& place = extras.place; place) {
    constexpr std::int64_t kDegree = 10'000'000;
    if (place->latitude < -90 * kDegree || place->latitude > 90 * kDegree) return false;
    if (place->longitude < -180 * kDegree || place->longitude > 180 * kDegree) return false;
    if (!text(place->name)) return false;
  }
  return extras.lifetime.ms >= 0 && extras.lifetime <= limits::kLongestLifetime;
}

bool well_formed(const Act& act) {
  if (act.target.is_nil() || act.revision == 0 || !is_utf8(view_of(act.text))) return false;
  return act.kind != Act::Kind::kReaction || act.text.size() <= limits::kMaxReaction;
}

bool well_formed(const GroupSaid& said) {
  if (said.group.is_nil() || said.id.is_nil() || !sane(said.composed)) return false;
  if (said.text.has_value() == said.act.has_value()) return false;
  if (said.act) return well_formed(*said.act);
  return is_utf8(view_of(said.text->body)) && well_formed(said.text->extras);
}

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
  if (!sane(content->composed)) {
    return fail(Code::kCorrupt, "a message has no time");
  }
  if (content->id.is_nil() || content->stream == 0 || numbered == content->typing.has_value()) {
    return fail(Code::kCorrupt, "a message lacks its identification");
  }
  if (content->text &&
      (!is_utf8(view_of(content->text->body)) || !well_formed(content->text->extras))) {
    return fail(Code::kCorrupt, "a message is not UTF-8, or not whole");
  }
  if (content->act && !well_formed(*content->act)) {
    return fail(Code::kCorrupt, "a change of a message is not whole");
  }
  if (content->repeat && !well_formed(*content->repeat)) {
    return fail(Code::kCorrupt, "what was said to a group is not whole");
  }
  if (content->text && content->act) {
    return fail(Code::kCorrupt, "a message says two things");
  }
  return content;
}

}  // namespace godwit::client
