#include "client/types.h"

namespace godwit::client {

std::string_view status_name(Status status) {
  switch (status) {
    case Status::kQueued: return "queued";
    case Status::kSent: return "sent";
    case Status::kDelivered: return "delivered";
    case Status::kRead: return "read";
    case Status::kFailed: return "failed";
  }
  return "unknown";
}

Bytes chat_key(ChatId chat) {
  Bytes key{static_cast<std::uint8_t>(chat.kind)};
  append(key, chat.octets);
  return key;
}

ChatId chat_of(ByteView key) {
  if (key.size() < kChatKey) return {};
  const ByteArray<16> octets = *to_array<16>(key.subspan(1, 16));
  if (key[0] == static_cast<std::uint8_t>(ChatId::Kind::kPerson)) return UserId{octets};
  if (key[0] == static_cast<std::uint8_t>(ChatId::Kind::kGroup)) return GroupId{octets};
  return {};
}

bool is_phone(std::string_view text) {
  if (text.size() < 8 || text.size() > 16 || text[0] != '+' || text[1] == '0') return false;
  for (const char c : text.substr(1)) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

}  // namespace godwit::client
