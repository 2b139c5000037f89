// Two devices that talk end to end, and a line between them that belongs to an attacker: he drops,
// repeats, reorders, damages and splices what they send, and hands out prekeys as he likes.
//
// The input is a program. A text is read at most once, by its addressee, exactly as it was written;
// what fails changes nothing; what was written just now and arrives first can be read; and
// whatever happened, a new session works.
#include <deque>
#include <set>

#include "base/check.h"
#include "base/limits.h"
#include "e2e/session.h"
#include "fuzz.h"

using namespace godwit;

namespace {

constexpr std::size_t kPrekeys = 4;  // of each kind; the last KEM prekey is the last resort
constexpr std::size_t kLine = 32;  // messages that the attacker has of each direction
constexpr int kSteps = 96, kStarts = 6;  // many short lives find more than few long ones

// What is made once, for it takes long.
struct Keys {
  explicit Keys(std::uint64_t seed) : entropy(seed) {
    for (std::uint32_t i = 0; i < kPrekeys; ++i) {
      one_time.push_back(e2e::OneTimePrekey::make({i + 1}, entropy));
      kyber.push_back(e2e::KyberPrekey::make({i + 1}, own, entropy));
      kyber_secret.push_back(kyber.back().secret_key());
      kyber_public.push_back(kyber.back().public_key());
    }
  }
  SeededEntropy entropy;
  e2e::LocalIdentity own = e2e::LocalIdentity::generate(entropy);
  e2e::SignedPrekey signed_prekey = e2e::SignedPrekey::make({1}, own, entropy);
  std::vector<e2e::OneTimePrekey> one_time;
  std::vector<e2e::KyberPrekey> kyber;
  std::vector<crypto::Kem1024SecretKey> kyber_secret;
  std::vector<e2e::KemPublicKey> kyber_public;
};

struct Message {
  e2e::Encrypted sent;
  Bytes text;
  unsigned losses = 0;  // of its sender's, before it
  bool read = false;
};

class Device final : public e2e::LocalPrekeys {
 public:
  explicit Device(const Keys& its) : keys(its) {}

  const e2e::SignedPrekey* find_signed(e2e::SignedPrekeyId id) const override {
    return id == keys.signed_prekey.id ? &keys.signed_prekey : nullptr;
  }
  const e2e::OneTimePrekey* find_one_time(e2e::OneTimePrekeyId id) const override {
    if (id.value == 0 || id.value > kPrekeys || used_one_time.contains(id)) return nullptr;
    return &keys.one_time[id.value - 1];
  }
  std::optional<crypto::Kem1024SecretKey> find_kyber(e2e::KyberPrekeyId id) const override {
    if (id.value == 0 || id.value > kPrekeys || used_kyber.contains(id)) return std::nullopt;
    return keys.kyber_secret[id.value - 1].clone();
  }
  bool was_used(const e2e::KyberUse& use) const override { return last_resort.contains(use); }

  // As a client does with the session, in one transaction.
  void consume(const e2e::Decrypted& decrypted) {
    if (decrypted.consumed_prekey) CHECK(used_one_time.insert(*decrypted.consumed_prekey).second);
    if (!decrypted.kyber_use) return;
    if (decrypted.kyber_use->prekey.value == kPrekeys) {
      CHECK(last_resort.insert(*decrypted.kyber_use).second);
    } else {
      CHECK(used_kyber.insert(decrypted.kyber_use->prekey).second);
    }
  }
  // With the prekeys at these places; there is no one-time prekey beyond the last.
  e2e::PrekeyBundle bundle(std::size_t one_time, std::size_t kyber) const {
    e2e::PrekeyBundle out{keys.own.registration_id,        {1},
                          keys.own.public_key(),           keys.signed_prekey.id,
                          keys.signed_prekey.public_key(), keys.signed_prekey.signature};
    if (one_time < kPrekeys) {
      out.one_time_prekey = {keys.one_time[one_time].id, keys.one_time[one_time].public_key()};
    }
    out.kyber_prekey = {keys.kyber[kyber].id, keys.kyber_public[kyber],
                        keys.kyber[kyber].signature};
    return out;
  }

