// What arrives for groups: states to verify, chains to learn, messages to read.
#include <algorithm>

#include "client/groups.h"
#include "crypto/hash.h"

namespace godwit::client {
namespace {

using ports::Space;

Bytes chain_key(GroupId group, UserId user, DeviceId device) {
  Bytes key = row_key('K', group);
  append(key, user.view());
  key.push_back(device.value);
  return key;
}

Result<Item> whole_item(ByteView octets, std::uint64_t order) {
  auto item = decode<Item>(octets);
  if (item && (!item->whole() || item->is_notice())) {
    return fail(Code::kCorrupt, "what waits to be sent to a group is not whole");
  }
  if (item) item->order = order;
  return item;
}

Result<HeldRow> whole_held(ByteView octets) {
  auto held = decode<HeldRow>(octets);
  if (held && held->said && !well_formed(*held->said)) {
    return fail(Code::kCorrupt, "what waits for a group is not whole");
  }
  return held;
}

// Whose contents are remembered: those of one member in one group.
UserId voice(GroupId group, UserId user) {
  const auto digest = crypto::sha256({view_of("godwit group voice"), group.view(), user.view()});
  return UserId{*to_array<16>(ByteView(digest).first(16))};
}

// Whose envelopes are: a server that was restarted may have stored one twice.
UserId hand(GroupId group, UserId user) {
  const auto digest = crypto::sha256({view_of("godwit group hand"), group.view(), user.view()});
  return UserId{*to_array<16>(ByteView(digest).first(16))};
}

}  // namespace

void Groups::refuse(GroupId id, std::string text, Turn& turn) {
  turn.notify(GroupRefused{id, std::move(text)});
}

// ---- states

void Groups::on_key(UserId from, DeviceId device, const GroupKey& key, Turn& turn) {
  if (key.group.is_nil()) return;
  Group& group = groups_[key.group];
  if (!key.distribution.empty()) {
    const auto names = e2e::SenderKey::distribution_of(key.distribution);
    KeyRow& row = group.keys[{from, device}];
    auto chain = e2e::SenderKey::parse(row.key);
    if (names && *names == key.group.octets && chain && chain->learn(key.distribution)) {
      row.key = std::move(chain->serialize()).release();
      turn.put(Space::kChat, chain_key(key.group, from, device), encode(row));
    }
  }
  const bool lost = group.state.version != 0 && !in(group);
  if (group.state.version == 0 || (lost && key.version > group.state.version)) {
    // An invitation. Whatever the server says is the group has to contain this state.
    if (key.version <= group.row.vouched_version && !lost) return;
    group.state = {};
    group.rules = {};
    turn.erase(Space::kChat, row_key('S', key.group));
    turn.erase(Space::kChat, row_key('P', key.group));
    group.row.info_key = key.info_key;
    group.row.vouched_version = key.version;
    group.row.vouched = key.digest;
    group.row.out = false;
    group.not_before = {};
    group.outdated = group.asked;
    group.candidate = {};
    group.vouched = false;
    store(key.group, group, turn);
  } else if (key.version > group.state.version) {
    group.stale = true;
  } else if (key.version == group.state.version && key.digest != proto::digest(group.state)) {
    refuse(key.group, "a member sees this group differently than you: the server may be lying",
           turn);
  }
}

void Groups::on_change(const proto::Envelope& envelope, Turn& turn) {
  const auto change = decode<proto::SignedTransition>(envelope.ciphertext);
  const auto transition = change ? decode<proto::Transition>(change->body)
                                 : Result<proto::Transition>(fail(Code::kCorrupt, ""));
  if (!transition) return;
  const auto found = groups_.find(transition->group);
  if (found == groups_.end() || found->second.state.version == 0) return;
  auto& [id, group] = *found;
  if (transition->version <= group.state.version) {
    const bool repeated = transition->version < group.state.version ||
                          proto::cause_of(change->body) == group.state.cause;
    if (!repeated) {
      return refuse(id, "the server replaced a change of the group by another one", turn);
    }
    if (transition->version <= group.row.in_order) return;
    group.row.in_order = transition->version;
    return store(id, group, turn);
  }
  if (transition->version > group.state.version + 1) {
    group.stale = true;
    return;
  }
  auto next = proto::advance(group.state, *change);
  if (!next) {
    return refuse(id, "a change of the group was refused: " + std::string(next.error().text), turn);
  }
  group.row.in_order = next->version;
  store(id, group, turn);
  adopt(id, group, std::move(*next), transition->actor, turn);
}

void Groups::on_history(GroupId id, const proto::GroupHistory& history, Turn& turn) {
  const auto found = groups_.find(id);
  if (found == groups_.end()) return;
  Group& group = found->second;
  group.asked = false;
  if (std::exchange(group.outdated, false)) return;
  const bool member = group.state.version != 0;
  proto::GroupState& next = group.candidate;
  if (next.version == 0) {
    next = group.state;
    group.candidate_rules = group.rules;
    group.vouched = member;
  }
  const auto give_up = [&](std::string text) {
    group.candidate = {};
    group.stale = false;
    group.not_before = turn.env.now + limits::kBackoffMax;
    refuse(id, std::move(text), turn);
  };
  const auto check = [&] {
    if (next.version != group.row.vouched_version || member) return true;
    group.vouched = proto::digest(next) == group.row.vouched;
    return group.vouched;
  };
  if (next.version == 0 && history.base.empty()) {
    if (joins(group)) return propose_join(id, group, history, turn);
    if (group.row.waits) return settle_join(id, group, turn);
  }
  if (next.version == 0) {
    auto base = decode<proto::GroupState>(history.base);
    if (!base || base->group != id)
      return give_up("the server does not show how the group came to be");
    next = std::move(*base);
    note_rules(next, group.candidate_rules);
    group.vouched = founded(group, next);
    if (!check()) return give_up("the group is not the one that you were invited to");
  } else if (!history.base.empty()) {
    return give_up("this device was away for too long: a member has to add you again");
  }
  for (const Bytes& octets : history.transitions) {
    const auto change = decode<proto::SignedTransition>(octets);
    const auto transition = change ? decode<proto::Transition>(change->body) : fail(change.error());
    // A change that came with the messages was quicker than this answer.
    if (transition && transition->version <= next.version) continue;
    auto after = change ? proto::advance(next, *change) : fail(change.error());
    if (!after) {
      return give_up("a change of the group was refused: " + std::string(after.error().text));
    }
    next = std::move(*after);
    note_rules(next, group.candidate_rules);
    if (!check()) return give_up("the group is not the one that you were invited to");
  }
  if (next.version < history.version && !history.transitions.empty()) return;  // more to come
  if (next.version < history.version || !group.vouched) {
    return give_up("the server hides a part of the group's history");
  }
  group.stale = false;
  proto::GroupState whole = std::exchange(group.candidate, {});
  if (whole.version <= group.state.version) return;
  group.rules = std::move(group.candidate_rules);
  adopt(id, group, std::move(whole), {}, turn);
}

// This account has made the group, and missed the answer: nobody else is in it yet.
bool Groups::founded(const Group& group, const proto::GroupState& first) const {
  const auto own = parts_.keyring.identity().public_key().wire();
  return group.row.vouched_version == 0 && first.version == 1 && first.members.size() == 1 &&
         first.members[0].user == self() && first.members[0].identity == own;
}

void Groups::adopt(GroupId id, Group& group, proto::GroupState next, UserId actor, Turn& turn) {
  const proto::GroupState before = std::exchange(group.state, std::move(next));
  turn.put(Space::kChat, row_key('S', id), encode(group.state));
  if (std::exchange(group.row.out, false)) store(id, group, turn);
  note_rules(group.state, group.rules);
  if (group.rules.rules.back().version > before.version) {
    turn.put(Space::kChat, row_key('P', id), encode(group.rules));
  }
  for (const proto::GroupMember& member : before.members) {
    const proto::GroupMember* still = group.state.member(member.user);
    if (still && still->identity == member.identity) continue;
    group.told.erase(member.user);
    group.own = {};  // who left knows the present chain
  }
  // A device that missed who came may have been restored from a backup. Then its chain would tell
  // them what it said before.
  const bool missed = actor.is_nil() && before.version != 0;
  if (missed && std::ranges::any_of(group.state.members, [&](const auto& member) {
        return before.member(member.user) == nullptr;
      })) {
    group.own = {};
  }
  if (!group.own.can_encrypt() && !group.row.own_key.empty()) {
    group.row.own_key.clear();
    group.told.clear();
    store_told(id, group, turn);
    store(id, group, turn);
  }
  open_info(group);
  settle_join(id, group, turn);
  ask_numbers(group);
  if (actor == self() && in(group)) {
    const GroupKey key = key_of(id, group);
    for (const proto::GroupMember& member : group.state.members) {
      const proto::GroupMember* known = before.member(member.user);
      if (member.user == self() || (known && known->identity == member.identity)) continue;
      invite(group, member, key, turn);
    }
    if (group.own.can_encrypt()) store_told(id, group, turn);
  }
  if (!group.held.empty()) released_.insert(id);
  const GroupView seen = view(id, group);
  turn.notify(GroupChanged{seen, actor});
}

// It is known by its name only, and neither made nor joined any more.
bool Groups::unheard(const Group& group) {
  return group.state.version == 0 && group.row.vouched_version == 0 && group.changes.empty() &&
         !group.row.waits;
}

// The server says that this account is not in it, or not any more: it has left and missed the
// answer, or was removed and missed what came before. If it is in again, what is known of the group
// is where its history goes on.
void Groups::give_up(GroupId id, Group& group, Turn& turn) {
  const bool was_in = in(group);
  const bool left = std::ranges::any_of(group.changes, [&](const auto& entry) {
    const proto::GroupChange& change = entry.second.change;
    return change.kind == proto::GroupChange::Kind::kLeave || change.user == self();
  });
  if (was_in) {
    group.row.out = true;
    group.row.own_key.clear();
    group.own = {};
    group.told.clear();
    store_told(id, group, turn);
    turn.notify(GroupChanged{view(id, group), left ? self() : UserId{}});
  }
  group.row.vouched_version = 0;
  constexpr char kNotIn[] = "you are not in this group any more";
  fail_items(id, group, group.items.size(), kNotIn, turn);
  while (!group.changes.empty()) {
    drop_change(id, group, group.changes.begin()->first, kNotIn, turn);
  }
}

// ---- messages

// False: too much waits already.
bool Groups::hold(GroupId id, Group& group, HeldRow message, Turn& turn) {
  if (group.held.size() >= limits::kGroupHeld) return false;
  const std::uint64_t order = take_order(turn);
  turn.put(Space::kChat, row_key('H', id, order), encode(message));
  group.held[order] = std::move(message);
  return true;
}

// Was it not shown before? It may come by the chain and, asked for again, by the session.
bool Groups::is_news(UserId from, const Content& content) {
  const UserId speaker = voice(content.group, from);
  if (parts_.recent.contains(speaker, content.id)) return false;
  parts_.recent.add(speaker, content.id);
  return true;
}

std::optional<Content> Groups::open(const HeldRow& message, Failure& failure, Turn& turn) {
  if (message.said) return open_repeat(message, turn);
  const proto::Envelope& envelope = message.envelope;
  // Whoever speaks to a group has told its members before how to read it.
  failure = Failure::kUnreadable;
  const auto names = e2e::SenderKey::distribution_of(envelope.ciphertext);
  if (!names) return std::nullopt;
  const auto found = groups_.find(GroupId{*names});
  if (found == groups_.end()) return std::nullopt;
  auto& [id, group] = *found;
  const auto at = group.keys.find({envelope.from, envelope.from_device});
  if (at == group.keys.end()) return std::nullopt;
  // What waited for what is known since comes first.
  if (group.state.version == 0 || released_.contains(id)) {
    if (hold(id, group, message, turn)) failure = Failure::kNone;
    return std::nullopt;
  }
  const MessageId name{envelope.id.octets};
  auto chain = e2e::SenderKey::parse(at->second.key);
  const auto opened = chain ? chain->decrypt(envelope.ciphertext) : fail(chain.error());
  if (!opened) {
    if (opened.error().code != Code::kDuplicate) return std::nullopt;
    const bool again = parts_.recent.contains(hand(id, envelope.from), name);
    failure = again ? Failure::kNone : Failure::kReused;
    return std::nullopt;
  }
  auto content = open_content(*opened);
  bool good = content && content->group == id && !content->receipt && !content->repeat;
  const bool member = group.state.member(envelope.from) != nullptr;
  if (good && content->group_version > group.state.version) {
    group.stale = true;
    // They joined later than what is known here, or have a right to it since.
    if (!member || content->act) {
      if (hold(id, group, message, turn)) failure = Failure::kNone;
      return std::nullopt;
    }
  }
  failure = Failure::kNone;
  parts_.recent.add(hand(id, envelope.from), name);
  at->second.key = std::move(chain->serialize()).release();
  // What somebody said before they left comes before their leaving, unless that was learned ahead.
  good = good && (member || content->group_version >= group.row.in_order);
  const bool news = good && is_news(envelope.from, *content);
  // Nobody says something for a state that is over: by that, they might have been an admin.
  if (news) {
    const proto::GroupMember* own = group.state.member(self());
    content->group_version =
        std::max({content->group_version, group.row.in_order, own ? own->since : 0});
  }
  turn.put(Space::kChat, chain_key(id, envelope.from, envelope.from_device), encode(at->second));
  if (!news) return std::nullopt;
  return std::move(*content);
}

// What a member says again, to this device alone.
std::optional<Content> Groups::open_repeat(const HeldRow& message, Turn& turn) {
  const GroupSaid& said = *message.said;
  const UserId from = message.envelope.from;
  const auto found = groups_.find(said.group);
  if (found == groups_.end()) return std::nullopt;
  auto& [id, group] = *found;
  group.stale = group.stale || (in(group) && said.version > group.state.version);
  if (!group.state.member(from)) {
    if (said.version > group.state.version) (void)hold(id, group, message, turn);
    return std::nullopt;
  }
  Content content{.id = said.id,
                  .composed = said.composed,
                  .group = said.group,
                  .text = said.text,
                  .act = said.act,
                  .group_version = kNow};  // their word alone is for when it was said
  if (!is_news(from, content)) return std::nullopt;
  return content;
}

std::vector<HeldRow> Groups::take_released(Turn& turn) {
  std::vector<HeldRow> out;
  for (const GroupId id : std::exchange(released_, {})) {
    for (auto& [order, message] : std::exchange(groups_[id].held, {})) {
      turn.erase(Space::kChat, row_key('H', id, order));
      out.push_back(std::move(message));
    }
  }
  return out;
}

void Groups::doubt(Turn& turn) {
  if (doubted_ != Instant{} && doubted_ <= turn.env.now &&
      turn.env.now < doubted_ + limits::kGroupDoubt) {
    return;
  }
  doubted_ = turn.env.now;
  for (auto& [id, group] : groups_) group.stale = group.stale || in(group);
}

void Groups::forget_told(UserId user, Turn& turn) {
  for (auto& [id, group] : groups_) {
    if (group.told.erase(user) != 0) store_told(id, group, turn);
  }
}

// ---- storage

Result<void> Groups::load(const ports::Row& row) {
  constexpr Error kDamaged{Code::kCorrupt, "the profile holds a damaged row of a group"};
  if (row.key.size() < 17) return fail(kDamaged);
  const ByteView rest = ByteView(row.key).subspan(17);
  const GroupId id{*to_array<16>(ByteView(row.key).subspan(1, 16))};
  Group& group = groups_[id];
  const auto keep = [&](auto&& decoded, auto& into) -> Result<void> {
    if (!decoded) return fail(decoded.error());
    into = std::move(*decoded);
    return {};
  };
  const bool ordered = rest.size() == 8;
  switch (row.key[0]) {
    case 'G': {
      GODWIT_TRY(keep(decode<GroupRow>(row.value), group.row));
      auto own = e2e::SenderKey::parse(group.row.own_key);
      if (!own) return fail(own.error());
      group.own = std::move(*own);
      open_info(group);
      return {};
    }
    case 'S':
      GODWIT_TRY(keep(decode<proto::GroupState>(row.value), group.state));
      if (group.rules.rules.empty()) note_rules(group.state, group.rules);
      open_info(group);
      return {};
    case 'T': {
      const auto told = decode<ToldRow>(row.value);
      if (!told) return fail(told.error());
      group.told = group.telling = {told->users.begin(), told->users.end()};
      return {};
    }
    case 'P': return keep(decode<RulesRow>(row.value), group.rules);
    case 'C':
      return ordered ? keep(decode<Intent>(row.value), group.changes[get_be64(rest)])
                     : fail(kDamaged);
    case 'Q':
      return ordered ? keep(whole_item(row.value, get_be64(rest)), group.items[get_be64(rest)])
                     : fail(kDamaged);
    case 'H':
      return ordered ? keep(whole_held(row.value), group.held[get_be64(rest)]) : fail(kDamaged);
    case 'R': {
      auto sent = decode<GroupSent>(row.value);
      if (!sent || !ordered || sent->said.group != id || !well_formed(sent->said)) {
        return fail(kDamaged);
      }
      parts_.sent.groups.load(get_be64(rest), std::move(*sent));
      return {};
    }
    case 'K':
      if (rest.size() != 17) return fail(kDamaged);
      return keep(decode<KeyRow>(row.value),
                  group.keys[{UserId{*to_array<16>(rest.first(16))}, DeviceId{rest[16]}}]);
    default: return fail(kDamaged);
  }
}

void Groups::store_all(ports::Batch& batch) const {
  const auto put = [&](Bytes key, Bytes value) {
    batch.put(Space::kChat, std::move(key), std::move(value));
  };
  const auto ordered = [&](char tag, GroupId id, const auto& items) {
    for (const auto& [order, item] : items) {
      put(row_key(tag, id, order), encode(item));
    }
  };
  for (const auto& [id, group] : groups_) {
    if (group.row.info_key != ByteArray<32>{} || group.row.vouched_version != 0) {
      put(row_key('G', id), encode(group.row));
    }
    if (group.state.version != 0) put(row_key('S', id), encode(group.state));
    if (!group.told.empty()) {
      put(row_key('T', id), encode(ToldRow{{group.told.begin(), group.told.end()}}));
    }
    if (!group.rules.rules.empty()) put(row_key('P', id), encode(group.rules));
    ordered('C', id, group.changes);
    ordered('Q', id, group.items);
    ordered('H', id, group.held);
    for (const auto& [who, row] : group.keys)
      put(chain_key(id, who.first, who.second), encode(row));
  }
  parts_.sent.groups.store_all(batch);
}

}  // namespace godwit::client
