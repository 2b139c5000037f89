#include "client/groups.h"

#include <algorithm>

#include "client/group_link.h"
#include "crypto/hash.h"

namespace godwit::client {
namespace {

using Kind = proto::GroupChange::Kind;
using ports::Space;

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

// The group, when this account may send to it.
Result<Groups::Group*> Groups::open_to_send(GroupId id) {
  const auto found = groups_.find(id);
  if (found == groups_.end()) return fail(Code::kNotFound, "there is no such group here");
  Group& group = found->second;
  if (unheard(group) || (group.state.version != 0 && !in(group))) {
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
  if (!group.items.empty() && unheard(group)) give_up(id, group, turn);
  if (group.items.empty() || group.state.version == 0) return false;
  if (!group.state.may_send(self())) {
    fail_items(id, group, group.items.size(), "you may not send to this group", turn);
    return false;
  }
  if (group.row.tried != 0 && group.row.tried_version != group.state.version) {
    ask_again(id, group, turn);
    return false;
  }
  if (group.row.tried == 0) drop_forbidden(id, group, turn);
  if (!group.items.empty() && tell_chain(id, group, turn)) submit(id, group, turn);
  return false;
}

void Groups::fetch(GroupId id, Group& group, Turn& turn) {
  const auto& from = group.candidate.version != 0 ? group.candidate : group.state;
  group.asked = true;
  parts_.connection.ask({.kind = proto::Kind::kFetchGroup, .group = id},
                        encode(proto::FetchGroup{id, from.version}), turn);
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
void Groups::invite(Group& group, const proto::GroupMember& member, const GroupKey& key,
                    Turn& turn) {
  const UserId user = member.user;
  const bool stranger = !parts_.contacts.knows(user);
  ContactRow* contact = parts_.contacts.add(user, turn);
  if (!contact) return;
  // Their number is asked for when they say it: few groups may use up a day's look-ups.
  if (stranger) contact->unconfirmed = group.state.members.size() <= limits::kGroupIntroductions;
  parts_.outbox.add_group_key(user, key, to_bytes(member.identity), turn);
  parts_.courier.wake(user);
  if (!group.own.can_encrypt()) return;
  group.told.insert(user);
  group.telling.insert(user);
}

// True: every member was told the own chain, or will be asking for it. Looks at all of them once,
// not each time that one has heard.
bool Groups::tell_chain(GroupId id, Group& group, Turn& turn) {
  if (!group.own.can_encrypt()) {
    group.own.create(id.octets, turn.env.entropy);
    group.told.clear();
    group.telling.clear();
    group.row.own_key = std::move(group.own.serialize()).release();
    store(id, group, turn);
  }
  const auto reached = [&] {
    while (!group.telling.empty() && !parts_.courier.carries_key(*group.telling.begin(), id)) {
      group.telling.erase(group.telling.begin());
    }
    return group.telling.empty();
  };
  if (!reached()) return false;
  if (group.told.size() + 1 == group.state.members.size()) return true;  // they are all members
  std::optional<GroupKey> key;
  for (const proto::GroupMember& member : group.state.members) {
    if (member.user == self() || group.told.contains(member.user)) continue;
    if (!key) key = key_of(id, group);
    invite(group, member, *key, turn);
  }
  if (key) store_told(id, group, turn);
  return reached();
}

void Groups::submit(GroupId id, Group& group, Turn& turn) {
  proto::SubmitGroup batch{.group = id, .version = group.state.version};
  std::size_t octets = 0;
  // What may have been taken goes alone: the answer is about all of it.
  const std::size_t most =
      group.row.tried != 0 ? static_cast<std::size_t>(group.row.tried) : limits::kMaxBatchMessages;
  for (const auto& [order, item] : group.items) {
    octets += item.octets() + 512;
    if (batch.messages.size() == most) break;
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
  group.row.tried = batch.messages.size();
  group.row.tried_version = group.state.version;
  store(id, group, turn);
  if (batch.messages.empty()) return;
  const Audience audience{others(id)};
  auto item = group.items.begin();
  for (std::size_t i = 0; i < batch.messages.size(); ++i, ++item) {
    if (!item->second.text || parts_.journal.deleted(id, item->second.id)) continue;
    parts_.receipts.await_group(item->second, id, audience, turn);
  }
  group.submitted = batch.messages.size();
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
    return drop_proposed(id, group, {}, turn);
  }
  for (; group.submitted != 0 && !group.items.empty(); --group.submitted) {
    settle_item(id, group, turn);
  }
  group.row.tried = 0;
  store(id, group, turn);
}

// A text was sent, or failed for good.
void Groups::start_lifetime(GroupId id, const Item& item, Turn& turn) {
  const Extras& extras = item.text->extras;
  if (extras.sets_lifetime) return;
  parts_.journal.start_lifetime(id, item.order, item.id, extras.lifetime, turn);
}

// The server has taken the first item that waits.
void Groups::settle_item(GroupId id, Group& group, Turn& turn) {
  const auto& [order, item] = *group.items.begin();
  const std::uint64_t version = group.row.tried_version;
  if (item.text) {
    parts_.receipts.settle_group(item, id, {}, turn);
    start_lifetime(id, item, turn);
  } else if (parts_.journal.needs_rights(id, *item.act)) {
    const Rights had = rights(id, self(), version);
    if (parts_.journal.apply(id, {}, had, item.composed, *item.act, turn)) {
      turn.notify(MessageChanged{id, {}, parts_.registration.profile().phone, *item.act});
    }
  }
  parts_.sent.groups.add(order, said_by(item, id, version), turn);
  turn.erase(Space::kChat, row_key('Q', id, order));
  group.items.erase(group.items.begin());
  ++group.row.accepted;
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
  if (!parts_.outbox.carries_key(user, id)) invite(group, *member, key_of(id, group), turn);
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
    if (item.text) {
      parts_.receipts.settle_group(item, id, failure, turn);
      start_lifetime(id, item, turn);
    }
    turn.erase(Space::kChat, row_key('Q', id, order));
    group.items.erase(group.items.begin());
  }
  group.submitted = 0;
  group.row.tried = 0;
  store(id, group, turn);
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
    group.stale = false;  // not a member any more
    group.not_before = turn.env.now + limits::kBackoffMax;
    if (error.code == Code::kForbidden) give_up(id, group, turn);
  } else if (error.code == Code::kConflict) {
    group.stale = true;
    if (request.kind != proto::Kind::kSubmitGroup) return;
    group.row.tried = 0;  // they were not taken
    store(id, group, turn);
  } else if (request.kind == proto::Kind::kChangeGroup) {
    drop_proposed(id, group, std::string_view(error.text).substr(0, 200), turn);
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
    group.candidate_rules = {};
    group.outdated = false;
    group.vouched = false;
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
    if (group.gathered != Instant{} && !group.asked) at = std::min(at, group.gathered);
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

}  // namespace godwit::client