  const Keys& keys;
  e2e::Session session;
  std::set<e2e::OneTimePrekeyId> used_one_time, given_one_time;
  std::set<e2e::KyberPrekeyId> used_kyber, given_kyber;
  std::set<e2e::KyberUse> last_resort;
  std::deque<Message> sent;  // the newest; all that the attacker kept
  unsigned losses = 0;  // of all its sessions
  bool answerable = false;  // what it writes now can be read: its prekeys were given to it alone
};

class World {
 public:
  World() {
    static const Keys alice(1), bob(2);
    devices_.emplace_back(alice);
    devices_.emplace_back(bob);
  }

  // True while there is something to do.
  bool step(fuzz::Input& input) {
    const std::uint8_t op = input.octet();
    const std::size_t who = op & 1;
    Device& from = devices_[who];
    Device& to = devices_[1 - who];
    switch (op >> 1 & 15) {
      case 0: (void)send(from, input.octet()); break;
      case 1:
        if (send(from, 20) && from.answerable) CHECK(deliver(to, from.sent.back()));
        break;
      case 2:
      case 3:
        if (Message* message = pick(from, input.octet())) deliver(to, *message);
        break;
      case 4:
        if (!from.sent.empty()) {
          from.sent.erase(from.sent.begin() +
                          static_cast<std::ptrdiff_t>(input.octet() % from.sent.size()));
        }
        break;
      case 5: damage(to, pick(from, input.octet()), input); break;
      case 6: {
        Message* front = pick(from, input.octet());
        Message* back = pick(from, input.octet());
        splice(to, front, back, input);
        break;
      }
      case 7:  // a reflection
        if (Message* message = pick(from, input.octet())) CHECK(!offer(from, from, message->sent));
        break;
      case 8: from.session = e2e::Session::parse(from.session.serialize().view()).value(); break;
      case 9: {
        const std::size_t one_time = input.octet() % (kPrekeys + 1);
        start(from, to, one_time, input.octet() % kPrekeys);
        break;
      }
      case 10: from.session.archive_current(); break;
      case 11: env_.now = env_.now + hours(input.octet()); break;
      case 12: {
        const auto type =
            input.octet() & 1 ? e2e::MessageType::kPrekey : e2e::MessageType::kWhisper;
        CHECK(!offer(from, to, {type, to_bytes(input.piece())}));
        break;
      }
      case 13:  // of the other type
        if (Message* message = pick(from, input.octet())) {
          auto other = message->sent;
          other.type = other.type == e2e::MessageType::kPrekey ? e2e::MessageType::kWhisper
                                                               : e2e::MessageType::kPrekey;
          CHECK(!offer(to, from, other));
        }
        break;
      case 14:
        from.session = e2e::Session();
        ++from.losses;
        from.answerable = to.answerable = false;
        break;
      default: break;
    }
    return !input.empty();
  }

  // A new session with the prekeys that are never used up works in both directions.
  void heal() {
    Device& alice = devices_[0];
    Device& bob = devices_[1];
    starts_ = 0;
    start(alice, bob, kPrekeys, kPrekeys - 1);
    CHECK(send(alice, 5) && deliver(bob, alice.sent.back()));
    CHECK(send(bob, 5) && deliver(alice, bob.sent.back()));
    CHECK(send(alice, 5) && deliver(bob, alice.sent.back()));
    CHECK(alice.sent.back().sent.type == e2e::MessageType::kWhisper);
  }

 private:
  static Message* pick(Device& from, std::uint8_t place) {
    return from.sent.empty() ? nullptr : &from.sent[place % from.sent.size()];
  }

