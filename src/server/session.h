// Session: one connection that completed its handshake, and the device that it speaks for.
//
// It checks and routes requests, and passes answers and pushes on. It holds no store rows, no
// ciphertext and no clock; while idle it is this object and nothing else.
//
// Invariant: pushes reach the device gaplessly in the order of their account, or the connection
// ends (RELIABILITY R11): the device's acknowledgement is cumulative.
#pragma once

#include "server/effects.h"
#include "server/handover.h"

namespace godwit::server {

class Session {
 public:
  Session(SessionAddress self, const PeerKey& peer) : self_(self), peer_(peer) {}

  // Goes on as `record` says.
  Session(ShardId shard, const SessionRecord& record);
  SessionRecord record() const;

  // `pepper` keys the directory's handles.
  void on_frame(proto::Frame frame, ByteView pepper, Instant now, Effects& out);
  // kReply, kAttached, kPush, kKick.
  void on_message(Message message, Effects& out);
  void on_closed(Effects& out);

 private:
  bool attached() const { return attachment_ != 0; }
  Message request(Verb verb, proto::Frame& frame) const;
  void request_code(proto::Frame& frame, ByteView pepper, Effects& out);
  void register_device(proto::Frame& frame, ByteView pepper, Effects& out);
  void attach(proto::Frame& frame, Effects& out);
  void lookup(proto::Frame& frame, ByteView pepper, Effects& out);
  void to_own_account(Verb verb, proto::Frame& frame, Effects& out);
  // For requests whose body starts with the user or group that they concern.
  void to_addressee(Verb verb, proto::Frame& frame, Effects& out);
  // Of somebody who shows the addressee's access key, and no name.
  void nameless(Verb verb, proto::Frame& frame, Instant now, Effects& out);
  void cursor(Verb verb, proto::Frame& frame, Instant now, Effects& out);
  void refuse_frame(const proto::Frame& frame, Error error, Effects& out) const;
  void end(Error error, Effects& out) const;

  SessionAddress self_;
  PeerKey peer_;
  UserId user_;
  DeviceId device_;
  std::uint8_t codes_requested_ = 0;
  std::uint16_t account_asked_ = 0;  // by a ping or acknowledgement: seconds of the clock, low bits
  std::uint16_t nameless_ = 0;  // requests within the minute; an upgrade forgets them
  std::uint32_t nameless_minute_ = 0;  // of the clock
  // As the account was told, its low bits: enough to see that there is news. An upgrade forgets it.
  std::uint32_t acknowledged_ = 0;
  std::uint64_t attachment_ = 0;
  std::uint64_t pushes_ = 0;
};
static_assert(sizeof(Session) <= 96, "two million of them are idle at a time");

}  // namespace godwit::server
