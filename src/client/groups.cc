#include "client/groups.h"

#include <algorithm>

#include "client/group_link.h"
#include "crypto/hash.h"

namespace godwit::client {
namespace {

using Kind = proto::GroupChange::Kind;
using ports::Space;

proto::IdentityKey identity_of(const Bytes& wire) {
  return to_array<33>(wire).value_or(proto::IdentityKey{});
}

GroupSaid said_by(const Item& item, GroupId group, std::uint64_t version) {
  return {.group = group,
          .version = version,
          .id = item.id,
          .composed = item.composed,
          .text = item.text,
          .act = item.act};
}

}  // namespace

std::uint64_t Groups::take_order(Turn& turn) {
  turn.ledger = true;
  return parts_.ledger.next_order++;
}

void Groups::store(GroupId id, const Group& group, Turn& turn) {
  turn.put(Space::kChat, row_key('G', id), encode(group.row));
}

void Groups::store_told(GroupId id, const Group& group, Turn& turn) {
  if (group.told.empty()) return turn.erase(Space::kChat, row_key('T', id));
  turn.put(Space::kChat, row_key('T', id), encode(ToldRow{{group.told.begin(), group.told.end()}}));
}

// ---- commands

GroupId Groups::create(std::string_view name, Turn& turn) {
  const GroupId id = GroupId::random(turn.env.entropy);
  Group& group = groups_[id];
  group.row.info_key = turn.env.entropy.draw<32>();
  group.info.name = name;
  store(id, group, turn);
  const auto own = parts_.keyring.identity().public_key().wire();
  const std::string& phone = parts_.registration.profile().phone;
  const proto::GroupChange first{.kind = Kind::kAdd,
                                 .user = self(),
                                 .identity = own,
                                 .info = introduction(group, phone, turn)};
  (void)change(id, {.change = first, .phone = {}}, turn);
  (void)edit(id, {.name = std::string(name), .description = {}, .picture = {}}, turn);
  return id;
}

Result<void> Groups::change(GroupId id, Intent intent, Turn& turn) {
  const auto found = groups_.find(id);
  if (found == groups_.end()) return fail(Code::kNotFound, "there is no such group here");
  if (!intent.phone.empty() && !parts_.contacts.find(intent.phone))
    parts_.lookups.want(intent.phone);
  if (found->second.row.waits && intent.change.kind == Kind::kLeave) {
    forget(id, {}, turn);
    return {};
  }
  const std::uint64_t order = take_order(turn);
  turn.put(Space::kChat, row_key('C', id, order), encode(intent));
  found->second.changes[order] = std::move(intent);
  return {};
}

// The group, when this account may send to it.
Result<Groups::Group*> Groups::open_to_send(GroupId id) {
  const auto found = groups_.find(id);
  if (found == groups_.end()) return fail(Code::kNotFound, "there is no such group here");
  Group& group = found->second;
  if (group.state.version != 0 && !in(group)) {
    return fail(Code::kForbidden, "you are not in this group any more");
  }
  if (group.state.version != 0 && !group.state.may_send(self())) {
    return fail(Code::kForbidden, "only admins send to this group");
  }
  if (group.items.size() >= limits::kGroupMembers * 8) {
    return fail(Code::kFull, "too many messages wait to be sent; connect first");
  }
  return &group;
}

// A number that nobody here has may be that of a member whose number is not known.
bool Groups::may_be_member(const Group& group, const std::string& phone) const {
  if (phone == parts_.registration.profile().phone) return true;
  if (const ContactRow* contact = parts_.contacts.find(phone); contact != nullptr) {
    return group.state.member(contact->contact.user) != nullptr;
  }
  return std::ranges::any_of(group.state.members, [&](const proto::GroupMember& member) {
    const ContactRow* contact = parts_.contacts.find(member.user);
    return member.user != self() && (!contact || contact->contact.phone.empty());
  });
}

Result<MessageId> Groups::send(GroupId id, Text text, Turn& turn) {
  const auto group = open_to_send(id);
  if (!group) return fail(group.error());
  for (const std::string& phone : text.extras.mentions) {
    if (!may_be_member(**group, phone)) {
      return fail(Code::kInvalid, "who is mentioned is not in the group");
    }
  }
  Item item{.order = take_order(turn),
            .id = MessageId::random(turn.env.entropy),
            .composed = turn.env.now,
            .text = std::move(text)};
  Message message = message_of(item);
  message.chat = id;
  parts_.journal.add(message, item.order, turn);
  turn.put(Space::kChat, row_key('Q', id, item.order), encode(item));
  const MessageId made = item.id;
  (*group)->items[item.order] = std::move(item);
  return made;
}

Result<void> Groups::act(GroupId id, const Act& act, Turn& turn) {
  const auto group = open_to_send(id);
  if (!group) return fail(group.error());
  Item item{.order = take_order(turn),
            .id = MessageId::random(turn.env.entropy),
            .composed = turn.env.now,
            .act = act};
  turn.put(Space::kChat, row_key('Q', id, item.order), encode(item));
  (*group)->items[item.order] = std::move(item);
  return {};
}

bool Groups::has_member(GroupId id, UserId user) const {
  const auto found = groups_.find(id);
  return found != groups_.end() && found->second.state.member(user) != nullptr;
}

std::vector<UserId> Groups::others(GroupId id) const {
  std::vector<UserId> out;
  const auto found = groups_.find(id);
  if (found == groups_.end()) return out;
  for (const proto::GroupMember& member : found->second.state.members) {
    if (member.user != self()) out.push_back(member.user);
  }
  return out;
}

Rights Groups::rights(GroupId id, UserId user) const {
  const auto found = groups_.find(id);
  if (found == groups_.end()) return {.edits = false};
  const proto::GroupState& state = found->second.state;
  const bool admin = state.is_admin(user);
  const bool edits = admin || (state.settings.all_edit && state.member(user) != nullptr);
  return {.edits = edits, .moderates = admin};
}

GroupView Groups::view(GroupId id, const Group& group) const {
  GroupView out{.id = id,
                .name = group.info.name,
                .description = group.info.description,
                .picture = group.info.picture,
                .version = group.state.version,
                .announcements = group.state.settings.announcements,
                .all_edit = group.state.settings.all_edit,
                .all_add = group.state.settings.all_add,
                .member = in(group),
                .waits = group.row.waits};
  out.digest = proto::digest(group.state);
  const auto seen = [&](const proto::GroupMember& member) -> GroupView::Member {
    const ContactRow* contact = parts_.contacts.find(member.user);
    const bool own = member.user == self();
    const std::string phone = own       ? parts_.registration.profile().phone
                              : contact ? contact->contact.phone
                                        : std::string();
    return {member.user, phone, member.role == proto::Role::kAdmin};
  };
  std::ranges::transform(group.state.members, std::back_inserter(out.members), seen);
  std::ranges::transform(group.state.pending, std::back_inserter(out.pending), seen);
  const proto::GroupLink& link = group.state.link;
  if (link.key == proto::IdentityKey{}) return out;
  const bool own =
      group.row.link_secret != ByteArray<32>{} && link_key(group.row.link_secret) == link.key;
  out.link = {.text = own ? write_link({id, group.row.link_secret, group.row.info_key,
                                        group.state.version, out.digest})
                          : std::string(),
              .expires = link.expires,
              .uses = link.uses,
              .used = link.used,
              .approval = link.approval};
  return out;
}

std::vector<GroupView> Groups::list() const {
  std::vector<GroupView> out;
  for (const auto& [id, group] : groups_) out.push_back(view(id, group));
  return out;
}

// ---- what is sent

void Groups::wake_all() {
  for (auto& [id, group] : groups_) group.not_before = {};
}

void Groups::pump(Turn& turn) {
  if (!parts_.connection.attached()) return;
  for (auto& [id, group] : groups_) {
    while (!group.asked && group.not_before <= turn.env.now && serve(id, group, turn)) {
    }
  }
}

// Does the next thing; false: nothing can be done now.
bool Groups::serve(GroupId id, Group& group, Turn& turn) {
  const bool unknown = group.state.version == 0 && group.row.vouched_version != 0;
  if (unknown || group.stale) {
    fetch(id, group, turn);
    return false;
  }
  if (!group.changes.empty()) return propose(id, group, turn);
  if (group.items.empty() || group.state.version == 0) return false;
  if (!group.state.may_send(self())) {
    fail_items(id, group, group.items.size(), "you may not send to this group", turn);
    return false;
  }
  if (tell_chain(id, group, turn)) submit(id, group, turn);
  return false;
}

void Groups::fetch(GroupId id, Group& group, Turn& turn) {
  const auto& from = group.candidate.version != 0 ? group.candidate : group.state;
  group.asked = true;
  parts_.connection.ask({.kind = proto::Kind::kFetchGroup, .group = id},
                        encode(proto::FetchGroup{id, from.version}), turn);
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

// Makes a transition of the first changes that wait: those that can be made together.
bool Groups::propose(GroupId id, Group& group, Turn& turn) {
  proto::Transition transition{
      .group = id,
      .version = group.state.version + 1,
      .previous = group.state.version == 0 ? proto::GroupDigest{} : proto::digest(group.state),
      .actor = self(),
      .time = turn.env.now};
  Intent& intent = group.changes.begin()->second;
  if (!resolve(intent, turn)) return false;
  transition.changes = {intent.change};
  const bool few = group.state.members.size() < limits::kGroupIntroductions;
  if (few && !intent.phone.empty() && intent.change.kind == Kind::kAdd) {
    transition.changes.front().info = introduction(group, intent.phone, turn);
  }
  proto::SignedTransition proposal{.body = encode(transition)};
  auto next = proto::apply(group.state, transition, proposal.body);
  if (!next) {
    // Whoever was made an admin while this device was off may not know it yet.
    if (in(group) && !std::exchange(group.doubted, true)) {
      group.stale = true;
      return true;
    }
    const bool done = next.error().code == Code::kInvalid || next.error().code == Code::kNotFound;
    drop_change(id, group, done ? std::string() : std::string(next.error().text), turn);
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

void Groups::drop_change(GroupId id, Group& group, std::string failure, Turn& turn) {
  const auto first = group.changes.begin();
  turn.erase(Space::kChat, row_key('C', id, first->first));
  group.changes.erase(first);
  turn.notify(GroupChangeDone{id, std::move(failure)});
}

GroupKey Groups::key_of(GroupId id, const Group& group) const {
  GroupKey key{.group = id,
               .version = group.state.version,
               .digest = proto::digest(group.state),
               .info_key = group.row.info_key};
  if (auto distribution = group.own.distribution_message()) key.distribution = *distribution;
  return key;
}

// The state says whose device it is to be: the server's word alone puts nobody in a member's place.
void Groups::invite(GroupId id, Group& group, const proto::GroupMember& member, Turn& turn) {
  const UserId user = member.user;
  const bool stranger = !parts_.contacts.knows(user);
  ContactRow* contact = parts_.contacts.add(user, turn);
  if (!contact) return;
  // Their number is asked for when they say it: few groups may use up a day's look-ups.
  if (stranger) contact->unconfirmed = group.state.members.size() <= limits::kGroupIntroductions;
  parts_.outbox.add_group_key(user, key_of(id, group), to_bytes(member.identity), turn);
  parts_.courier.wake(user);
  if (group.own.can_encrypt()) group.told.insert(user);
}

// True: every member was told the own chain, or will be asking for it.
bool Groups::tell_chain(GroupId id, Group& group, Turn& turn) {
  if (!group.own.can_encrypt()) {
    group.own.create(id.octets, turn.env.entropy);
    group.told.clear();
    group.row.own_key = std::move(group.own.serialize()).release();
    store(id, group, turn);
  }
  bool all = true, changed = false;
  for (const proto::GroupMember& member : group.state.members) {
    if (member.user == self()) continue;
    if (!group.told.contains(member.user)) {
      invite(id, group, member, turn);
      changed = true;
    }
    all = all && !parts_.courier.carries_key(member.user, id);
  }
  if (changed) store_told(id, group, turn);
  return all;
}

void Groups::submit(GroupId id, Group& group, Turn& turn) {
  proto::SubmitGroup batch{.group = id, .version = group.state.version};
  std::size_t octets = 0;
  for (const auto& [order, item] : group.items) {
    octets += item.octets() + 512;
    if (batch.messages.size() == limits::kMaxBatchMessages) break;
    if (!batch.messages.empty() && octets > limits::kMaxBatchBytes) break;
    const Content content{.id = item.id,
                          .composed = item.composed,
                          .sender_phone = parts_.registration.profile().phone,
                          .stream = parts_.registration.stream(),
                          .number = group.row.accepted + 1 + batch.messages.size(),
                          .group = id,
                          .text = item.text,
                          .act = item.act,
                          .group_version = group.state.version};
    auto sealed = group.own.encrypt(seal_content(content), turn.env.entropy);
    if (!sealed) {  // used up: a new one next time
      group.own = {};
      break;
    }
    batch.messages.push_back({group_envelope_id(id, item.id), std::move(*sealed)});
  }
  group.row.own_key = std::move(group.own.serialize()).release();
  store(id, group, turn);
  if (batch.messages.empty()) return;
  const Audience audience{others(id)};
  auto item = group.items.begin();
  for (std::size_t i = 0; i < batch.messages.size(); ++i, ++item) {
    if (!item->second.text || parts_.journal.deleted(id, item->second.id)) continue;
    parts_.receipts.await_group(item->second, id, audience, turn);
  }
  group.submitted = batch.messages.size();
  group.submitted_version = group.state.version;
  group.asked = true;
  parts_.connection.ask({.kind = proto::Kind::kSubmitGroup, .group = id}, encode(batch), turn);
}

void Groups::on_accepted(const Request& request, Turn& turn) {
  const auto found = groups_.find(request.group);
  if (found == groups_.end()) return;
  auto& [id, group] = *found;
  group.asked = false;
  if (request.kind == proto::Kind::kChangeGroup && joins(group)) {
    return on_joined(id, group, turn);
  }
  if (request.kind == proto::Kind::kChangeGroup && group.proposed) {
    proto::GroupState next = std::move(*group.proposed);
    group.proposed.reset();
    if (next.version == group.state.version + 1) adopt(id, group, std::move(next), self(), turn);
    return drop_change(id, group, {}, turn);
  }
  for (; group.submitted != 0 && !group.items.empty(); --group.submitted) {
    const auto& [order, item] = *group.items.begin();
    if (item.text) {
      parts_.receipts.settle_group(item, id, {}, turn);
      const Extras& extras = item.text->extras;
      if (!extras.sets_lifetime) {
        parts_.journal.start_lifetime(id, order, item.id, extras.lifetime, turn);
      }
    }
    parts_.sent.groups.add(order, said_by(item, id, group.submitted_version), turn);
    turn.erase(Space::kChat, row_key('Q', id, order));
    group.items.erase(group.items.begin());
    ++group.row.accepted;
  }
  store(id, group, turn);
}

// What went out in this envelope: accepted, or perhaps.
std::optional<GroupSaid> Groups::said_in(EnvelopeId envelope) const {
  if (const GroupSaid* said = parts_.sent.groups.find(envelope); said) return *said;
  for (const auto& [id, group] : groups_) {
    for (const auto& [order, item] : group.items) {
      if (group_envelope_id(id, item.id) == envelope) {
        return said_by(item, id, group.state.version);
      }
    }
  }
  return std::nullopt;
}

// Who joined later is told nothing, nor is who is gone: anybody can ask in their name, and they,
// too.
void Groups::on_request(UserId user, const e2e::DecryptionError& error, Turn& turn) {
  const auto said = said_in(error.envelope.value_or(EnvelopeId{}));
  if (!said) return forget_told(user, turn);
  const auto found = groups_.find(said->group);
  if (found == groups_.end() || !in(found->second)) return;
  auto& [id, group] = *found;
  const proto::GroupMember* member = group.state.member(user);
  if (!member || member->since > said->version) return;
  if (error.reused) renew_chain(id, group, turn);
  if (!parts_.outbox.carries_key(user, id)) invite(id, group, *member, turn);
  store_told(id, group, turn);
  parts_.outbox.add_repeat(user, *said, to_bytes(member->identity), turn);
}

// This device has lost how far its chain went.
void Groups::renew_chain(GroupId id, Group& group, Turn& turn) {
  if (!group.own.can_encrypt()) return;
  if (group.renewed != Instant{} && turn.env.now < group.renewed + limits::kChainRenewal &&
      group.renewed <= turn.env.now) {
    return;
  }
  group.renewed = turn.env.now;
  group.own = {};
  group.row.own_key.clear();
  group.told.clear();
  store(id, group, turn);
}

void Groups::fail_items(GroupId id, Group& group, std::size_t count, std::string failure,
                        Turn& turn) {
  for (; count != 0 && !group.items.empty(); --count) {
    const auto& [order, item] = *group.items.begin();
    if (item.text) parts_.receipts.settle_group(item, id, failure, turn);
    turn.erase(Space::kChat, row_key('Q', id, order));
    group.items.erase(group.items.begin());
  }
  group.submitted = 0;
}

void Groups::on_refused(const Request& request, const proto::ErrorBody& error, Turn& turn) {
  const auto found = groups_.find(request.group);
  if (found == groups_.end()) return;
  auto& [id, group] = *found;
  group.asked = false;
  group.proposed.reset();
  group.submitted = 0;
  const bool transient = error.code == Code::kFull || error.code == Code::kUnavailable ||
                         error.code == Code::kRateLimited;
  if (transient) {
    group.not_before = turn.env.now + std::max(clamped(error.retry_after), seconds(1));
  } else if (joins(group)) {
    if (error.code == Code::kConflict) return;  // somebody was quicker
    if (error.code == Code::kInvalid) {  // taken already: the answer was lost
      on_joined(id, group, turn);
      return settle_join(id, group, turn);
    }
    return forget(id, error.text.substr(0, 200), turn);
  } else if (request.kind == proto::Kind::kFetchGroup) {
    if (group.row.waits) return settle_join(id, group, turn);
    group.stale = false;  // not a member any more, or not yet
    group.not_before = turn.env.now + limits::kBackoffMax;
  } else if (error.code == Code::kConflict) {
    group.stale = true;
  } else if (request.kind == proto::Kind::kChangeGroup) {
    drop_change(id, group, error.text.substr(0, 200), turn);
  } else {
    fail_items(id, group, group.items.size(), "the server refused it: " + error.text.substr(0, 200),
               turn);
  }
}

void Groups::on_disconnected() {
  for (auto& [id, group] : groups_) {
    group.asked = false;
    group.doubted = false;
    group.proposed.reset();
    group.submitted = 0;
    group.candidate = {};
    group.vouched = false;
  }
}

void Groups::on_no_such_number(const std::string& phone, Turn& turn) {
  for (auto& [id, group] : groups_) {
    for (auto at = group.changes.begin(); at != group.changes.end();) {
      if (at->second.phone != phone || group.proposed) {
        ++at;
        continue;
      }
      turn.erase(Space::kChat, row_key('C', id, at->first));
      turn.notify(GroupChangeDone{id, phone + " has no account on this server"});
      at = group.changes.erase(at);
    }
  }
}

void Groups::on_tick(Instant now) {
  for (auto& [id, group] : groups_) {
    if (group.not_before <= now) group.not_before = {};
  }
}

Instant Groups::deadline() const {
  Instant at = kNever;
  for (const auto& [id, group] : groups_) {
    if (group.not_before != Instant{}) at = std::min(at, group.not_before);
  }
  return at;
}

bool Groups::busy() const {
  return std::ranges::any_of(groups_, [](const auto& entry) {
    const Group& group = entry.second;
    return group.asked || !group.items.empty() || !group.changes.empty();
  });
}

std::size_t Groups::waiting() const {
  std::size_t count = 0;
  for (const auto& [id, group] : groups_) count += group.items.size();
  return count;
}

bool Groups::waits_for(const std::string& phone) const { return unresolved().contains(phone); }

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
