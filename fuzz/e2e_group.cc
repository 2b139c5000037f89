// One sender of a group and two members, one of whom may be removed; a hostile line between them.
//
// A text is read at most once and exactly as it was written, by those alone who were told the
// chain; what fails changes nothing.
#include <deque>

#include "base/check.h"
#include "e2e/sender_key.h"
#include "fuzz.h"

using namespace godwit;

namespace {

constexpr std::size_t kKept = 64;
constexpr int kSteps = 512;

struct Message {
  Bytes wire, text;
  std::uint32_t chain = 0;
  std::array<bool, 2> read{};
};

struct Member {
  e2e::SenderKey key;
  std::uint32_t told = 0;  // the newest chain
};

class World {
 public:
  bool step(fuzz::Input& input) {
    const std::uint8_t op = input.octet();
    const std::size_t who = op & 1;
    Member& member = members_[who];
    switch (op >> 1 & 7) {
      case 0:
        sender_.create({1}, entropy_);
        ++chain_;
        break;
      case 1: {  // in a session: it arrives as it was
        const auto told = sender_.distribution_message();
        CHECK(told.has_value() == (chain_ != 0));
        if (!told) break;
        CHECK(member.key.learn(*told));
        member.told = chain_;
        break;
      }
      case 2: say(input.octet()); break;
      case 3:
        if (!kept_.empty()) hear(who, kept_[input.octet() % kept_.size()]);
        break;
      case 4: damage(who, input); break;
      case 5:
        member.key = e2e::SenderKey::parse(member.key.serialize().view()).value();
        sender_ = e2e::SenderKey::parse(sender_.serialize().view()).value();
        break;
      case 6: CHECK(!member.key.decrypt(input.piece())); break;
      default:  // written and read at once
        if (!say(3)) break;
        CHECK(hear(who, kept_.back()) == (member.told == chain_));
        break;
    }
    return !input.empty();
  }

 private:
  bool say(std::size_t size) {
    Bytes text;
    put_be32(text, ++texts_);
    text.resize(text.size() + size);
    auto wire = sender_.encrypt(text, entropy_);
    CHECK(wire.has_value() == (chain_ != 0));
    if (!wire) return false;
    kept_.push_back({std::move(*wire), std::move(text), chain_});
    if (kept_.size() > kKept) kept_.pop_front();
    return true;
  }

  std::optional<Bytes> offer(Member& member, ByteView wire) {
    const auto before = member.key.serialize();
    auto text = member.key.decrypt(wire);
    if (text) return std::move(*text);
    CHECK(same(before.view(), member.key.serialize().view()));
    return std::nullopt;
  }

  bool hear(std::size_t who, Message& message) {
    const auto text = offer(members_[who], message.wire);
    if (!text) return false;
    CHECK(!message.read[who] && *text == message.text && message.chain <= members_[who].told);
    return message.read[who] = true;
  }

  void damage(std::size_t who, fuzz::Input& input) {
    if (kept_.empty()) return;
    Bytes forged = kept_[input.octet() % kept_.size()].wire;
    const Bytes real = forged;
    for (int i = 1 + input.octet() % 4; i > 0; --i) {
      forged[input.octet() % forged.size()] ^= input.octet();
    }
    if (forged != real) CHECK(!offer(members_[who], forged));
  }

  SeededEntropy entropy_{1};
  e2e::SenderKey sender_;
  std::uint32_t chain_ = 0, texts_ = 0;
  std::array<Member, 2> members_;
  std::deque<Message> kept_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  World world;
  for (int i = 0; i < kSteps && world.step(input); ++i) {
  }
  return 0;
}
