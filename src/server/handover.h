// Handover: what a shard tells the shard of another process that goes on with its connections.
//
// Fields: 1 = SessionRecord, 2 = AttachmentRecord. Both sides may be newer, as the codec has it;
// what an older one must not misread takes a new kHandoverLayout (runtime/handover.h).
#pragma once

#include "server/message.h"

namespace godwit::server {

struct SessionRecord {
  SessionId id;
  PeerKey peer{};
  UserId user;
  DeviceId device;
  std::uint8_t codes_requested = 0;
  std::uint64_t attachment = 0;
  std::uint64_t pushes = 0;
  static void fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.peer);
    field(3, m.user);
    field(4, m.device);
    field(5, m.codes_requested);
    field(6, m.attachment);
    field(7, m.pushes);
  }
};

// An attached device, and how far its mailbox is.
struct AttachmentRecord {
  EntityKey user{};
  DeviceId device;
  SessionAddress session;
  std::uint64_t id = 0;
  std::uint64_t pushes = 0;
  bool awake = false;  // it has not got, or not acknowledged, everything: what follows says what
  bool caught_up = false;
  Sequence acked;
  Sequence read;
  Bytes unacked;  // of each: sequence, size (be64 both)
  static constexpr std::size_t kUnackedSize = 16;
  static void fields(auto& m, auto& field) {
    field(1, m.user);
    field(2, m.device);
    field(3, m.session);
    field(4, m.id);
    field(5, m.pushes);
    field(6, m.awake);
    field(7, m.caught_up);
    field(8, m.acked);
    field(9, m.read);
    field(10, m.unacked, kUnackedSize * limits::kDeliverWindow);
  }
};

}  // namespace godwit::server
