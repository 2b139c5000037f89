// GroupWatch: plays who was in a group and is not, or is not yet. They keep every chain that their
// device ever had, as it was when it came, and see all that passes through the server. They read
// nothing of what was said while they were not in the group, and are shown nothing of it.
#pragma once

#include <map>
#include <set>

#include "e2e/sender_key.h"
#include "ports/store.h"
#include "proto/group_state.h"
#include "proto/messages.h"
#include "sim/verdict.h"

namespace godwit::sim {

class GroupWatch {
 public:
  // A person's device stores this.
  void stores(std::uint32_t person, const ports::Batch& batch);
  // The device that connects with this key sends this to a group; the server may take it or not.
  using Device = ByteArray<32>;
  void submitted(const Device& device, const proto::SubmitGroup& batch);
  // It was restored from a backup, and may tell its chain as it was then to who came since; and for
  // a while says something for a state that is over, which no server takes.
  void restored(const Device& device) { restored_.insert(device); }
  void shown(std::uint32_t person, GroupId group, MessageId id) {
    shown_.insert({person, group, id});
  }
  // `states`: all that the group was, by version. `users`: of the persons.
  using States = std::map<std::uint64_t, proto::GroupState>;
  void check(GroupId group, const States& states, const std::vector<UserId>& users,
             Verdict& verdict) const;

 private:
  struct Said {
    std::uint64_t version = 0;
    EnvelopeId id;
    Bytes ciphertext;
    Device writer{};
  };
  struct Hoard {
    std::set<std::pair<Bytes, std::uint32_t>> known;  // the row, the chain
    std::vector<e2e::SenderKey> chains;
  };
  std::map<GroupId, std::vector<Said>> said_;
  std::map<std::pair<std::uint32_t, GroupId>, Hoard> hoards_;
  std::set<std::tuple<std::uint32_t, GroupId, MessageId>> shown_;
  std::set<Device> restored_;
};

}  // namespace godwit::sim
