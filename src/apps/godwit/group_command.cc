#include "apps/godwit/group_command.h"

#include <algorithm>

namespace godwit::cli {
namespace {

using Act = client::Engine::GroupAct;

constexpr Duration kPatience = seconds(30);

Json group_json(const client::GroupView& group) {
  Json members = Json::array();
  for (const auto& member : group.members) {
    members.push_back({{"number", who(member.phone, member.user)}, {"admin", member.admin}});
  }
  return {{"id", to_hex(group.id.view())},
          {"name", group.name},
          {"version", group.version},
          {"state", to_hex(group.digest)},
          {"member", group.member},
          {"announcements", group.announcements},
          {"members", members}};
}

}  // namespace

std::optional<client::GroupView> find_group(const client::Engine& engine, const std::string& name) {
  std::optional<client::GroupView> found;
  const std::string_view id = std::string_view(name).substr(name.starts_with("group:") ? 6 : 0);
  for (auto& group : engine.groups()) {
    if (to_hex(group.id.view()) == id) return group;
    if (group.name != name) continue;
    if (found) return std::nullopt;
    found = std::move(group);
  }
  return found;
}

GroupCommand::GroupCommand(Context context, Options options)
    : Command(std::move(context), std::move(options)), timeout_(client_.loop()) {}

client::GroupView GroupCommand::view() const {
  for (auto& group : client_.engine().groups()) {
    if (group.id == group_) return group;
  }
  return {};
}

void GroupCommand::start() {
  if (!require_account()) return;
  if (options_.action == "list") {
    for (const auto& group : client_.engine().groups()) {
      if (group.version != 0) print(group, false);
    }
    console_.finish(kExitOk);
    return;
  }
  if (options_.action != "create") {
    const auto found = find_group(client_.engine(), options_.group);
    if (!found) {
      refuse(kExitNotFound, "not_found",
             "no group, or several, are called that: godwit group list shows their ids");
      return;
    }
    group_ = found->id;
    if (options_.action == "info") {
      print(*found, true);
      console_.finish(kExitOk);
      return;
    }
  }
  client_.go_online();
  timeout_.set(options_.timeout.value_or(kPatience), [this] {
    const bool online = client_.link() == runtime::ClientRuntime::Link::kOnline;
    refuse(online ? kExitTimeout : kExitUnreachable, online ? "timeout" : "unreachable",
           "the server did not answer yet; what you asked for is kept, and made later");
  });
  act();
}

void GroupCommand::act() {
  const std::string& action = options_.action;
  if (action == "create") {
    const auto id = client_.act([&](auto& engine, Env& env, auto& out) {
      return engine.create_group(options_.group, env, out);
    });
    if (!id) return refuse(id.error());
    group_ = *id;
    pending_ = 2;  // itself, and its name
  }
  if (action == "leave") ask(Act::kLeave, {});
  if (action == "rename") {
    expect(client_.act([&](auto& engine, Env& env, auto& out) {
      return engine.rename_group(group_, options_.text.value_or(""), env, out);
    }));
  }
  if (action == "announce") {
    expect(client_.act([&](auto& engine, Env& env, auto& out) {
      return engine.set_announcements(group_, options_.mark, env, out);
    }));
  }
  const Act act = action == "remove"    ? Act::kRemove
                  : action == "promote" ? Act::kPromote
                  : action == "demote"  ? Act::kDemote
                                        : Act::kAdd;
  for (const std::string& phone : options_.members) ask(act, phone);
}

void GroupCommand::ask(Act act, const std::string& phone) {
  expect(client_.act([&](auto& engine, Env& env, auto& out) {
    return engine.change_group(group_, act, phone, env, out);
  }));
}

void GroupCommand::expect(const Result<void>& asked) {
  if (asked) ++pending_;
  else refuse(asked.error());
}

void GroupCommand::on_event(const client::Event& event) {
  const auto* done = std::get_if<client::GroupChangeDone>(&event);
  if (done == nullptr || done->group != group_ || pending_ == 0) return;
  if (!done->failure.empty()) failure_ = done->failure;
  if (--pending_ == 0) finish();
}

void GroupCommand::on_link_failed() { (void)link_may_recover(); }

void GroupCommand::finish() {
  if (!failure_.empty()) return refuse(kExitRefused, "refused", failure_);
  print(view(), true);
  console_.finish(kExitOk);
}

void GroupCommand::print(const client::GroupView& group, bool with_members) {
  if (options_.json) return emit(group_json(group));
  line(printable(group.name) + "  " + paint(Ink::kDim, to_hex(group.id.view()), color()) + "  " +
       (group.member ? std::to_string(group.members.size()) + " members" : "you are not in it"));
  if (!with_members) return;
  if (group.announcements) line("  only admins send");
  for (const auto& member : group.members) {
    line("  " + who(member.phone, member.user) + (member.admin ? "  admin" : ""));
  }
}

}  // namespace godwit::cli
