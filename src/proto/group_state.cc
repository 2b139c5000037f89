#include "proto/group_state.h"

#include <algorithm>

#include "crypto/hash.h"

namespace godwit::proto {
namespace {

constexpr Error kNotAdmin{Code::kForbidden, "only an admin of the group may do that"};
constexpr Error kNoMember{Code::kNotFound, "this person is not in the group"};
constexpr Error kNotIn{Code::kForbidden, "you are not in the group"};
constexpr Error kSenseless{Code::kInvalid, "a change of the group makes no sense"};

auto place_of(auto& list, UserId user) {
  return std::ranges::lower_bound(list, user, {}, &GroupMember::user);
}

auto find_in(auto& list, UserId user) {
  const auto at = place_of(list, user);
  return at != list.end() && at->user == user ? at : list.end();
}

bool verifies(const IdentityKey& key, ByteView message, const crypto::Signature& signature) {
  crypto::CurvePoint point;
  std::copy_n(key.begin() + 1, point.size(), point.begin());
  return key[0] == 0x05 && crypto::xeddsa_verify(point, message, signature);
}

Result<void> insert(std::vector<GroupMember>& list, std::size_t most, GroupMember member) {
  if (list.size() >= most) return fail(Code::kTooLarge, "the group is full: 1,024 members");
  if (member.introduction.size() > limits::kGroupIntroduction) return fail(kSenseless);
  if (list.size() >= limits::kGroupIntroductions) member.introduction.clear();
  list.insert(place_of(list, member.user), std::move(member));
  return {};
}

// One transition's work on a copy of the state.
class Applying {
 public:
  Applying(GroupState& state, UserId actor) : state_(state), actor_(actor) {}

  Result<void> apply(const GroupChange& change) {
    using Kind = GroupChange::Kind;
    if (change.kind == Kind::kJoin) return join(change);
    if (!state_.member(actor_)) return fail(kNotIn);
    switch (change.kind) {
      case Kind::kAdd: return add(change);
      case Kind::kRemove: return remove(change.user);
      case Kind::kPromote: return set_role(change.user, Role::kAdmin);
      case Kind::kDemote: return set_role(change.user, Role::kMember);
      case Kind::kLeave: state_.members.erase(find_in(state_.members, actor_)); return {};
      case Kind::kInfo:
        if (!state_.settings.all_edit && !admin()) return fail(kNotAdmin);
        state_.info = change.info;
        return {};
      case Kind::kSettings:
        if (!admin()) return fail(kNotAdmin);
        state_.settings = change.settings;
        return {};
      case Kind::kLink:
        if (!admin()) return fail(kNotAdmin);
        state_.link = change.link;
        state_.link.used = 0;
        return {};
      case Kind::kDecline: {
        if (!admin()) return fail(kNotAdmin);
        const auto at = find_in(state_.pending, change.user);
        if (at == state_.pending.end()) return fail(kNoMember);
        state_.pending.erase(at);
        return {};
      }
      case Kind::kJoin: break;
    }
    return fail(Code::kUnsupported, "the group was changed by a newer version: update");
  }

 private:
  bool admin() const { return state_.is_admin(actor_); }

  Result<void> add(const GroupChange& change) {
    if (!state_.settings.all_add && !admin()) return fail(kNotAdmin);
    if (change.user.is_nil() || change.identity[0] != 0x05) return fail(kSenseless);
    if (const auto at = find_in(state_.members, change.user); at != state_.members.end()) {
      if (!admin() || at->identity == change.identity) {
        return fail(Code::kInvalid, "this person is in the group already");
      }
      at->identity = change.identity;
      at->since = state_.version;
      return {};
    }
    GroupMember added{.user = change.user,
                      .identity = change.identity,
                      .since = state_.version,
                      .introduction = change.info};
    if (const auto at = find_in(state_.pending, change.user); at != state_.pending.end()) {
      if (added.introduction.empty()) added.introduction = std::move(at->introduction);
      state_.pending.erase(at);
    }
    return insert(state_.members, limits::kGroupMembers, std::move(added));
  }

  Result<void> remove(UserId user) {
    if (!admin()) return fail(kNotAdmin);
    if (user == actor_) return fail(kSenseless);
    const auto at = find_in(state_.members, user);
    if (at == state_.members.end()) return fail(kNoMember);
    state_.members.erase(at);
    return {};
  }

  Result<void> set_role(UserId user, Role role) {
    if (!admin()) return fail(kNotAdmin);
    const auto at = find_in(state_.members, user);
    if (at == state_.members.end()) return fail(kNoMember);
    if (at->role == role) return fail(Code::kInvalid, "this person has that role already");
    at->role = role;
    return {};
  }

