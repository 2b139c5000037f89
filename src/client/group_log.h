// GroupLog: what this account said to groups, for members who could not read it and ask.
//
// Nobody confirms to it, so it is full most of the time; bounded in number, octets and age. Holds
// plaintext: what is deleted, or disappears, has to leave it. Who may be told is for groups.h.
#pragma once

#include <map>

#include "client/turn.h"

namespace godwit::client {

struct GroupSent {
  GroupSaid said;
  Instant accepted;
  static void fields(auto& m, auto& field) {
    field(1, m.said);
    field(2, m.accepted);
  }
};

// Something of a group that cannot be read before more is known of the group.
struct HeldRow {
  proto::Envelope envelope;
  std::optional<GroupSaid> said;  // it came in a session: there is no ciphertext
  static void fields(auto& m, auto& field) {
    field(1, m.envelope);
    field(2, m.said);
  }
};

// Names one content on its way to a group: the same on every retry.
EnvelopeId group_envelope_id(GroupId group, MessageId id);

class GroupLog {
 public:
  // The server took it; `order` is that of composing.
  void add(std::uint64_t order, GroupSaid said, Turn& turn);
  // What went out in this envelope; null: nothing, or not any more.
  const GroupSaid* find(EnvelopeId envelope) const;
  void forget(std::uint64_t order, Turn& turn);

  void load(std::uint64_t order, GroupSent sent) { keep(order, std::move(sent)); }
  void store_all(ports::Batch& batch) const;

 private:
  void keep(std::uint64_t order, GroupSent sent);

  std::map<std::uint64_t, GroupSent> entries_;
  std::map<EnvelopeId, std::uint64_t> by_envelope_;
  std::size_t octets_ = 0;
};

}  // namespace godwit::client
