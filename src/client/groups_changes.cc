// Groups: what this account wants to change, until it is made or cannot be.
#include <algorithm>
#include <utility>

#include "client/groups.h"

namespace godwit::client {
namespace {

using Kind = proto::GroupChange::Kind;
using ports::Space;

proto::IdentityKey identity_of(const Bytes& wire) {
  return to_array<33>(wire).value_or(proto::IdentityKey{});
}

}  // namespace

Result<void> Groups::change(GroupId id, Intent intent, Turn& turn) {
  const auto found = groups_.find(id);
  if (found == groups_.end()) return fail(Code::kNotFound, "there is no such group here");
  if (!intent.phone.empty() && !parts_.contacts.find(intent.phone)) {
    parts_.lookups.want_fresh(intent.phone);
  }
  if (found->second.row.waits && intent.change.kind == Kind::kLeave) {
    forget(id, {}, turn);
    return {};
  }
  const std::uint64_t order = take_order(turn);
  turn.put(Space::kChat, row_key('C', id, order), encode(intent));
  found->second.changes[order] = std::move(intent);
  return {};
}

// False: the person that it concerns is not known yet.
bool Groups::resolve(Intent& intent, Turn& turn) {
  if (intent.phone.empty()) return true;
  ContactRow* contact = parts_.contacts.find(intent.phone);
  if (!contact) {
    parts_.lookups.want(intent.phone);
    return false;
  }
  intent.change.user = contact->contact.user;
  if (intent.change.kind != Kind::kAdd) return true;
  if (contact->contact.identity_key.empty()) {
    parts_.courier.meet(contact->contact.user, turn);
    return false;
  }
  intent.change.identity = identity_of(contact->contact.identity_key);
  return true;
}

// Which of the changes that wait are made next: the first one or, when it adds somebody, all that
// do, so that a large group is made in a few versions. Who is being asked for is waited for, but
// not for long; who then is not known is added later.
std::vector<std::uint64_t> Groups::gather(Group& group, Turn& turn) {
  auto at = group.changes.begin();
  if (at->second.change.kind != Kind::kAdd || group.state.version == 0) {
    if (!resolve(at->second, turn)) return {};
    return {at->first};
  }
  const std::size_t members = group.state.members.size();
  const std::size_t room = std::max<std::size_t>(limits::kGroupMembers - members, 1);
  std::vector<std::uint64_t> out;
  std::set<UserId> users;
  bool waits = false;
  for (; at != group.changes.end() && at->second.change.kind == Kind::kAdd; ++at) {
    if (out.size() == room) break;
    if (!resolve(at->second, turn)) {
      waits = true;
      continue;
    }
    const proto::GroupChange& change = at->second.change;
    const proto::GroupMember* member = group.state.member(change.user);
    const bool there = member && member->identity == change.identity;
    if (!there && users.insert(change.user).second) out.push_back(at->first);
    else if (out.empty()) return {at->first};  // is told so
  }
  const Instant now = turn.env.now;
  if (!waits || out.empty()) {
    group.gathered = {};
    return out;
  }
  if (group.gathered == Instant{} || group.gathered > now + limits::kGroupGathering) {
    group.gathered = now + limits::kGroupGathering;
  }
  if (now < group.gathered) return {};
  group.gathered = {};
  return out;
}

// Makes a transition of the changes that come next.
bool Groups::propose(GroupId id, Group& group, Turn& turn) {
  group.proposing = gather(group, turn);
  if (group.proposing.empty()) return false;
  proto::Transition transition{
      .group = id,
      .version = group.state.version + 1,
      .previous = group.state.version == 0 ? proto::GroupDigest{} : proto::digest(group.state),
      .actor = self(),
      .time = turn.env.now};
  const std::size_t members = group.state.members.size();
  for (const std::uint64_t order : group.proposing) {
    const Intent& intent = group.changes.at(order);
    const bool few = members + transition.changes.size() < limits::kGroupIntroductions;
    proto::GroupChange& change = transition.changes.emplace_back(intent.change);
    if (few && !intent.phone.empty() && change.kind == Kind::kAdd) {
      change.info = introduction(group, intent.phone, turn);
    }
  }
  proto::SignedTransition proposal{.body = encode(transition)};
  auto next = proto::apply(group.state, transition, proposal.body);
  if (!next && transition.changes.size() > 1) {  // one of them cannot be made: each by itself
    group.proposing.resize(1);
    transition.changes.resize(1);
    proposal.body = encode(transition);
    next = proto::apply(group.state, transition, proposal.body);
  }
  if (!next) {
    // Whoever was made an admin while this device was off may not know it yet.
    if (in(group) && !std::exchange(group.doubted, true)) {
      group.stale = true;
      return true;
    }
    const bool done = next.error().code == Code::kInvalid || next.error().code == Code::kNotFound;
    // They may have been added by this, and the answer was lost: then nobody has told them.
    const proto::GroupChange& change = transition.changes.front();
    const proto::GroupMember* there = group.state.member(change.user);
    if (done && change.kind == Kind::kAdd && there && there->user != self()) {
      invite(group, *there, key_of(id, group), turn);
      store_told(id, group, turn);
    }
    drop_proposed(id, group, done ? std::string_view() : next.error().text, turn);
    return true;
  }
  proposal.signature =
      parts_.keyring.identity().sign(proto::signed_octets(proposal.body), turn.env.entropy);
  group.proposed = std::move(*next);
  group.asked = true;
  parts_.connection.ask({.kind = proto::Kind::kChangeGroup, .group = id},
                        encode(proto::ChangeGroup{id, encode(proposal)}), turn);
  return false;
}

void Groups::drop_change(GroupId id, Group& group, std::uint64_t order, std::string failure,
                         Turn& turn) {
  turn.erase(Space::kChat, row_key('C', id, order));
  group.changes.erase(order);
  turn.notify(GroupChangeDone{id, std::move(failure)});
}

void Groups::drop_proposed(GroupId id, Group& group, std::string_view failure, Turn& turn) {
  for (const std::uint64_t order : std::exchange(group.proposing, {})) {
    drop_change(id, group, order, std::string(failure), turn);
  }
}

void Groups::on_no_such_number(const std::string& phone, Turn& turn) {
  for (auto& [id, group] : groups_) {
    for (auto at = group.changes.begin(); at != group.changes.end();) {
      const bool asked =
          group.proposed && std::ranges::find(group.proposing, at->first) != group.proposing.end();
      if (at->second.phone != phone || asked) {
        ++at;
        continue;
      }
      turn.erase(Space::kChat, row_key('C', id, at->first));
      turn.notify(GroupChangeDone{id, phone + " has no account on this server"});
      at = group.changes.erase(at);
    }
  }
}

bool Groups::waits_for(const std::string& phone) const {
  return std::ranges::any_of(groups_, [&](const auto& group) {
    return std::ranges::any_of(group.second.changes,
                               [&](const auto& change) { return change.second.phone == phone; });
  });
}

std::set<std::string> Groups::unresolved() const {
  std::set<std::string> out;
  for (const auto& [id, group] : groups_) {
    for (const auto& [order, intent] : group.changes) {
      if (!intent.phone.empty()) out.insert(intent.phone);
    }
  }
  return out;
}

}  // namespace godwit::client
