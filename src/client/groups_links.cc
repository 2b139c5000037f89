// Groups: what they say of themselves, and how people come in by a link.
#include "client/group_link.h"

#include <algorithm>

#include "client/groups.h"
#include "crypto/aead.h"

namespace godwit::client {
namespace {

using Kind = proto::GroupChange::Kind;
using ports::Space;

constexpr std::string_view kScheme = "godwit:join/";
constexpr std::string_view kIntroduction = "godwit group introduction";
constexpr std::size_t kLinkOctets = 16 + 32 + 32 + 32;  // and the version: 1 to 8

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_picture(ByteView octets) {
  const auto begins = [&](std::string_view magic) {
    return octets.size() > magic.size() && same(octets.first(magic.size()), view_of(magic));
  };
  return begins("\xFF\xD8\xFF") || begins("\x89PNG\r\n") ||
         (begins("RIFF") && octets.size() > 12 && same(octets.subspan(8, 4), view_of("WEBP")));
}

}  // namespace

std::string write_link(const GroupLinkText& link) {
  Bytes octets = to_bytes(link.group.octets);
  append(octets, link.secret);
  append(octets, link.info_key);
  append(octets, link.digest);
  Bytes version;
  put_be64(version, link.version);
  version.erase(version.begin(), std::ranges::find_if(version, [](auto c) { return c != 0; }));
  append(octets, version);
  return std::string(kScheme) + to_base32(octets);
}

Result<GroupLinkText> read_link(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  text = text.substr(0, text.find_last_not_of(kSpace) + 1);
  const bool ours = std::ranges::equal(text.substr(0, kScheme.size()), kScheme, {}, lower);
  const auto octets = ours ? from_base32(text.substr(kScheme.size())) : std::nullopt;
  if (!octets || octets->size() <= kLinkOctets || octets->size() > kLinkOctets + 8) {
    return fail(Code::kInvalid, "this is not a whole link to a group: it begins with godwit:join/");
  }
  const ByteView view = *octets;
  GroupLinkText link{.group = GroupId{*to_array<16>(view.first(16))},
                     .secret = *to_array<32>(view.subspan(16, 32)),
                     .info_key = *to_array<32>(view.subspan(48, 32)),
                     .digest = *to_array<32>(view.subspan(80, 32))};
  for (const std::uint8_t octet : view.subspan(kLinkOctets))
    link.version = link.version << 8 | octet;
  if (link.group.is_nil() || view[kLinkOctets] == 0) {
    return fail(Code::kInvalid, "this link names no group");
  }
  return link;
}

proto::IdentityKey link_key(const ByteArray<32>& secret) {
  proto::IdentityKey out{0x05};
  std::ranges::copy(crypto::KeyPair::from_private(secret).public_key, out.begin() + 1);
  return out;
}

// ---- name, description, picture, rules

Result<void> Groups::edit(GroupId id, GroupEdit edit, Turn& turn) {
  const auto found = groups_.find(id);
  if (found == groups_.end()) return fail(Code::kNotFound, "there is no such group here");
  Group& group = found->second;
  GroupInfo info = group.info;
  if (edit.name) info.name = *edit.name;
  if (edit.description) info.description = *edit.description;
  if (edit.picture) info.picture = *edit.picture;
  if (info.name.empty() || info.name.size() > limits::kGroupName || !is_utf8(view_of(info.name))) {
    return fail(Code::kInvalid, "a group's name has 1 to 100 bytes of UTF-8");
  }
  if (info.description.size() > limits::kGroupDescription || !is_utf8(view_of(info.description))) {
    return fail(Code::kInvalid, "a description has at most 2,048 bytes of UTF-8");
  }
  if (info.picture.size() > limits::kGroupPicture) {
    return fail(Code::kTooLarge, "a group's picture has at most 12 KiB: make it smaller");
  }
  if (!info.picture.empty() && !is_picture(info.picture)) {
    return fail(Code::kInvalid, "a group's picture is a JPEG, PNG or WebP file");
  }
  if (group.state.version != 0 && !group.state.settings.all_edit && !group.state.is_admin(self())) {
    return fail(Code::kForbidden, "only an admin of the group may do that");
  }
  return change(
      id, {.change = {.kind = Kind::kInfo, .info = seal_info(group, info, turn)}, .phone = {}},
      turn);
}

Result<void> Groups::set_rules(GroupId id, GroupRules rules, Turn& turn) {
  const auto found = groups_.find(id);
  if (found == groups_.end()) return fail(Code::kNotFound, "there is no such group here");
  proto::GroupSettings settings = found->second.state.settings;
  settings.announcements = rules.announcements.value_or(settings.announcements);
  settings.all_edit = rules.all_edit.value_or(settings.all_edit);
  settings.all_add = rules.all_add.value_or(settings.all_add);
  return change(id, {.change = {.kind = Kind::kSettings, .settings = settings}, .phone = {}}, turn);
}

Bytes Groups::seal_info(const Group& group, const GroupInfo& info, Turn& turn) const {
  const auto nonce = turn.env.entropy.draw<crypto::kGcmNonce>();
  Bytes out = to_bytes(nonce);
  crypto::aes_gcm_seal(group.row.info_key, nonce, {}, encode(info), out);
  return out;
}

void Groups::open_info(Group& group) const {
  const ByteView sealed = group.state.info;
  if (sealed.size() < crypto::kGcmNonce) return;
  Bytes opened;
  if (!crypto::aes_gcm_open(group.row.info_key, sealed.first<crypto::kGcmNonce>(), {},
                            sealed.subspan(crypto::kGcmNonce), opened)) {
    return;
  }
  auto info = decode<GroupInfo>(opened);
  if (!info || !is_utf8(view_of(info->name)) || !is_utf8(view_of(info->description))) return;
  if (!info->picture.empty() && !is_picture(info->picture)) info->picture.clear();
  group.info = std::move(*info);
}

// ---- numbers

Bytes Groups::introduction(const Group& group, const std::string& phone, Turn& turn) const {
  const auto nonce = turn.env.entropy.draw<crypto::kGcmNonce>();
  Bytes out = to_bytes(nonce);
  crypto::aes_gcm_seal(group.row.info_key, nonce, view_of(kIntroduction), view_of(phone), out);
  return out;
}

// Empty: there is none, or it makes no sense.
std::string Groups::introduced(const Group& group, const proto::GroupMember& member) const {
  const ByteView sealed = member.introduction;
  Bytes opened;
  if (sealed.size() < crypto::kGcmNonce ||
      !crypto::aes_gcm_open(group.row.info_key, sealed.first<crypto::kGcmNonce>(),
                            view_of(kIntroduction), sealed.subspan(crypto::kGcmNonce), opened)) {
    return {};
  }
  std::string phone(opened.begin(), opened.end());
  return is_phone(phone) ? phone : std::string();
}

// Nobody's word is taken for whose number it is. Few groups may use up a day's look-ups.
void Groups::ask_numbers(const Group& group) {
  const auto ask = [&](const proto::GroupMember& member) {
    const ContactRow* contact = parts_.contacts.find(member.user);
    if (member.user == self() || (contact && !contact->contact.phone.empty())) return;
    const std::string phone = introduced(group, member);
    if (phone.empty() || impostors_.contains(member.user)) return;
    const auto [first, last] = claims_.equal_range(phone);
    const bool asked =
        std::any_of(first, last, [&](const auto& claim) { return claim.second == member.user; });
    if (!asked) claims_.emplace(phone, member.user);
    parts_.lookups.want(phone);
  };
  if (!in(group)) return;
  if (group.state.members.size() <= limits::kGroupIntroductions) {
    std::ranges::for_each(group.state.members, ask);
  }
  if (group.state.is_admin(self())) std::ranges::for_each(group.state.pending, ask);
}

void Groups::on_attached() {
  wake_all();
  for (const auto& [id, group] : groups_) ask_numbers(group);
}

void Groups::on_lookup(const std::string& phone, UserId user, Turn& turn) {
  bool theirs = false;
  const auto [first, last] = claims_.equal_range(phone);
  for (auto claim = first; claim != last; ++claim) {
    if (claim->second == user) theirs = true;
    else impostors_.insert(claim->second);
  }
  claims_.erase(first, last);
  ContactRow* contact = theirs ? parts_.contacts.add(user, turn) : nullptr;
  if (!contact) return;
  parts_.contacts.bind(*contact, phone, turn);
  for (const auto& [id, group] : groups_) {
    const auto& pending = group.state.pending;
    const bool waits = std::ranges::find(pending, user, &proto::GroupMember::user) != pending.end();
    if (in(group) && (waits || group.state.member(user))) {
      turn.notify(GroupChanged{view(id, group), {}});
    }
  }
}

// ---- links

Result<void> Groups::make_link(GroupId id, const LinkTerms& terms, Turn& turn) {
  const auto found = groups_.find(id);
  if (found == groups_.end()) return fail(Code::kNotFound, "there is no such group here");
  Group& group = found->second;
  group.row.link_secret = turn.env.entropy.draw<32>();
  store(id, group, turn);
  const Instant expires = terms.lifetime.ms == 0 ? Instant{} : turn.env.now + terms.lifetime;
  const proto::GroupLink link{.key = link_key(group.row.link_secret),
                              .expires = expires,
                              .uses = terms.uses,
                              .approval = terms.approval};
  return change(id, {.change = {.kind = Kind::kLink, .link = link}, .phone = {}}, turn);
}

Result<void> Groups::revoke_link(GroupId id, Turn& turn) {
  return change(id, {.change = {.kind = Kind::kLink}, .phone = {}}, turn);
}

Result<void> Groups::answer(GroupId id, UserId user, bool let_in, Turn& turn) {
  const auto found = groups_.find(id);
  if (found == groups_.end()) return fail(Code::kNotFound, "there is no such group here");
  const auto& pending = found->second.state.pending;
  const auto at = std::ranges::find(pending, user, &proto::GroupMember::user);
  if (at == pending.end()) return fail(Code::kNotFound, "this person does not wait to be let in");
  const proto::GroupChange change_of{
      .kind = let_in ? Kind::kAdd : Kind::kDecline, .user = user, .identity = at->identity};
  return change(id, {.change = change_of, .phone = {}}, turn);
}

Result<GroupId> Groups::join(std::string_view text, Turn& turn) {
  const auto link = read_link(text);
  if (!link) return fail(link.error());
  Group& group = groups_[link->group];
  if (in(group)) return fail(Code::kConflict, "you are in this group already");
  if (group.state.version != 0) {  // and were in it before: what is known of it is old
    group.state = {};
    group.rules = {};
    turn.erase(Space::kChat, row_key('S', link->group));
    turn.erase(Space::kChat, row_key('P', link->group));
  }
  group.row.info_key = link->info_key;
  group.row.vouched_version = link->version;
  group.row.vouched = link->digest;
  group.row.join_secret = link->secret;
  group.row.waits = false;
  group.row.out = false;
  group.candidate = {};
  group.vouched = false;
  group.not_before = {};
  store(link->group, group, turn);
  const auto own = parts_.keyring.identity().public_key().wire();
  const proto::GroupChange joins{
      .kind = Kind::kJoin,
      .identity = own,
      .info = introduction(group, parts_.registration.profile().phone, turn)};
  (void)change(link->group, {.change = joins, .phone = {}}, turn);
  return link->group;
}

// The head is known: asks to be the next one.
void Groups::propose_join(GroupId id, Group& group, const proto::GroupHistory& head, Turn& turn) {
  const proto::Transition transition{.group = id,
                                     .version = head.version + 1,
                                     .previous = head.digest,
                                     .actor = self(),
                                     .time = turn.env.now,
                                     .changes = {group.changes.begin()->second.change}};
  proto::SignedTransition proposal{.body = encode(transition)};
  const Bytes octets = proto::signed_octets(proposal.body);
  proposal.signature = parts_.keyring.identity().sign(octets, turn.env.entropy);
  const auto link = crypto::KeyPair::from_private(group.row.join_secret);
  proposal.link_signature =
      crypto::xeddsa_sign(link.private_key, octets, turn.env.entropy.draw<64>());
  group.asked = true;
  parts_.connection.ask({.kind = proto::Kind::kChangeGroup, .group = id},
                        encode(proto::ChangeGroup{id, encode(proposal)}), turn);
}

bool Groups::joins(const Group& group) const {
  return group.state.version == 0 && !group.changes.empty() &&
         group.changes.begin()->second.change.kind == Kind::kJoin;
}

// The server has taken it: now the history shows whether an admin has yet to agree.
void Groups::on_joined(GroupId id, Group& group, Turn& turn) {
  group.row.waits = true;
  store(id, group, turn);
  turn.erase(Space::kChat, row_key('C', id, group.changes.begin()->first));
  group.changes.erase(group.changes.begin());
  group.joined = true;
}

// In, or waiting for an admin.
void Groups::settle_join(GroupId id, Group& group, Turn& turn) {
  const bool now_in = in(group);
  if (now_in && group.row.waits) {
    group.row.waits = false;
    group.row.join_secret = {};
    store(id, group, turn);
  }
  if (std::exchange(group.joined, false)) turn.notify(GroupChangeDone{id, {}});
  if (group.row.waits) group.not_before = turn.env.now + limits::kJoinPoll;
}

// The link does not open, or who waited does not want to any more.
void Groups::forget(GroupId id, std::string failure, Turn& turn) {
  for (const char tag : {'G', 'T', 'C', 'H', 'K', 'P'}) {
    turn.erase_range(Space::kChat, row_key(tag, id), after_prefix(row_key(tag, id)));
  }
  groups_.erase(id);
  turn.notify(GroupChangeDone{id, std::move(failure)});
}

}  // namespace godwit::client