  Result<void> join(const GroupChange& change) {
    GODWIT_TRY(state_.link.admits());
    if (change.identity[0] != 0x05 || state_.member(actor_)) return fail(kSenseless);
    if (find_in(state_.pending, actor_) != state_.pending.end()) {
      return fail(Code::kInvalid, "an admin has yet to let you in");
    }
    ++state_.link.used;
    GroupMember joins{.user = actor_,
                      .identity = change.identity,
                      .since = state_.version,
                      .introduction = change.info};
    if (state_.link.approval) {
      return insert(state_.pending, limits::kGroupPending, std::move(joins));
    }
    return insert(state_.members, limits::kGroupMembers, std::move(joins));
  }

  GroupState& state_;
  UserId actor_;
};

bool joins(const Transition& transition) {
  return std::ranges::any_of(transition.changes, [](const GroupChange& change) {
    return change.kind == GroupChange::Kind::kJoin;
  });
}

// A group never lacks an admin: who has been there longest becomes one.
void keep_an_admin(GroupState& state) {
  const auto admin = [](const GroupMember& member) { return member.role == Role::kAdmin; };
  if (state.members.empty() || std::ranges::any_of(state.members, admin)) return;
  std::ranges::min_element(state.members, {}, &GroupMember::since)->role = Role::kAdmin;
}

// The first transition adds its actor first, who is the admin from then on.
bool creates(const Transition& transition) {
  const auto& changes = transition.changes;
  return transition.version == 1 && !transition.actor.is_nil() && !transition.group.is_nil() &&
         changes.front().kind == GroupChange::Kind::kAdd &&
         changes.front().user == transition.actor && changes.front().identity[0] == 0x05;
}

}  // namespace

Result<void> GroupLink::admits() const {
  if (key == IdentityKey{}) return fail(Code::kExpired, "the link was taken back: ask for another");
  if (uses != 0 && used >= uses) {
    return fail(Code::kExpired, "the link is used up: ask for another");
  }
  return {};
}

const GroupMember* GroupState::member(UserId user) const {
  const auto at = find_in(members, user);
  return at == members.end() ? nullptr : &*at;
}

bool GroupState::is_admin(UserId user) const {
  const GroupMember* found = member(user);
  return found && found->role == Role::kAdmin;
}

bool GroupState::may_send(UserId user) const {
  return settings.announcements ? is_admin(user) : member(user) != nullptr;
}

GroupDigest digest(const GroupState& state) {
  return crypto::sha256({view_of("godwit group state 1"), encode(state)});
}

GroupDigest cause_of(ByteView body) {
  return crypto::sha256({view_of("godwit group transition"), body});
}

Bytes signed_octets(ByteView body) {
  Bytes out = to_bytes("godwit group transition 1");
  append(out, body);
  return out;
}

Result<GroupState> apply(const GroupState& state, const Transition& transition, ByteView body) {
  if (transition.changes.empty()) return fail(kSenseless);
  const bool first = state.version == 0;
  if (transition.version != state.version + 1 ||
      transition.previous != (first ? GroupDigest{} : digest(state)) ||
      (!first && transition.group != state.group)) {
    return fail(Code::kConflict, "the group has changed since: it is tried again");
  }
  GroupState next = state;
  next.version = transition.version;
  next.cause = cause_of(body);
  auto change = transition.changes.begin();
  if (first) {
    if (!creates(transition)) return fail(kSenseless);
    next.group = transition.group;
    GODWIT_TRY(insert(next.members, 1,
                      {.user = transition.actor,
                       .role = Role::kAdmin,
                       .identity = change->identity,
                       .since = 1,
                       .introduction = change->info}));
    ++change;
  }
  const bool alone = transition.changes.size() == 1;
  Applying applying(next, transition.actor);
  for (; change != transition.changes.end(); ++change) {
    const bool goes = change->kind == GroupChange::Kind::kLeave;
    if ((goes || change->kind == GroupChange::Kind::kJoin) && !alone) return fail(kSenseless);
    GODWIT_TRY(applying.apply(*change));
  }
  keep_an_admin(next);
  return next;
}

Result<GroupState> advance(const GroupState& state, const SignedTransition& signed_transition) {
  const auto transition = decode<Transition>(signed_transition.body);
  if (!transition) return fail(transition.error());
  auto next = apply(state, *transition, signed_transition.body);
  if (!next) return next;
  const Bytes octets = signed_octets(signed_transition.body);
  // Who acts is in the state before: but for those who create it, or join.
  const bool joining = joins(*transition);
  const GroupMember* actor = state.member(transition->actor);
  const IdentityKey& key = actor ? actor->identity : transition->changes.front().identity;
  if (!verifies(key, octets, signed_transition.signature)) {
    return fail(Code::kUnauthenticated, "a change of the group is not signed by who made it");
  }
  if (joining && !verifies(state.link.key, octets, signed_transition.link_signature)) {
    return fail(Code::kExpired, "there is a new link instead of this one: ask for it");
  }
  return next;
}

}  // namespace godwit::proto
