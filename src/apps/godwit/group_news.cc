#include "apps/godwit/group_news.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "apps/godwit/output.h"

namespace godwit::cli {
namespace {

using Member = client::GroupView::Member;
using client::GroupView;

constexpr std::size_t kByName = 5;  // of more people only the number is told

const Member* find(const std::vector<Member>& list, UserId user) {
  const auto at = std::ranges::find(list, user, &Member::user);
  return at == list.end() ? nullptr : &*at;
}

class News {
 public:
  News(const GroupView& before, const GroupView& after, UserId actor, const std::string& me)
      : before_(before), after_(after), actor_(actor), me_(me) {
    const Member* known = find(after.members, actor);
    if (known == nullptr) known = find(before.members, actor);
    if (known != nullptr) by_ = label(*known);
  }

  std::vector<std::string> tell() {
    if (!before_.member) {
      if (after_.member) came_in();
      return std::move(out_);
    }
    people(gone(), "removed", " any more");
    if (!after_.member) return std::move(out_);
    people(added(), "added", " now");
    roles();
    waiting();
    said();
    return std::move(out_);
  }

 private:
  std::string label(const Member& member) const {
    return member.phone == me_ ? "you" : who(member.phone, member.user);
  }
  static std::string is(const std::string& label) { return label == "you" ? " are" : " is"; }
  void add(std::string sentence) { out_.push_back(std::move(sentence)); }

  void came_in() {
    const Member* mine = nullptr;
    for (const Member& member : after_.members) {
      if (member.phone == me_) mine = &member;
    }
    const bool others_did = !by_.empty() && mine != nullptr && actor_ != mine->user;
    const std::size_t others = after_.members.size() - 1;
    add((others_did ? by_ + " added you: the group has " : "you are in the group now, with ") +
        std::to_string(others) + (others == 1 ? " other member" : " other members"));
  }

  std::vector<const Member*> missing_from(const std::vector<Member>& have,
                                          const std::vector<Member>& list) const {
    std::set<UserId> known;
    for (const Member& member : have) known.insert(member.user);
    std::vector<const Member*> out;
    for (const Member& member : list) {
      if (!known.contains(member.user)) out.push_back(&member);
    }
    return out;
  }
  std::vector<const Member*> gone() const { return missing_from(after_.members, before_.members); }
  std::vector<const Member*> added() const { return missing_from(before_.members, after_.members); }

  void people(const std::vector<const Member*>& list, const std::string& verb,
              const std::string& how) {
    const bool in = verb == "added";
    if (list.size() > kByName) {
      const std::string count = std::to_string(list.size()) + " people";
      return add(by_.empty() ? count + (in ? " are" : " are not") + " in the group" + how
                             : by_ + " " + verb + " " + count);
    }
    for (const Member* member : list) {
      const std::string name = label(*member);
      if (member->user == actor_) add(name + (in ? " joined by the link" : " left"));
      else if (!by_.empty()) add(by_ + " " + verb + " " + name);
      else add(name + is(name) + (in ? "" : " not") + " in the group" + how);
    }
  }

  void roles() {
    for (const Member& member : after_.members) {
      const Member* was = find(before_.members, member.user);
      if (was == nullptr || was->admin == member.admin) continue;
      const std::string name = label(member);
      if (by_.empty() || member.user == actor_) {
        add(name + is(name) + (member.admin ? " an admin now" : " no admin any more"));
      } else {
        add(by_ + " made " + name + (member.admin ? " an admin" : " an ordinary member"));
      }
    }
  }

  // For those who may let them in.
  void waiting() {
    const bool admin = std::ranges::any_of(
        after_.members, [&](const Member& member) { return member.admin && member.phone == me_; });
    if (!admin) return;
    for (const Member& member : after_.pending) {
      const Member* was = find(before_.pending, member.user);
      // Told when it is known who they are: the directory is being asked.
      if (member.phone.empty() || (was != nullptr && !was->phone.empty())) continue;
      add(member.phone + " asks to join (godwit group approve)");
    }
  }

  void said() {
    const std::string by = by_.empty() ? "somebody" : by_;
    if (after_.name != before_.name && !before_.name.empty()) {
      add(by + " called the group \"" + after_.name + "\"");
    }
    if (after_.description != before_.description) add(by + " changed the description");
    if (after_.picture != before_.picture) add(by + " changed the picture");
    if (after_.announcements != before_.announcements) {
      add(after_.announcements ? "only admins send now" : "everybody sends again");
    }
  }

  const GroupView& before_;
  const GroupView& after_;
  const UserId actor_;
  const std::string& me_;
  std::string by_;
  std::vector<std::string> out_;
};

}  // namespace

std::vector<std::string> group_news(const GroupView& before, const GroupView& after, UserId actor,
                                    const std::string& me) {
  return News(before, after, actor, me).tell();
}

std::vector<std::string> GroupTeller::tell(const client::GroupChanged& change,
                                           const std::string& me) {
  std::vector<std::string> out;
  const auto tell = [&](const client::GroupChanged& known) {
    std::ranges::move(group_news(told_, known.group, known.actor, me), std::back_inserter(out));
    told_ = known.group;
  };
  client::GroupChanged next = change;
  if (late_ && next.actor.is_nil()) next.actor = late_->actor;  // it is about the same
  else if (late_) tell(*late_);
  late_.reset();
  const bool few = next.group.members.size() <= limits::kGroupIntroductions;
  const bool unknown = std::ranges::any_of(next.group.members, [&](const Member& member) {
    return member.phone.empty() && find(told_.members, member.user) == nullptr;
  });
  if (few && unknown && told_.member) late_ = std::move(next);
  else tell(next);
  return out;
}

}  // namespace godwit::cli
