// Groups: the groups of this account: their verified states, the changes and texts that wait, the
// chains that read what members send.
//
// A state is adopted only when it follows from a trusted one by signed transitions, or when a
// member vouched for its digest in a session of the two; what does not verify is refused and told
// (GroupRefused). The own chain is told to every member before the first message under it, and made
// anew when anybody leaves. One request per group is under way: a change, a message batch or a
// question; so everything of a group happens in one order.
#pragma once

#include <deque>
#include <map>
#include <set>

#include "client/connection.h"
#include "client/courier.h"
#include "client/group_rows.h"
#include "client/lookups.h"
#include "client/recent_contents.h"
#include "e2e/sender_key.h"

namespace godwit::client {

class Groups {
 public:
  struct Parts {
    const Registration& registration;
    const Keyring& keyring;
    Contacts& contacts;
    Outbox& outbox;
    Courier& courier;
    Lookups& lookups;
    Connection& connection;
    RecentContents& recent;
    Receipts& receipts;
    Journal& journal;
    Ledger& ledger;
  };
  explicit Groups(Parts parts) : parts_(parts) {}

  // ---- commands

  GroupId create(std::string_view name, Turn& turn);
  // kNotFound: no such group here. The change is made as soon as the server can be asked.
  Result<void> change(GroupId group, Intent intent, Turn& turn);
  Result<void> rename(GroupId group, std::string_view name, Turn& turn);
  Result<MessageId> send(GroupId group, Text text, Turn& turn);
  Result<void> act(GroupId group, const Act& act, Turn& turn);
  bool knows(GroupId group) const { return groups_.contains(group); }
  bool has_member(GroupId group, UserId user) const;
  std::vector<UserId> others(GroupId group) const;  // the members but this account
  // What a member may do in the chat, by the state that is known here now: what an admin of before
  // says later is not obeyed.
  Rights rights(GroupId group, UserId user) const;
  std::vector<GroupView> list() const;

  // ---- what arrives

  void on_key(UserId from, DeviceId device, const GroupKey& key, Turn& turn);
  void on_change(const proto::Envelope& envelope, Turn& turn);
  // The content of a message; nothing: it waits, was seen before or (not `readable`) its sender has
  // to be asked.
  std::optional<Content> open(const proto::Envelope& envelope, bool& readable, Turn& turn);
  // Envelopes that waited for their group's state, which is known now.
  std::vector<proto::Envelope> take_released(Turn& turn);
  // `user` could not read something: whatever they lack is told again with the next message.
  void forget_told(UserId user, Turn& turn);

  void on_history(GroupId group, const proto::GroupHistory& history, Turn& turn);
  void on_accepted(const Request& request, Turn& turn);
  void on_refused(const Request& request, const proto::ErrorBody& error, Turn& turn);
  void on_attached() { wake_all(); }
  void on_disconnected();
  // The directory does not know this number: changes that concern it are dropped.
  void on_no_such_number(const std::string& phone, Turn& turn);

  void pump(Turn& turn);
  void on_tick(Instant now);
  Instant deadline() const;
  bool busy() const;
  std::size_t waiting() const;  // messages, and what was done to some
  bool waits_for(const std::string& phone) const;
  std::set<std::string> unresolved() const;

  Result<void> load(const ports::Row& row);
  void store_all(ports::Batch& batch) const;

 private:
  using KeyId = std::pair<UserId, DeviceId>;
  struct Group {
    GroupRow row;
    e2e::SenderKey own;
    proto::GroupState state;  // version 0: not known yet
    proto::GroupState candidate;  // while it is being fetched
    bool vouched = false;  // the candidate has passed the digest that a member vouched for
    GroupInfo info;
    std::set<UserId> told;
    std::map<std::uint64_t, Intent> changes;
    std::map<std::uint64_t, Item> items;  // that wait, by order
    std::map<std::uint64_t, proto::Envelope> held;
    std::map<KeyId, KeyRow> keys;
    bool stale = false;  // the server has a newer version
    bool asked = false;  // a request is under way
    Instant not_before;
    std::optional<proto::GroupState> proposed;  // by the change under way
    std::size_t submitted = 0;  // items under way
  };

  UserId self() const { return parts_.registration.profile().user; }
  Result<Group*> open_to_send(GroupId id);
  bool may_be_member(const Group& group, const std::string& phone) const;
  bool in(const Group& group) const { return group.state.member(self()) != nullptr; }
  std::uint64_t take_order(Turn& turn);
  void wake_all();
  bool serve(GroupId id, Group& group, Turn& turn);
  void fetch(GroupId id, Group& group, Turn& turn);
  bool propose(GroupId id, Group& group, Turn& turn);
  bool resolve(Intent& intent, Turn& turn);
  void drop_change(GroupId id, Group& group, std::string failure, Turn& turn);
  void submit(GroupId id, Group& group, Turn& turn);
  bool tell_chain(GroupId id, Group& group, Turn& turn);
  void invite(GroupId id, Group& group, UserId user, Turn& turn);
  GroupKey key_of(GroupId id, const Group& group) const;
  void adopt(GroupId id, Group& group, proto::GroupState next, UserId actor, Turn& turn);
  void refuse(GroupId id, std::string text, Turn& turn);
  void fail_items(GroupId id, Group& group, std::size_t count, std::string failure, Turn& turn);
  Bytes seal_info(const Group& group, const GroupInfo& info, Turn& turn) const;
  void open_info(Group& group) const;
  static void store(GroupId id, const Group& group, Turn& turn);
  static void store_told(GroupId id, const Group& group, Turn& turn);
  GroupView view(GroupId id, const Group& group) const;

  Parts parts_;
  std::map<GroupId, Group> groups_;
  std::set<GroupId> released_;  // have a state since now
};

}  // namespace godwit::client
