// How groups lie in the store (Space::kChat), and what members tell each other about them.
//
//   'G' group GroupRow · 'S' group proto::GroupState · 'T' group who was told the own chain
//   'C' group order a change that waits · 'Q' group order an Item that waits
//   'P' group RulesRow · 'K' group user device KeyRow · 'H' group order HeldRow · 'R' group order
//   GroupSent
#pragma once

#include "client/types.h"
#include "proto/group_state.h"
#include "proto/messages.h"

namespace godwit::client {

inline constexpr std::size_t kMaxDistribution = 256;

// Sealed under the group's key in GroupState::info.
struct GroupInfo {
  std::string name;
  std::string description;
  Bytes picture;
  static void fields(auto& m, auto& field) {
    field(1, m.name, 256);
    field(2, m.description, 4096);
    field(3, m.picture, limits::kGroupPicture);
  }
};

// One member tells another, in the session between the two: that the group is, at this version, the
// state of this digest; the key of its name; and how to read what this member sends to it.
struct GroupKey {
  GroupId group;
  std::uint64_t version = 0;
  proto::GroupDigest digest{};
  ByteArray<32> info_key{};
  Bytes distribution;  // e2e/sender_key.h; empty: an invitation only
  static void fields(auto& m, auto& field) {
    field(1, m.group);
    field(2, m.version);
    field(3, m.digest);
    field(4, m.info_key);
    field(5, m.distribution, kMaxDistribution);
  }
};

struct GroupRow {
  ByteArray<32> info_key{};
  Bytes own_key;  // e2e::SenderKey; empty: a new one is due
  std::uint64_t accepted = 0;  // contents that the server has taken
  std::uint64_t vouched_version = 0;  // while there is no state: what a member said
  proto::GroupDigest vouched{};
  ByteArray<32> link_secret{};  // of the last link that this device made
  ByteArray<32> join_secret{};  // of the link by which this account comes in
  bool waits = false;  // it has come in by a link, and the group is not known yet
  std::uint64_t in_order = 0;  // the last version whose change came in the order of the messages
  // The first items that wait may have been taken already, for this version; 0: none.
  std::uint64_t tried_version = 0;
  std::uint64_t tried = 0;
  bool out = false;  // this account is not in it any more, whatever the last known state says
  static void fields(auto& m, auto& field) {
    field(1, m.info_key);
    field(2, m.own_key, 4096);
    field(3, m.accepted);
    field(4, m.vouched_version);
    field(5, m.vouched);
    field(6, m.in_order);
    field(7, m.link_secret);
    field(8, m.join_secret);
    field(9, m.waits);
    field(10, m.tried_version);
    field(11, m.tried);
    field(12, m.out);
  }
};

// Who might do what to others' messages, from this version on.
struct GroupRule {
  std::uint64_t version = 0;
  bool all_edit = false;
  std::vector<UserId> admins;
  static void fields(auto& m, auto& field) {
    field(1, m.version);
    field(2, m.all_edit);
    field(3, m.admins, limits::kGroupMembers);
  }
};
struct RulesRow {
  std::vector<GroupRule> rules;  // by version
  static void fields(auto& m, auto& field) { field(1, m.rules, limits::kGroupRules); }
};

struct ToldRow {
  std::vector<UserId> users;
  static void fields(auto& m, auto& field) { field(1, m.users, limits::kGroupMembers * 2); }
};

// What somebody wants to change. Becomes a transition once its person is known, and again whenever
// another change came first.
struct Intent {
  proto::GroupChange change;
  std::string phone;  // whom it concerns; empty: see `change`
  static void fields(auto& m, auto& field) {
    field(1, m.change);
    field(2, m.phone, 16);
  }
};

// The chain of one device of a member.
struct KeyRow {
  Bytes key;  // e2e::SenderKey
  static void fields(auto& m, auto& field) { field(1, m.key, 1024 * 1024); }
};

}  // namespace godwit::client
