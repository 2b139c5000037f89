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

Result<void> Engine::rename_group(GroupId group, std::string_view name, Env& env, Effects& out) {
  Turn turn = state_->begin(env);
  const auto done = state_->groups.rename(group, name, turn);
  state_->finish(turn, out);
  return done;
}

Result<void> Engine::set_announcements(GroupId group, bool only_admins, Env& env, Effects& out) {
  Turn turn = state_->begin(env);
  const Intent intent{.change = {.kind = proto::GroupChange::Kind::kSettings,
                                 .settings = {.announcements = only_admins}},
                      .phone = {}};
  const auto done = state_->groups.change(group, intent, turn);
  state_->finish(turn, out);
  return done;
}

std::vector<GroupView> Engine::groups() const { return state_->groups.list(); }

}  // namespace godwit::client
