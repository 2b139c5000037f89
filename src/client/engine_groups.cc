// Groups: what a person asks of one.
#include "client/engine.h"
#include "client/engine_state.h"

namespace godwit::client {

Result<GroupId> Engine::create_group(std::string_view name, Env& env, Effects& out) {
  if (!registered()) return fail(Code::kUnauthenticated, "register this device first");
  if (name.empty() || name.size() > 100 || !is_utf8(view_of(name))) {
    return fail(Code::kInvalid, "a group's name has 1 to 100 bytes of UTF-8");
  }
  Turn turn = state_->begin(env);
  const GroupId id = state_->groups.create(name, turn);
  state_->finish(turn, out);
  return id;
}

Result<void> Engine::change_group(GroupId group, GroupAct act, std::string_view phone, Env& env,
                                  Effects& out) {
  using Kind = proto::GroupChange::Kind;
  static constexpr Kind kKinds[] = {Kind::kAdd, Kind::kRemove, Kind::kPromote, Kind::kDemote,
                                    Kind::kLeave};
  const bool leaves = act == GroupAct::kLeave;
  if (leaves != phone.empty() || (!leaves && !is_phone(phone))) {
    return fail(Code::kInvalid, "write the number as +, country code and number, digits only");
  }
  Intent intent{.change = {.kind = kKinds[static_cast<std::size_t>(act)]},
                .phone = std::string(phone)};
  if (phone == profile().phone) {
    intent.change.user = profile().user;
    intent.phone.clear();
  }
  Turn turn = state_->begin(env);
  const auto done = state_->groups.change(group, std::move(intent), turn);
  state_->finish(turn, out);
  return done;
}

Result<void> Engine::edit_group(GroupId group, GroupEdit edit, Env& env, Effects& out) {
  Turn turn = state_->begin(env);
  const auto done = state_->groups.edit(group, std::move(edit), turn);
  state_->finish(turn, out);
  return done;
}

Result<void> Engine::set_group_rules(GroupId group, GroupRules rules, Env& env, Effects& out) {
  Turn turn = state_->begin(env);
  const auto done = state_->groups.set_rules(group, rules, turn);
  state_->finish(turn, out);
  return done;
}

Result<void> Engine::make_group_link(GroupId group, LinkTerms terms, Env& env, Effects& out) {
  Turn turn = state_->begin(env);
  const auto done = state_->groups.make_link(group, terms, turn);
  state_->finish(turn, out);
  return done;
}

Result<void> Engine::revoke_group_link(GroupId group, Env& env, Effects& out) {
  Turn turn = state_->begin(env);
  const auto done = state_->groups.revoke_link(group, turn);
  state_->finish(turn, out);
  return done;
}

Result<void> Engine::answer_pending(GroupId group, UserId user, bool let_in, Env& env,
                                    Effects& out) {
  Turn turn = state_->begin(env);
  const auto done = state_->groups.answer(group, user, let_in, turn);
  state_->finish(turn, out);
  return done;
}

Result<GroupId> Engine::join_group(std::string_view link, Env& env, Effects& out) {
  if (!registered()) return fail(Code::kUnauthenticated, "register this device first");
  Turn turn = state_->begin(env);
  const auto id = state_->groups.join(link, turn);
  state_->finish(turn, out);
  return id;
}

std::vector<GroupView> Engine::groups() const { return state_->groups.list(); }

}  // namespace godwit::client
