// SentLog: contents that the server took and their recipient has not confirmed, so that they can be
// sent again.
//
// Holds plaintext, bounded in number, octets and age; a message leaves when every device that it
// went to has confirmed it, so the log is usually empty. Receipts and keys of groups, which nobody
// confirms, leave when a later message is confirmed, and before messages do.
//
// What was said to groups is in a part of its own.
//
// Invariants:
//   * what is sent again is the same content under the same number, in an envelope of its own;
//   * it is sent to the devices of the identity key that it was first encrypted for, or never;
//   * nothing is sent again limits::kRepeatHorizon contents later: recipients recognise a
//     repetition for that long (recent_contents.h).
#pragma once

#include <map>
#include <set>

#include "client/group_log.h"

namespace godwit::client {

// Names one content on its way to one device; `repeat` counts how often it was sent again. The same
// on every retry, another for every incarnation of a device: the server drops repetitions by it.
// Tells nothing: item ids are random and travel encrypted.
EnvelopeId envelope_id(MessageId id, const proto::DeviceState& to, std::uint32_t repeat);

class SentLog {
 public:
  GroupLog groups;

  // The server took `sent`, which has its number, devices and identity.
  void add(Sent sent, Turn& turn);
  // A device of `from` has this message.
  void confirm(UserId from, DeviceId device, MessageId id, Turn& turn);

  // The order of the content that went to this device of `user` in this envelope the last time.
  std::optional<std::uint64_t> find(UserId user, DeviceId device, EnvelopeId envelope) const;
  // It is to be sent again: its recipient asked, limits::kRepeatsAtOnce times at most, or a round
  // without a confirmation is over. False: not any more, or it waits already.
  enum class Why : std::uint8_t { kAsked, kOverdue };
  bool repeat(std::uint64_t order, Why why, Turn& turn);
  // Was it sent again before?
  bool repeated(std::uint64_t order) const { return entries_.at(order).repeats != 0; }
  // Messages to `user` without a confirmation that should have come by `now`.
  std::vector<std::uint64_t> overdue(UserId user, Instant now) const;

  // What is to be sent to `user` again, in the order of composing.
  std::vector<std::uint64_t> due(UserId user) const;
  bool has_due(UserId user) const { return due_.contains(user); }
  bool any_due() const { return !due_.empty(); }
  std::vector<UserId> users_due() const;
  const Sent& at(std::uint64_t order) const { return entries_.at(order); }
  // The server took it again, for these devices.
  void on_repeated(std::uint64_t order, const std::vector<proto::DeviceState>& devices, Turn& turn);
  void forget(std::uint64_t order, Turn& turn);
  void forget(UserId user, Turn& turn);
  // Nothing of it may stay.
  void forget_if_there(std::uint64_t order, Turn& turn) {
    if (entries_.contains(order)) forget(order, turn);
    groups.forget(order, turn);
  }
  // Forgets what was encrypted for another identity of `user` than this.
  void keep_only(UserId user, ByteView identity, Turn& turn);

  std::vector<UserId> users() const;
  std::size_t size() const { return entries_.size(); }
  Result<void> load(Sent sent);
  void store_all(ports::Batch& batch) const;

 private:
  void keep(Sent sent);
  void store(std::uint64_t order, Turn& turn) const;
  void trim(UserId user, Turn& turn);

  std::map<std::uint64_t, Sent> entries_;  // by order of composing
  std::map<MessageId, std::uint64_t> by_id_;
  std::map<UserId, std::set<std::uint64_t>> by_user_;
  std::map<UserId, std::set<std::uint64_t>> due_;
  std::set<std::uint64_t> notices_;  // the first to go: a large group's keys are a thousand at once
  std::size_t octets_ = 0;
};

}  // namespace godwit::client