  void start(Device& from, const Device& with, std::size_t one_time, std::size_t kyber) {
    if (++starts_ > kStarts) return;
    const auto bundle = with.bundle(one_time, kyber);
    CHECK(e2e::start_session(from.session, from.keys.own, bundle, nullptr, env_));
    from.answerable = true;
    if (bundle.one_time_prekey) {
      from.answerable &= from.given_one_time.insert(bundle.one_time_prekey->id).second;
    }
    if (kyber + 1 < kPrekeys) {
      from.answerable &= from.given_kyber.insert(bundle.kyber_prekey->id).second;
    }
  }

  bool send(Device& from, std::size_t size) {
    Bytes text;
    put_be32(text, ++texts_);
    text.resize(text.size() + size, 'x');
    auto sent = e2e::encrypt(from.session, from.keys.own, text, env_);
    if (!sent) {
      CHECK(sent.error().code == Code::kNotFound || sent.error().code == Code::kExpired);
      return false;
    }
    from.sent.push_back({std::move(*sent), std::move(text), from.losses});
    if (from.sent.size() > kLine) from.sent.pop_front();
    return true;
  }

  // What `to` makes of these octets, `from` being the only one it ever heard of.
  std::optional<Bytes> offer(Device& to, const Device& from, const e2e::Encrypted& message) {
    const auto before = to.session.serialize();
    const auto got =
        e2e::decrypt(to.session, to.keys.own, to, message.type, message.message, nullptr, env_);
    if (!got) {
      CHECK(same(before.view(), to.session.serialize().view()));
      return std::nullopt;
    }
    CHECK(got->sender == from.keys.own.public_key());
    to.consume(*got);
    return got->plaintext;
  }

  bool deliver(Device& to, Message& message) {
    const Device& from = &to == &devices_[0] ? devices_[1] : devices_[0];
    const auto text = offer(to, from, message.sent);
    if (!text) return false;
    CHECK(!message.read && *text == message.text);
    to.answerable = message.losses == from.losses;  // in the session that the other end wrote in
    return message.read = true;
  }

  // A changed message is not read; or what was changed has no meaning, and it is read as it was.
  void forged(Device& to, Message& message, e2e::Encrypted forgery) {
    if (forgery.message == message.sent.message) return;
    std::swap(message.sent, forgery);
    if (deliver(to, message)) CHECK(message.sent.type == e2e::MessageType::kPrekey);
    std::swap(message.sent, forgery);
  }

  void damage(Device& to, Message* message, fuzz::Input& input) {
    if (message == nullptr) return;
    auto forgery = message->sent;
    for (int i = 1 + input.octet() % 4; i > 0; --i) {
      const std::size_t high = input.octet(), low = input.octet();
      forgery.message[(high << 8 | low) % forgery.message.size()] ^= input.octet();
    }
    forged(to, *message, std::move(forgery));
  }

  // The front of one with the back of another.
  void splice(Device& to, Message* front, Message* back, fuzz::Input& input) {
    if (front == nullptr || front == back) return;
    const std::size_t high = input.octet(), low = input.octet();
    const std::size_t head = (high << 8 | low) % front->sent.message.size();
    const std::size_t tail = std::min(back->sent.message.size(), front->sent.message.size() - head);
    auto forgery = front->sent;
    forgery.message.resize(head);
    append(forgery.message, ByteView(back->sent.message).last(tail));
    if (forgery.message == back->sent.message) return;
    // What wraps a first message says nothing once its session exists: what is inside counts.
    const auto inside = e2e::PrekeyMessage::parse(forgery.message);
    const auto wrapped = e2e::PrekeyMessage::parse(back->sent.message);
    const bool is_back = forgery.type == e2e::MessageType::kPrekey && inside && wrapped &&
                         same(inside->whisper, wrapped->whisper);
    forged(to, is_back ? *back : *front, std::move(forgery));
  }

  std::deque<Device> devices_;
  SeededEntropy entropy_{3};
  Env env_{Instant{1000}, entropy_};
  std::uint32_t texts_ = 0;
  int starts_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const bool heals = input.octet() & 1;
  World world;
  for (int i = 0; i < kSteps && world.step(input); ++i) {
  }
  if (heals) world.heal();
  return 0;
}
