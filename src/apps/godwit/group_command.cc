#include "apps/godwit/group_command.h"

#include <algorithm>
#include <fstream>

#include "apps/godwit/message_commands.h"
#include "apps/godwit/qr.h"
#include "client/search.h"

namespace godwit::cli {
namespace {

using Act = client::Engine::GroupAct;

constexpr Duration kPatience = seconds(30);
constexpr std::size_t kIdDigits = 4;  // at least, of an id

Json group_json(const client::GroupView& group) {
  Json members = Json::array();
  for (const auto& member : group.members) {
    members.push_back({{"number", who(member.phone, member.user)}, {"admin", member.admin}});
  }
  Json out = {{"id", to_hex(group.id.view())},
              {"name", group.name},
              {"version", group.version},
              {"state", to_hex(group.digest)},
              {"member", group.member},
              {"announcements", group.announcements},
              {"members", members}};
  if (!group.description.empty()) out["description"] = group.description;
  if (!group.picture.empty()) out["picture_bytes"] = group.picture.size();
  if (group.all_edit) out["all_edit"] = true;
  if (group.all_add) out["all_add"] = true;
  if (group.waits) out["waits"] = true;
  for (const auto& waits : group.pending) out["pending"].push_back(who(waits.phone, waits.user));
  if (const auto& link = group.link; link) {
    out["link"] = {{"used", link->used}, {"approval", link->approval}};
    if (!link->text.empty()) out["link"]["url"] = link->text;
    if (link->uses != 0) out["link"]["uses"] = link->uses;
    if (link->expires.ms != 0) out["link"]["expires_ms"] = link->expires.ms;
  }
  return out;
}

std::optional<Bytes> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  Bytes octets(limits::kGroupPicture + 1);  // one more: too large is said by the engine
  file.read(reinterpret_cast<char*>(octets.data()), static_cast<std::streamsize>(octets.size()));
  octets.resize(static_cast<std::size_t>(file.gcount()));
  return octets;
}

}  // namespace

Result<client::GroupView> find_group(const client::Engine& engine, const std::string& name) {
  const std::string id = name.substr(name.starts_with("group:") ? 6 : 0);
  const std::string loosely = client::folded(name);
  const auto groups = engine.groups();
  using Fits = std::function<bool(const client::GroupView&)>;
  for (const Fits& fits : {
           Fits([&](const auto& group) { return to_hex(group.id.view()) == id; }),
           Fits([&](const auto& group) { return group.name == name; }),
           Fits([&](const auto& group) {
             return !loosely.empty() && client::folded(group.name) == loosely;
           }),
           Fits([&](const auto& group) {
             return id.size() >= kIdDigits && to_hex(group.id.view()).starts_with(id);
           }),
       }) {
    std::vector<const client::GroupView*> found, mine;
    for (const auto& group : groups) {
      if (!fits(group)) continue;
      found.push_back(&group);
      if (group.member) mine.push_back(&group);
    }
    if (found.size() == 1) return *found.front();
    if (mine.size() == 1) return *mine.front();
    if (!found.empty()) {
      return fail(Code::kConflict,
                  "several groups are called that: give an id, as godwit group list shows them");
    }
  }
  return fail(Code::kNotFound, "no group is called that: godwit group list shows yours");
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
      if (group.version != 0 || group.waits) print(group, false);
    }
    console_.finish(kExitOk);
    return;
  }
  const bool exists = options_.action != "create" && options_.action != "join";
  if (exists) {
    const auto found = named_group(options_.group);
    if (!found) return;
    group_ = found->id;
    const bool terms = options_.uses != 0 || options_.approval || !options_.lifetime.empty();
    const bool makes_link = options_.mark || options_.revoke || terms || !found->link;
    if (options_.action == "info" || (options_.action == "link" && !makes_link)) {
      print(*found, true);
      console_.finish(kExitOk);
      return;
    }
    if (!options_.file.empty()) return save_picture(*found);
    if (!says_what()) return;
  }
  client_.go_online();
  wait(offline_patience(), kPatience);
  act();
}

void GroupCommand::wait(Duration patience, Duration then) {
  timeout_.set(patience, [this, then] {
    const bool reached = online();
    if (reached && then.ms != 0) return wait(then, {});
    refuse(reached ? kExitTimeout : kExitUnreachable, reached ? "timeout" : "unreachable",
           "the server did not answer yet; what you asked for is kept, and made later");
  });
}

// False, after an error: the options ask for nothing, or for what another command does.
bool GroupCommand::says_what() {
  const auto no = [&](const std::string& text) {
    refuse(kExitUsage, "invalid", text);
    return false;
  };
  const std::string& action = options_.action;
  if (action == "picture" && !options_.text && !options_.clear) {
    return no("name the picture's file, or give --save FILE or --clear");
  }
  if (action == "edit" && options_.who_edits.empty() && options_.who_adds.empty()) {
    return no("say who: --info all or admins, --add all or admins");
  }
  const std::string& own = client_.engine().profile().phone;
  if (action == "remove" && std::ranges::find(options_.members, own) != options_.members.end()) {
    return no("to go yourself: godwit group leave");
  }
  return true;
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
  if (action == "approve" || action == "decline") return answer_pending(action == "approve");
  if (action == "link" || action == "join") return act_on_link();
  if (action == "rename" || action == "describe" || action == "picture") return act_on_info();
  if (action == "announce" || action == "edit") {
    client::GroupRules rules;
    if (action == "announce") rules.announcements = !options_.clear;
    if (!options_.who_edits.empty()) rules.all_edit = options_.who_edits == "all";
    if (!options_.who_adds.empty()) rules.all_add = options_.who_adds == "all";
    return expect(client_.act([&](auto& engine, Env& env, auto& out) {
      return engine.set_group_rules(group_, rules, env, out);
    }));
  }
  const Act act = action == "remove"    ? Act::kRemove
                  : action == "promote" ? Act::kPromote
                  : action == "demote"  ? Act::kDemote
                                        : Act::kAdd;
  for (const std::string& phone : options_.members) ask(act, phone);
}

