#include "server/dormant.h"

namespace godwit::server {

Post lost_place(const Message& message) {
  return kick(message.session, {Code::kConflict, "the connection is not the device's: reconnect"});
}

Post pong(const Attachment& attachment, const Message& message) {
  Post answer = reply_to(message, proto::ok_frame(message.request));
  answer.message.number = attachment.pushes;
  return answer;
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

const Attachment* Dormant::find(const EntityKey& user, DeviceId device) const {
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
    case Verb::kPing: {
      const Attachment* at = find(message.to, message.from_device);
      if (at == nullptr || at->session != message.session) out.push_back(lost_place(message));
      else if (message.verb == Verb::kPing) out.push_back(pong(*at, message));
      return true;
    }
    default: return false;
  }
}

}  // namespace godwit::server
