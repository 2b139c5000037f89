// People who change a group, and one who forges: whatever they sign, what is taken follows the
// rules.
//
// A state that was taken is whole and reproduces; who is no admin has changed only what the
// settings leave to them; what is refused, altered or repeated changes nothing.
#include "proto/group_state.h"

#include "fuzz.h"

using namespace godwit;
using proto::GroupChange;
using proto::GroupState;
using Kind = proto::GroupChange::Kind;

namespace {

constexpr int kSteps = 64;

struct Person {
  UserId user;
  crypto::KeyPair keys;
  proto::IdentityKey identity{};

  explicit Person(std::uint8_t n) {
    SeededEntropy entropy(n);
    user.octets = {n};
    keys = crypto::KeyPair::generate(entropy);
    identity[0] = 0x05;
    std::ranges::copy(keys.public_key, identity.begin() + 1);
  }
};

void check_list(const std::vector<proto::GroupMember>& list, std::size_t most) {
  CHECK(list.size() <= most);
  for (std::size_t i = 1; i < list.size(); ++i) CHECK(list[i - 1].user < list[i].user);
}

// What holds of every state.
void check_whole(const GroupState& state) {
  check_list(state.members, limits::kGroupMembers);
  check_list(state.pending, limits::kGroupPending);
  bool admin = state.members.empty();
  for (const auto& member : state.members) {
    admin = admin || member.role == proto::Role::kAdmin;
    CHECK(member.identity[0] == 0x05 && member.since != 0 && member.since <= state.version);
  }
  CHECK(admin);
  for (const auto& waits : state.pending) CHECK(!state.member(waits.user));
  const auto again = decode<GroupState>(encode(state));
  CHECK(again && proto::digest(*again) == proto::digest(state));
}

// What somebody without rights left as it was.
void check_limits(const GroupState& before, const GroupState& after, UserId actor) {
  if (before.version == 0 || before.is_admin(actor)) return;
  CHECK(before.settings == after.settings && before.link.key == after.link.key);
  CHECK(before.settings.all_edit || before.info == after.info);
  const bool left = before.member(actor) && !after.member(actor);
  for (const auto& member : before.members) {
    const auto* now = after.member(member.user);
    CHECK(now ? now->identity == member.identity : member.user == actor);
    if (!left && now) CHECK(now->role == member.role);
  }
  for (const auto& member : after.members) {
    const bool joined = member.user == actor && before.link.admits() && !before.link.approval;
    CHECK(before.member(member.user) || before.settings.all_add || joined);
  }
}

class World {
 public:
  bool step(fuzz::Input& input) {
    const std::uint8_t op = input.octet();
    const Person& actor = people_[op & 3];
    switch (op >> 2 & 3) {
      case 0: offer(sign(actor, changes(input))); break;
      case 1: {  // altered on its way
        auto sent = sign(actor, changes(input));
        Bytes& octets = sent.body;
        const std::size_t at = input.octet() << 8 | input.octet();
        octets[at % octets.size()] ^= static_cast<std::uint8_t>(1 + input.octet() % 255);
        CHECK(!proto::advance(state_, sent));
        break;
      }
      case 2: {  // signed, but made by another program
        const ByteView body = input.piece();
        offer(sealed(actor, Bytes(body.begin(), body.end())));
        break;
      }
      default:
        if (last_.body.empty()) break;
        CHECK(!proto::advance(state_, last_));
        break;
    }
    return !input.empty();
  }

 private:
  std::vector<GroupChange> changes(fuzz::Input& input) {
    std::vector<GroupChange> out;
    for (int i = input.octet() % 4; i >= 0; --i) {
      const Person& whom = people_[input.octet() % people_.size()];
      GroupChange change{.kind = Kind{static_cast<std::uint8_t>(input.octet() % 12)},
                         .user = whom.user,
                         .identity = whom.identity};
      if (change.kind == Kind::kSettings) {
        const std::uint8_t bits = input.octet();
        change.settings = {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
      } else if (change.kind == Kind::kInfo) {
        const ByteView info = input.piece();
        change.info.assign(info.begin(), info.end());
      } else if (change.kind == Kind::kLink) {
        const std::uint8_t bits = input.octet();
        change.link = {.key = bits & 1 ? people_[4].identity : proto::IdentityKey{},
                       .uses = static_cast<std::uint32_t>(bits >> 4),
                       .approval = (bits & 2) != 0};
      }
      out.push_back(std::move(change));
    }
    return out;
  }

  static proto::SignedTransition sealed(const Person& actor, Bytes body) {
    const Bytes octets = proto::signed_octets(body);
    return {.body = std::move(body),
            .signature = crypto::xeddsa_sign(actor.keys.private_key, octets, {}),
            .link_signature = crypto::xeddsa_sign(people_[4].keys.private_key, octets, {})};
  }

  proto::SignedTransition sign(const Person& actor, std::vector<GroupChange> changes) {
    const bool first = state_.version == 0;
    const proto::Transition made{.group = GroupId{{7}},
                                 .version = state_.version + 1,
                                 .previous = first ? proto::GroupDigest{} : proto::digest(state_),
                                 .actor = actor.user,
                                 .changes = std::move(changes)};
    return sealed(actor, encode(made));
  }

  void offer(const proto::SignedTransition& sent) {
    const auto next = proto::advance(state_, sent);
    if (!next) return;
    const auto made = decode<proto::Transition>(sent.body);
    CHECK(made && next->version == state_.version + 1 && next->group == made->group);
    CHECK(state_.version == 0 || next->group == state_.group);
    check_whole(*next);
    check_limits(state_, *next, made->actor);
    CHECK(!proto::advance(*next, sent));
    state_ = *next;
    last_ = sent;
  }

  inline static const std::array<Person, 5> people_{Person(1), Person(2), Person(3), Person(4),
                                                    Person(5)};
  GroupState state_;
  proto::SignedTransition last_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  World world;
  for (int i = 0; i < kSteps && world.step(input); ++i) {
  }
  return 0;
}