void GroupCommand::act_on_link() {
  if (options_.action == "join") {
    const auto id = client_.act([&](auto& engine, Env& env, auto& out) {
      return engine.join_group(options_.group, env, out);
    });
    if (!id) return refuse(id.error());
    group_ = *id;
    pending_ = 1;
    return;
  }
  if (options_.revoke) {
    return expect(client_.act([&](auto& engine, Env& env, auto& out) {
      return engine.revoke_group_link(group_, env, out);
    }));
  }
  client::LinkTerms terms{.uses = options_.uses, .approval = options_.approval};
  if (!options_.lifetime.empty()) {
    const auto lifetime = parse_lifetime(options_.lifetime);
    if (!lifetime || lifetime->ms == 0) {
      return refuse(kExitUsage, "invalid", "a link ends after a time such as 12h or 7d");
    }
    terms.lifetime = *lifetime;
  }
  expect(client_.act([&](auto& engine, Env& env, auto& out) {
    return engine.make_group_link(group_, terms, env, out);
  }));
}

void GroupCommand::act_on_info() {
  client::GroupEdit edit;
  const std::string text = options_.text.value_or("");
  if (options_.action == "rename") edit.name = text;
  if (options_.action == "describe") edit.description = text;
  if (options_.action == "picture") {
    edit.picture = options_.clear ? Bytes{} : read_file(text);
    if (!edit.picture) {
      return refuse(kExitUsage, "invalid", "there is no picture to read: " + printable(text));
    }
  }
  expect(client_.act([&](auto& engine, Env& env, auto& out) {
    return engine.edit_group(group_, edit, env, out);
  }));
}

void GroupCommand::answer_pending(bool let_in) {
  const auto group = view();
  for (const std::string& name : options_.members) {
    const auto at = std::ranges::find_if(group.pending, [&](const auto& waits) {
      return waits.phone == name || who({}, waits.user) == name;
    });
    if (at == group.pending.end()) {
      return refuse(kExitNotFound, "not_found",
                    printable(name) + " does not wait to be let in: godwit group info shows who");
    }
    expect(client_.act([&](auto& engine, Env& env, auto& out) {
      return engine.answer_pending(group_, at->user, let_in, env, out);
    }));
  }
}

void GroupCommand::save_picture(const client::GroupView& group) {
  if (group.picture.empty()) {
    return refuse(kExitNotFound, "not_found", "this group has no picture");
  }
  std::ofstream file(options_.file, std::ios::binary);
  file.write(reinterpret_cast<const char*>(group.picture.data()),
             static_cast<std::streamsize>(group.picture.size()));
  if (!file.flush()) return refuse(kExitStore, "io", "cannot write " + printable(options_.file));
  print(group, false);
  console_.finish(kExitOk);
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

void GroupCommand::on_link_failed() {
  if (link_may_recover() && !std::exchange(failed_, true)) wait(offline_patience(), kPatience);
}

void GroupCommand::finish() {
  if (!failure_.empty()) {
    if (options_.action == "create") failure_ += "; the group was made without them";
    const bool unknown = failure_.find("no account") != std::string::npos;
    return refuse(unknown ? kExitNotFound : kExitRefused, unknown ? "not_found" : "refused",
                  failure_);
  }
  print(view(), true);
  console_.finish(kExitOk);
}

void GroupCommand::print(const client::GroupView& group, bool with_members) {
  if (options_.json) return emit(group_json(group));
  const std::string count = std::to_string(group.members.size());
  line(printable(group.name) + (group.name.empty() ? "" : "  ") +
       paint(Ink::kDim, to_hex(group.id.view()), color()) + "  " +
       (group.member  ? count + (group.members.size() == 1 ? " member" : " members")
        : group.waits ? "an admin has yet to let you in: godwit receive tells when"
                      : "you are not in it"));
  if (!with_members) return;
  if (!group.description.empty()) line("  " + printable(group.description));
  if (!group.picture.empty()) line("  has a picture: --save FILE writes it");
  if (group.announcements) line("  only admins send");
  if (group.all_edit) line("  everybody changes its name, description and picture");
  if (group.all_add) line("  everybody adds people");
  for (const auto& member : group.members) {
    line("  " + who(member.phone, member.user) + (member.admin ? "  admin" : ""));
  }
  for (const auto& waits : group.pending) {
    line("  " + who(waits.phone, waits.user) + "  waits to be let in");
  }
  print_link(group);
}

void GroupCommand::print_link(const client::GroupView& group) {
  if (!group.link) return;
  const auto& link = *group.link;
  std::string terms = "  a link lets people in";
  if (link.approval) terms += " whom an admin approves";
  terms += ", used " + std::to_string(link.used);
  if (link.uses != 0) terms += " of " + std::to_string(link.uses);
  terms += link.used == 1 && link.uses == 0 ? " time" : " times";
  if (link.expires.ms != 0) {
    terms += (link.expires <= now() ? ", ended " : ", until ") + short_time(link.expires, now());
  }
  line(terms);
  if (options_.action != "link" || link.text.empty()) return;
  line(link.text);
  if (!console_.terminal().out_tty) return;
  // Last, so that it is in sight on a terminal of 24 lines; case does not matter in a link.
  std::string capitals = link.text;
  for (char& c : capitals) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  line(qr_text(view_of(capitals)));
}

}  // namespace godwit::cli
