#include "server/dormant.h"

namespace godwit::server {

bool Attachment::push_is_lost(std::uint64_t seen) {
  const bool lost = seen < pushes_reported;
  pushes_reported = pushes;
  return lost;
}

std::optional<Error> lost_place(Attachment* attachment, const Message& message) {
  if (attachment == nullptr || attachment->session != message.session) {
    return Error{Code::kConflict, "the connection lost its place: reconnect"};
  }
  if (message.verb == Verb::kPing && message.body.size() == 8 &&
      attachment->push_is_lost(get_be64(message.body))) {
    return Error{Code::kUnavailable, "a delivery was lost on the way: reconnect"};
  }
  return std::nullopt;
}

void Dormant::sleep(const EntityKey& user, const Attachments& attachments) {
  for (const auto& [device, attachment] : attachments) {
    attachments_.insert_or_assign({user, device}, attachment);
  }
}

Attachments Dormant::wake(const EntityKey& user) {
  Attachments out;
  auto it = attachments_.lower_bound({user, DeviceId{}});
  while (it != attachments_.end() && it->first.first == user) {
    out.emplace(it->first.second, it->second);
    it = attachments_.erase(it);
  }
  return out;
}

Attachment* Dormant::find(const EntityKey& user, DeviceId device) {
  const auto it = attachments_.find({user, device});
  return it == attachments_.end() ? nullptr : &it->second;
}

bool Dormant::on_message(const Message& message, Effects& out) {
  switch (message.verb) {
    case Verb::kDetach: {
      auto it = attachments_.lower_bound({message.to, DeviceId{}});
      while (it != attachments_.end() && it->first.first == message.to) {
        it = it->second.session == message.session ? attachments_.erase(it) : std::next(it);
      }
      return true;
    }
    // A device that sleeps has acknowledged everything.
    case Verb::kAck:
    case Verb::kPing:
      if (const auto error = lost_place(find(message.to, message.from_device), message)) {
        out.push_back(kick(message.session, *error));
      } else if (message.verb == Verb::kPing) {
        out.push_back(reply_to(message, proto::ok_frame(message.request)));
      }
      return true;
    default: return false;
  }
}

}  // namespace godwit::server
