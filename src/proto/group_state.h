// What a group is, and who may change it: the one definition, for servers and clients.
//
// A GroupState follows from the one before it by a Transition, which names the digest of that state
// and is signed by the member who asks for it with their identity key. The server puts transitions
// into an order and refuses what the rules forbid; members verify each again, so a server can only
// withhold, never invent. States hold every member's identity key: whoever has one trusted state
// verifies everything after it, without asking anybody.
//
// Names, pictures and members' numbers are sealed under a key that only members have: here they are
// octets.
// Pure functions over plain data.
#pragma once

#include "base/codec.h"
#include "base/limits.h"
#include "crypto/xeddsa.h"

namespace godwit::proto {

using GroupDigest = ByteArray<32>;
using IdentityKey = ByteArray<33>;  // 0x05 || u

enum class Role : std::uint8_t { kMember = 1, kAdmin = 2 };

struct GroupMember {
  UserId user;
  Role role = Role::kMember;
  IdentityKey identity{};
  std::uint64_t since = 0;  // the version that added them
  Bytes introduction;  // their number, as whoever brought them in says; may be empty
  static void fields(auto& m, auto& field) {
    field(1, m.user);
    field(2, m.role);
    field(3, m.identity);
    field(4, m.since);
    field(5, m.introduction, limits::kGroupIntroduction);
  }
};

struct GroupSettings {
  bool announcements = false;  // only admins send
  bool all_edit = false;  // members may change name, description and picture
  bool all_add = false;  // members may add others
  bool operator==(const GroupSettings&) const = default;
  static void fields(auto& m, auto& field) {
    field(1, m.announcements);
    field(2, m.all_edit);
    field(3, m.all_add);
  }
};

// Lets in who can sign with the private half of `key`, which is in the link.
struct GroupLink {
  IdentityKey key{};  // zeros: there is no link
  Instant expires;  // by the server's clock; zero: never
  std::uint32_t uses = 0;  // allowed in all; 0: any number
  std::uint32_t used = 0;
  bool approval = false;  // an admin lets in each
  static void fields(auto& m, auto& field) {
    field(1, m.key);
    field(2, m.expires);
    field(3, m.uses);
    field(4, m.used);
    field(5, m.approval);
  }
  // kExpired: why it lets in nobody more, but for the time, which the server's clock tells.
  Result<void> admits() const;
};

struct GroupState {
  GroupId group;
  std::uint64_t version = 0;  // 0: it does not exist yet
  GroupDigest cause{};  // digest of the transition that led here
  std::vector<GroupMember> members;  // by user
  std::vector<GroupMember> pending;  // by user
  GroupSettings settings;
  Bytes info;
  GroupLink link;
  static void fields(auto& m, auto& field) {
    field(1, m.group);
    field(2, m.version);
    field(3, m.cause);
    field(4, m.members, limits::kGroupMembers);
    field(5, m.pending, limits::kGroupPending);
    field(6, m.settings);
    field(7, m.info, limits::kMaxGroupInfo);
    field(8, m.link);
  }
  const GroupMember* member(UserId user) const;
  bool is_admin(UserId user) const;
  bool may_send(UserId user) const;
};

GroupDigest digest(const GroupState& state);

struct GroupChange {
  enum class Kind : std::uint8_t {
    kAdd = 1,  // user, identity, their introduction as info. Of a member: their new identity
    kRemove = 2,  // user
    kPromote = 3,  // user
    kDemote = 4,  // user
    kLeave = 5,  // the actor
    kSettings = 6,
    kInfo = 7,
    kLink = 8,  // a new one instead of the old, or none
    kJoin = 9,  // the actor, identity, introduction as info; by the link
    kDecline = 10,  // user, who waits to be let in
  };
  Kind kind{};
  UserId user;
  IdentityKey identity{};
  GroupSettings settings;
  Bytes info;
  GroupLink link;
  static void fields(auto& m, auto& field) {
    field(1, m.kind);
    field(2, m.user);
    field(3, m.identity);
    field(4, m.settings);
    field(5, m.info, limits::kMaxGroupInfo);
    field(6, m.link);
  }
};

struct Transition {
  static constexpr std::size_t kMaxChanges = limits::kGroupMembers + 8;
  GroupId group;
  std::uint64_t version = 0;  // of the state that it makes
  GroupDigest previous{};  // digest of the state that it changes; zeros for the first
  UserId actor;
  Instant time;  // the actor's clock, for people
  std::vector<GroupChange> changes;  // all or none, in order
  static void fields(auto& m, auto& field) {
    field(1, m.group);
    field(2, m.version);
    field(3, m.previous);
    field(4, m.actor);
    field(5, m.time);
    field(6, m.changes, kMaxChanges);
  }
};

struct SignedTransition {
  Bytes body;  // a Transition; what is signed are these octets
  ByteArray<64> signature{};  // by the actor's identity key
  ByteArray<64> link_signature{};  // of a kJoin: by the link's key
  static void fields(auto& m, auto& field) {
    field(1, m.body, limits::kMaxTransition);
    field(2, m.signature);
    field(3, m.link_signature);
  }
};

// GroupState::cause after a transition of this body.
GroupDigest cause_of(ByteView body);

// The octets under a signature of `body`.
Bytes signed_octets(ByteView body);

// The state after `signed_transition`, which is verified. kConflict: it does not follow `state`.
// kForbidden: the rules do not allow it. kUnauthenticated: a signature is wrong. kTooLarge: too
// many members. kInvalid, kCorrupt: no sense.
Result<GroupState> advance(const GroupState& state, const SignedTransition& signed_transition);
// The same of a transition whose signatures were seen to: what it would lead to.
Result<GroupState> apply(const GroupState& state, const Transition& transition, ByteView body);

}  // namespace godwit::proto
