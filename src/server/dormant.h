// Dormant: who is attached to accounts that are not in memory: phones that are connected, and
// sleep.
//
// Of an attached device that has everything, all that the store does not know is its Attachment. An
// account of which nothing else would be lost is therefore forgotten like one that is offline, and
// this is kept: about a hundred octets. Pings of sleeping phones, of which the session lets one
// through from time to time, are answered from here; everything else loads the account again.
//
// Bounded by the number of registered devices.
#pragma once

#include <map>
#include <optional>

#include "server/effects.h"
#include "server/handover.h"

namespace godwit::server {

// A session of a device, as the device's mailbox knows it.
struct Attachment {
  SessionAddress session;
  std::uint64_t id = 0;  // random, carried by pushes: none is taken for one of another attachment
  std::uint64_t pushes = 0;
};
static_assert(sizeof(Attachment) <= 32, "two million devices are attached and asleep at a time");

// Ends the session that sent this kAck or kPing: it is not its device's attachment any more.
Post lost_place(const Message& message);
// Answers a kPing with the number of pushes that left before: the session sees whether one of them
// is lost on the way. If no other follows, nobody else notices.
Post pong(const Attachment& attachment, const Message& message);

using Attachments = std::map<DeviceId, Attachment>;

class Dormant {
 public:
  // The account of `user` is forgotten.
  void sleep(const EntityKey& user, const Attachments& attachments);
  // The account of `user` was loaded: gives it what it slept with.
  Attachments wake(const EntityKey& user);
  // Does what `message` asks of an account that is not loaded; false if that takes the account.
  bool on_message(const Message& message, Effects& out);

  // Everybody who is attached, in order.
  const std::map<std::pair<EntityKey, DeviceId>, Attachment>& all() const { return attachments_; }
  // As sleep(), for one; quick when they come in order.
  void add(const AttachmentRecord& r) {
    attachments_.insert_or_assign(attachments_.end(), {r.user, r.device},
                                  Attachment{r.session, r.id, r.pushes});
  }

  std::size_t size() const { return attachments_.size(); }

 private:
  const Attachment* find(const EntityKey& user, DeviceId device) const;

  std::map<std::pair<EntityKey, DeviceId>, Attachment> attachments_;
};

}  // namespace godwit::server
