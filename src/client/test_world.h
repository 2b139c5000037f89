// For tests only: devices over memory stores, and a server that does what the wire promises and
// fails where a test says so. It keeps mailboxes, prekeys and the directory; it is not the server.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>

#include "client/engine.h"
#include "client/history.h"
#include "crypto/sender_certificate.h"
#include "ports/memory_store.h"
#include "proto/frame.h"

namespace godwit::client {

class World;

// One device: its store, its engine, and the keeper that performs effects one at a time.
class Device {
 public:
  Device(World& world, std::string phone, std::uint64_t seed);

  Engine& engine() { return *engine_; }
  Env env();
  // Runs a command, then everything that follows from it.
  template <typename Verb>
  auto run(Verb verb) {
    Env at = env();
    Effects out;
    auto result = verb(*engine_, at, out);
    keep(std::move(out));
    return result;
  }
  void enroll();
  MessageId send(std::string_view to, std::string_view text);
  void read(std::string_view from);
  void tick();
  void receive(proto::Frame frame, Line line = Line::kOwn);
  void disconnect();  // the network did it
  void lose_nameless();
  void crash();       // drops what was asked and not performed; loads again
  bool step();        // performs one effect, or takes one frame; false: nothing to do
  // What a person would see: texts of a chat, in order, with the state of own ones.
  std::vector<std::string> history(std::string_view phone);
  template <typename T>
  std::vector<T> events() const {
    std::vector<T> out;
    for (const Event& event : told) {
      if (const T* wanted = std::get_if<T>(&event)) out.push_back(*wanted);
    }
    return out;
  }
  void expect_live_equals_stored();

  std::string phone;
  ports::MemoryStore store;
  std::vector<Event> told;
  bool connected = false;
  bool reachable = true;           // the network lets it connect
  bool nameless = false;           // its other connection is open
  bool hides = true;               // the network lets it open that
  std::uint64_t performed = 0;     // effects so far
  std::uint64_t crash_after = 0;   // crashes once, when `performed` is this

 private:
  void load();
  void keep(Effects out);
  void perform(Effect& effect);

  World& world_;
  SeededEntropy entropy_;
  std::unique_ptr<Engine> engine_;
  std::deque<Effect> effects_;
  std::deque<std::pair<Line, proto::Frame>> frames_;
};

class World {
 public:
  Device& add(std::string phone) {
    devices_.push_back(std::make_unique<Device>(*this, std::move(phone), devices_.size() + 1));
    return *devices_.back();
  }
  // Everybody does what there is to do, without time passing.
  void settle();
  // Lets time pass up to `span`, in the devices' own steps, settling between.
  void pass(Duration span);

  // ---- the server
  struct Account {
    UserId user;
    Device* device = nullptr;
    std::uint32_t registration_id = 0;
    Bytes identity_key;
    proto::SignedPrekey signed_prekey;
    std::deque<proto::OneTimePrekey> one_time_prekeys;
    proto::KemPrekey last_resort_prekey;
    std::deque<proto::KemPrekey> kem_prekeys;
    std::vector<proto::Delivery> mailbox;
    proto::AccessKey access{};
    std::uint64_t last_sequence = 0;
    bool attached = false;
  };
  void serve(Device& device, const proto::Frame& frame, Line line = Line::kOwn);
  void gone(Device& device);
  Account& account(std::string_view phone);
  Account* account_of(UserId user);
  void push(Account& account, std::uint64_t after);
  std::uint64_t asked(proto::Kind kind) { return asked_[kind]; }
  // Submits that came without a name.
  std::uint64_t nameless() const { return nameless_; }
  // A certificate as the server gives them; or as another one does, with a root of its own.
  crypto::SenderCertificate certificate(UserId user, ByteView identity_key, Instant expires,
                                        bool forged = false);

  // Consulted first: a frame here is the answer.
  std::function<std::optional<proto::Frame>(const proto::Frame&)> reply;
  // Then: an error here is the answer.
  std::function<std::optional<proto::ErrorBody>(const proto::Frame&)> refuse;
  std::function<bool(const proto::Frame&)> swallow;      // true: no answer, nothing happens
  std::function<void(UserId to, proto::Envelope&)> tamper;  // before it is stored
  bool certifies = true;                                 // it gives certificates
  std::function<bool(const proto::Frame&)> lose_answer;  // true: it happens, nobody hears
  Instant now{1'000'000'000};

 private:
  std::optional<proto::Frame> answer(Device& device, const proto::Frame& frame, Line line);
  proto::Frame on_certify(Account& account, const proto::Frame& frame);
  std::optional<proto::Frame> on_nameless(const proto::Frame& frame);
  std::optional<proto::Frame> on_hint(const Account* from, const proto::Frame& frame);
  proto::Frame on_register(Device& device, const proto::Frame& frame);
  proto::Frame on_bundles(const proto::Frame& frame);
  proto::Frame on_submit(const Account* from, const proto::Frame& frame);
  Account* account_at(const Device& device);

  std::vector<std::unique_ptr<Device>> devices_;
  std::map<std::string, Account, std::less<>> accounts_;
  std::map<proto::Kind, std::uint64_t> asked_;
  std::uint64_t nameless_ = 0;
  SeededEntropy entropy_{77};
  crypto::KeyPair root_ = crypto::KeyPair::generate(entropy_);
  crypto::KeyPair signer_ = crypto::KeyPair::generate(entropy_);
};

using Texts = std::vector<std::string>;

inline constexpr const char* kAlice = "+33611111111";
inline constexpr const char* kBob = "+33622222222";

// Alice and Bob, registered and connected.
class Conversation : public testing::Test {
 protected:
  void SetUp() override {
    alice.enroll();
    bob.enroll();
  }
  // Answers the next `times` requests of a kind with an error.
  void refuse(proto::Kind kind, proto::ErrorBody error, int times) {
    world.refuse = [=](const proto::Frame& frame) mutable -> std::optional<proto::ErrorBody> {
      if (frame.kind != kind || times == 0) return std::nullopt;
      --times;
      return error;
    };
  }
  // Puts a ciphertext of the attacker's choice into Bob's mailbox, as if from Alice.
  void inject(Bytes ciphertext, proto::CiphertextType type, DeviceId device = {1}) {
    auto& account = world.account(kBob);
    SeededEntropy entropy(++account.last_sequence);
    account.mailbox.push_back({Sequence{account.last_sequence},
                               {EnvelopeId::random(entropy), world.account(kAlice).user, device,
                                type, std::move(ciphertext), world.now}});
    world.push(account, account.last_sequence - 1);
    world.settle();
  }
  Result<void> verify(Device& device, std::string_view phone, bool verified) {
    return device.run([&](Engine& e, Env& at, Effects& out) {
      if (!verified) return e.set_unverified(phone, at, out);
      const auto number = e.safety_number(phone);
      return e.set_verified(phone, number ? number->digits : "", at, out);
    });
  }

  World world;
  Device& alice = world.add(kAlice);
  Device& bob = world.add(kBob);
};

}  // namespace godwit::client
