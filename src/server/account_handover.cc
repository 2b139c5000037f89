// Account's part in a handover to another process (server/handover.h).
#include "server/account.h"

namespace godwit::server {

std::vector<AttachmentRecord> Account::hand_over() const {
  std::vector<AttachmentRecord> out;
  for (const auto& [id, device] : devices_) {
    const Attachment* at = device.mailbox.attachment();
    if (at == nullptr) continue;
    out.push_back({user_, id, at->session, at->id, at->pushes});
    device.mailbox.hand_over(out.back());
  }
  return out;
}

void Account::resume(const AttachmentRecord& record) {
  const auto device = devices_.find(record.device);
  if (device != devices_.end()) device->second.mailbox.resume(record);
}

}  // namespace godwit::server
