// What not everybody may do in a group. An act is judged by the state that the server took it for,
// everywhere: so an admin's act and the end of their being one may cross, and all agree.
#include <algorithm>

#include "client/groups.h"

namespace godwit::client {

using ports::Space;

// What a state says about who may do what, behind what those before it said.
void Groups::note_rules(const proto::GroupState& state, RulesRow& into) {
  GroupRule rule{.version = state.version, .all_edit = state.settings.all_edit};
  for (const proto::GroupMember& member : state.members) {
    if (member.role == proto::Role::kAdmin) rule.admins.push_back(member.user);
  }
  auto& rules = into.rules;
  if (!rules.empty()) {
    const GroupRule& last = rules.back();
    if (last.all_edit == rule.all_edit && last.admins == rule.admins) return;
  }
  if (rules.size() == limits::kGroupRules) rules.erase(rules.begin());
  rules.push_back(std::move(rule));
}

Rights Groups::rights(GroupId id, UserId user, std::uint64_t version) const {
  const auto found = groups_.find(id);
  if (found == groups_.end()) return {.edits = false};
  const auto& rules = found->second.rules.rules;
  auto rule = std::ranges::upper_bound(rules, version, {}, &GroupRule::version);
  if (rule != rules.begin()) --rule;
  if (rule == rules.end()) return {.edits = false};  // nothing is known of the group
  const bool admin = std::ranges::binary_search(rule->admins, user);
  return {.edits = admin || rule->all_edit, .moderates = admin};
}

Duration Groups::receipts_within(GroupId id) const {
  const auto found = groups_.find(id);
  if (found == groups_.end()) return {};
  return {static_cast<std::int64_t>(found->second.state.members.size()) * 1000 /
          limits::kReceiptsPerSecond};
}

// The answer was lost, and the group is another one now. Were they taken while it was what it was?
// Who may do what is judged by that. There is nothing to read in it: the ids say it all.
void Groups::ask_again(GroupId id, Group& group, Turn& turn) {
  proto::SubmitGroup batch{.group = id, .version = group.row.tried_version};
  for (const auto& [order, item] : group.items) {
    if (batch.messages.size() == group.row.tried) break;
    batch.messages.push_back({group_envelope_id(id, item.id), {}});
  }
  group.submitted = batch.messages.size();
  group.asked = true;
  parts_.connection.ask({.kind = proto::Kind::kSubmitGroup, .group = id}, encode(batch), turn);
}

// What was meant to be done as an admin is not done by who is none any more.
void Groups::drop_forbidden(GroupId id, Group& group, Turn& turn) {
  const Rights may = rights(id, self(), group.state.version);
  std::erase_if(group.items, [&](const auto& entry) {
    const auto& [order, item] = entry;
    if (!item.act || !parts_.journal.needs_rights(id, *item.act)) return false;
    if (item.act->kind == Act::Kind::kPin ? may.edits : may.moderates) return false;
    turn.erase(Space::kChat, row_key('Q', id, order));
    return true;
  });
}

}  // namespace godwit::client
