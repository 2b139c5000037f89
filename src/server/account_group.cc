// What groups have for an account.
#include "server/account.h"
#include "server/group.h"

namespace godwit::server {

// What a group has for this user: for every device but the one that it comes from.
void Account::take_group(const Message& message, Effects& out) {
  std::vector<proto::Envelope> envelopes;
  std::size_t bytes = 0;
  for (const SharedBytes& octets : message.shared) {
    auto envelope = decode<proto::Envelope>(*octets);
    if (!envelope) continue;
    bytes += octets->size();
    envelopes.push_back(std::move(*envelope));
  }
  Taken how = devices_.empty() ? Taken::kGone : Taken::kStored;
  for (const auto& [id, device] : devices_) {
    if (!device.mailbox.has_room(envelopes.size(), bytes)) how = Taken::kFull;
  }
  if (how == Taken::kStored) {
    store_held(out);
    ports::Batch commit = batch();
    for (auto& [id, device] : devices_) {
      std::vector<proto::Delivery> deliveries;
      bool any = false;
      for (const proto::Envelope& envelope : envelopes) {
        if (envelope.from == UserId{user_} && envelope.from_device == id) continue;
        if (!device.mailbox.enqueue(envelope, sequences_, commit, deliveries)) continue;
        ++counters_.accepted;
        any = true;
      }
      if (any) store_stock(id, device, commit);
      push(device, std::move(deliveries), out);
    }
    if (!commit.empty()) out.push_back(Commit{std::move(commit)});
  } else if (how == Taken::kFull) {
    ++counters_.refused_full;
  }
  Message m;
  m.verb = Verb::kGroupTaken;
  m.to = message.from.octets;
  m.from = {user_};
  m.number = message.number;
  m.body = {static_cast<std::uint8_t>(how)};
  out.push_back(Post{std::move(m)});
  read_next(out);
}

}  // namespace godwit::server
