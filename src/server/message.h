// Message: what one entity posts to another, in this shard or over the bus.
//
// Delivery is at most once, in any order. Every receiver is idempotent or checks the session, the
// generation or the position that a message carries; whoever asked repeats what got no answer.
#pragma once

#include "base/codec.h"
#include "base/limits.h"

namespace godwit::server {

// The Noise static public key of the peer: a device's credential.
using PeerKey = ByteArray<32>;

enum class Verb : std::uint8_t {
  // to a directory entry (`to` = HandleMac)
  kRequestCode = 1,  // body: proto::RequestCode
  kVerify = 2,       // body: proto::Register
  kResolve = 3,      // which user is it?
  // to an account (`to` = UserId)
  kCreate = 16,        // body: proto::Register; number: generation of the registration
  kAttach = 17,        // from_device; number: the device's cursor
  kDetach = 18,        // the session is gone
  kAck = 19,           // number: sequence
  kPing = 20,          // number: sequence
  kLookup = 21,        // body: HandleMac octets; forwarded to the directory as kResolve
  kFetchBundles = 22,  // body: proto::FetchBundles
  kUploadPrekeys = 23,  // body: proto::UploadPrekeys
  kSubmit = 24,        // body: proto::Submit
  kHint = 25,  // body: proto::Hint; like kSubmit, `from` is nil when it comes without a name
  kCertify = 27,       // body: proto::Certify
  kGroupDeliver = 26,  // from: the group; number: position of the last; shared: proto::Envelopes
  // to a group (`to` = GroupId)
  kGroupChange = 32,  // body: proto::ChangeGroup
  kGroupFetch = 33,   // body: proto::FetchGroup
  kGroupSubmit = 34,  // body: proto::SubmitGroup
  kGroupTaken = 35,   // of an account: from; number: position; body: Taken
  kGroupWake = 36,    // something waits to be fanned out
  // to a session
  kReply = 48,     // body: a frame as it goes on the wire; number: pushes that left before
  kAttached = 49,  // like kReply; binds the session to from, from_device; number: attachment
  kPush = 50,      // body as kReply; request: attachment; number: its position there, from 1
  kKick = 51,      // body: proto::Closing. Ends the connection
};

constexpr bool to_directory(Verb verb) { return verb <= Verb::kResolve; }
constexpr bool to_group(Verb verb) {
  return verb >= Verb::kGroupChange && verb <= Verb::kGroupWake;
}
constexpr bool to_session(Verb verb) { return verb >= Verb::kReply; }

struct SessionAddress {
  ShardId shard;
  SessionId id;
  auto operator<=>(const SessionAddress&) const = default;
  static void fields(auto& m, auto& field) {
    field(1, m.shard);
    field(2, m.id);
  }
};

using EntityKey = ByteArray<16>;

struct Message {
  Verb verb{};
  EntityKey to{};
  SessionAddress session;     // who asked, and where the answer goes; the target of to_session()
  std::uint64_t request = 0;  // the frame's id; 0: nobody waits for an answer
  UserId from;                // of an attached session
  DeviceId from_device;
  PeerKey peer{};
  std::uint64_t number = 0;
  Bytes body;
  std::vector<SharedBytes> shared;  // octets of many messages at once
  static void fields(auto& m, auto& field) {
    field(1, m.verb);
    field(2, m.to);
    field(3, m.session);
    field(4, m.request);
    field(5, m.from);
    field(6, m.from_device);
    field(7, m.peer);
    field(8, m.number);
    field(9, m.body, limits::kMaxFrame + 16);
    field(10, m.shared, limits::kFanoutBatch);
  }
};

}  // namespace godwit::server
