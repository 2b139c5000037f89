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
    SentLog& sent;
    Ledger& ledger;
  };
  explicit Groups(Parts parts) : parts_(parts) {}

  // ---- commands

  GroupId create(std::string_view name, Turn& turn);
  // kNotFound: no such group here. The change is made as soon as the server can be asked.
  Result<void> change(GroupId group, Intent intent, Turn& turn);
  Result<void> edit(GroupId group, GroupEdit edit, Turn& turn);
  Result<void> set_rules(GroupId group, GroupRules rules, Turn& turn);
  // A new link instead of the old, or none.
  Result<void> make_link(GroupId group, const LinkTerms& terms, Turn& turn);
  Result<void> revoke_link(GroupId group, Turn& turn);
  // Lets in, or declines, who waits.
  Result<void> answer(GroupId group, UserId user, bool let_in, Turn& turn);
  Result<GroupId> join(std::string_view link, Turn& turn);
  Result<MessageId> send(GroupId group, Text text, Turn& turn);
  Result<void> act(GroupId group, const Act& act, Turn& turn);
  bool knows(GroupId group) const { return groups_.contains(group); }
  bool has_member(GroupId group, UserId user) const;
  std::vector<UserId> others(GroupId group) const;  // the members but this account
  // What a member may do in the chat, by the group's state of this version: all judge an act by the
  // state that the server took it for, whatever they know when it comes.
  static constexpr std::uint64_t kNow = UINT64_MAX;
  Rights rights(GroupId group, UserId user, std::uint64_t version) const;
  std::vector<GroupView> list() const;
  // How long a receipt to a member who wrote may wait for others: not at all when it is no group.
  Duration receipts_within(GroupId group) const;

  // ---- what arrives

  void on_key(UserId from, DeviceId device, const GroupKey& key, Turn& turn);
  void on_change(const proto::Envelope& envelope, Turn& turn);
  // The content of a message; its group_version is one to judge it by. Nothing: it waits, was seen
  // before, or (`failure`) has to be asked for.
  enum class Failure : std::uint8_t { kNone, kUnreadable, kReused };
  std::optional<Content> open(const HeldRow& message, Failure& failure, Turn& turn);
  // What waited for their group's state, which is known now.
  std::vector<HeldRow> take_released(Turn& turn);
  // This device missed something: it may have missed changes of its groups, too.
  void doubt(Turn& turn);
  // `user` could not read something: is told again what they lack, if it is theirs to know.
  void on_request(UserId user, const e2e::DecryptionError& error, Turn& turn);

  void on_history(GroupId group, const proto::GroupHistory& history, Turn& turn);
  void on_accepted(const Request& request, Turn& turn);
  void on_refused(const Request& request, const proto::ErrorBody& error, Turn& turn);
  void on_attached();
  // What the directory says about a number; it does not say now.
  void on_lookup(const std::string& phone, UserId user, Turn& turn);
  void on_lookup_failed(const std::string& phone) { claims_.erase(phone); }
  void on_disconnected();
  // The directory does not know this number: changes that concern it are dropped.
  void on_no_such_number(const std::string& phone, Turn& turn);

  void pump(Turn& turn);
  void on_tick(Instant now);
  Instant deadline() const;
  bool busy() const;
  std::size_t waiting() const;  // messages, and what was done to some
  bool waits_for(const std::string& phone) const;
  bool claims(const std::string& phone) const { return claims_.contains(phone); }
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
    RulesRow rules, candidate_rules;  // of the two
    bool vouched = false;  // the candidate has passed the digest that a member vouched for
    GroupInfo info;
    std::set<UserId> told;
    std::set<UserId> telling;  // of these, whom it may still be on its way to
    std::map<std::uint64_t, Intent> changes;
    Instant gathered;  // adding waits until then for those who are not known yet
    std::map<std::uint64_t, Item> items;  // that wait, by order
    std::map<std::uint64_t, HeldRow> held;
    std::map<KeyId, KeyRow> keys;
    bool stale = false;  // the server has a newer version
    bool asked = false;  // a request is under way
    bool doubted = false;  // whether its rules are the present ones, since the device connected
    bool outdated = false;  // it was made before the last invitation
    Instant not_before;
    std::optional<proto::GroupState> proposed;  // by the changes under way ...
    std::vector<std::uint64_t> proposing;  // ... which are these
    std::size_t submitted = 0;  // items under way
    Instant renewed;  // the own chain, because somebody asked
    bool joined = false;  // by a link; not told yet
  };

  UserId self() const { return parts_.registration.profile().user; }
  static bool unheard(const Group& group);
  Result<Group*> open_to_send(GroupId id);
  bool may_be_member(const Group& group, const std::string& phone) const;
  bool in(const Group& group) const {
    return !group.row.out && group.state.member(self()) != nullptr;
  }
  std::uint64_t take_order(Turn& turn);
  void wake_all();
  bool serve(GroupId id, Group& group, Turn& turn);
  void fetch(GroupId id, Group& group, Turn& turn);
  bool propose(GroupId id, Group& group, Turn& turn);
  std::vector<std::uint64_t> gather(Group& group, Turn& turn);
  bool resolve(Intent& intent, Turn& turn);
  void drop_change(GroupId id, Group& group, std::uint64_t order, std::string failure, Turn& turn);
  void drop_proposed(GroupId id, Group& group, std::string_view failure, Turn& turn);
  void submit(GroupId id, Group& group, Turn& turn);
  static void note_rules(const proto::GroupState& state, RulesRow& into);
  void ask_again(GroupId id, Group& group, Turn& turn);
  void drop_forbidden(GroupId id, Group& group, Turn& turn);
  void start_lifetime(GroupId id, const Item& item, Turn& turn);
  void settle_item(GroupId id, Group& group, Turn& turn);
  bool tell_chain(GroupId id, Group& group, Turn& turn);
  void invite(Group& group, const proto::GroupMember& member, const GroupKey& key, Turn& turn);
  GroupKey key_of(GroupId id, const Group& group) const;
  bool founded(const Group& group, const proto::GroupState& first) const;
  void adopt(GroupId id, Group& group, proto::GroupState next, UserId actor, Turn& turn);
  void refuse(GroupId id, std::string text, Turn& turn);
  bool hold(GroupId id, Group& group, HeldRow message, Turn& turn);
  bool is_news(UserId from, const Content& content);
  std::optional<Content> open_repeat(const HeldRow& message, Turn& turn);
  std::optional<GroupSaid> said_in(EnvelopeId envelope) const;
  bool joins(const Group& group) const;
  void propose_join(GroupId id, Group& group, const proto::GroupHistory& head, Turn& turn);
  void on_joined(GroupId id, Group& group, Turn& turn);
  void settle_join(GroupId id, Group& group, Turn& turn);
  void forget(GroupId id, std::string failure, Turn& turn);
  void renew_chain(GroupId id, Group& group, Turn& turn);
  void forget_told(UserId user, Turn& turn);
  void give_up(GroupId id, Group& group, Turn& turn);
  void fail_items(GroupId id, Group& group, std::size_t count, std::string failure, Turn& turn);
  // What a member is introduced with: a number, sealed for the members.
  Bytes introduction(const Group& group, const std::string& phone, Turn& turn) const;
  std::string introduced(const Group& group, const proto::GroupMember& member) const;
  // Asks the directory whether those whose number is not known have the one they came with.
  void ask_numbers(const Group& group);
  Bytes seal_info(const Group& group, const GroupInfo& info, Turn& turn) const;
  void open_info(Group& group) const;
  static void store(GroupId id, const Group& group, Turn& turn);
  static void store_told(GroupId id, const Group& group, Turn& turn);
  GroupView view(GroupId id, const Group& group) const;

  Parts parts_;
  std::map<GroupId, Group> groups_;
  std::set<GroupId> released_;  // more is known of them since now
  Instant doubted_;  // the last time that changes were looked for
  std::multimap<std::string, UserId> claims_;  // numbers that the directory is being asked for
  std::set<UserId> impostors_;  // whose number is another's
};

}  // namespace godwit::client
