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

bool is_phone(std::string_view text) {
  if (text.size() < 8 || text.size() > 16 || text[0] != '+' || text[1] == '0') return false;
  for (const char c : text.substr(1)) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

}  // namespace godwit::client
