// Two client engines and a server between them that does anything: it forges, repeats, withholds
// and damages; disks refuse and processes end in between.
//
// The input is a program, as in shard.cc. After every step the live engine must equal the one
// that a restart would load; a text is shown at most once, and only texts that were sent.
#include "client/engine.h"

#include <deque>
#include <map>
#include <set>

#include "base/check.h"
#include "crypto/sender_certificate.h"
#include "fuzz.h"
#include "ports/memory_store.h"
#include "proto/frame.h"

using namespace godwit;

namespace {

constexpr std::string_view kPhones[] = {"+33612345670", "+33612345671"};
constexpr Instant kStart{1'000'000'000};

UserId user_of(std::size_t person) {
  UserId id;
  id.octets[0] = static_cast<std::uint8_t>(person + 1);
  return id;
}

struct Person {
  ports::MemoryStore store;
  std::unique_ptr<client::Engine> engine;
  std::deque<client::SendFrame> sent;  // requests that the server has not looked at
  bool connected = false;
  bool nameless = false;  // the other connection is open
  bool refuse_commits = false;
  std::multiset<std::string> shown;

  // False: the rows do not load. The engine stays as it was.
  bool load(const Bytes& spoil = {}) {
    std::vector<client::Engine::Snapshot> snapshots;
    for (const ports::Space space : client::Engine::hydrated_spaces()) {
      snapshots.push_back({space, *store.scan({client::Engine::partition(), space, {}, {}})});
      auto& rows = snapshots.back().rows;
      if (!spoil.empty() && !rows.empty() && snapshots.size() % 4 == spoil.size() % 4) {
        rows[spoil.front() % rows.size()].value = spoil;
      }
    }
    auto loaded = client::Engine::load(std::move(snapshots));
    if (loaded && spoil.empty()) engine = std::move(*loaded);
    return loaded.has_value();
  }

  void restart() {
    connected = nameless = false;
    sent.clear();
    CHECK(load());
  }

  void perform(client::Effects& effects) {
    for (auto& effect : effects) {
      if (auto* commit = std::get_if<client::Commit>(&effect)) {
        if (refuse_commits) {
          refuse_commits = false;
          return restart();
        }
        CHECK(store.write({&commit->batch, 1}, ports::Durability::kSafe));
      } else if (auto* send = std::get_if<client::SendFrame>(&effect)) {
        if (open(send->line)) sent.push_back(std::move(*send));
      } else if (const auto* end = std::get_if<client::Disconnect>(&effect)) {
        open(end->line) = false;
      } else if (auto* notify = std::get_if<client::Notify>(&effect)) {
        if (auto* got = std::get_if<client::MessageReceived>(&notify->event)) {
          shown.insert(got->message.text);
        }
      }
    }
  }

  bool& open(client::Line line) { return line == client::Line::kOwn ? connected : nameless; }

  // The live engine equals the restored one (the message rows of a dump are not loaded).
  void check() {
    const auto live = engine->dump();
    ports::MemoryStore from_live, from_store;
    CHECK(from_live.write({&live, 1}, ports::Durability::kSafe));
    for (const ports::Space space : client::Engine::hydrated_spaces()) {
      const ports::Scan all{client::Engine::partition(), space, {}, {}};
      CHECK(*from_live.scan(all) == *store.scan(all));
    }
  }
};

class Hostile {
 public:
  Hostile() : entropy_(1), env_{kStart, entropy_} {
    static const Hostile* const registered = new Hostile(Unregistered{});
    for (std::size_t i = 0; i < 2; ++i) {
      people_[i].store = registered->people_[i].store;
      people_[i].restart();
      bundles_[i] = registered->bundles_[i];
    }
  }

  void step(fuzz::Input& input) {
    const std::uint8_t what = input.octet();
    const std::size_t who = what & 1;
    Person& person = people_[who];
    client::Effects out;
    switch (what / 2 % 14) {
      case 0: connect(person, out); break;
      case 1:
        person.connected = false;
        person.engine->on_disconnected(env_, out);
        break;
      case 2: say(who, input.octet(), out); break;
      case 3: answer(who, out); break;
      case 4: deliver(who, input.octet(), out); break;
      case 5: raw(person, input, out); break;
      case 6:
        env_.now = env_.now + milliseconds((input.octet() << 8 | input.octet()) * 10);
        person.engine->on_tick(env_, out);
        break;
      case 7: person.refuse_commits = true; break;
      case 8: person.restart(); break;
      case 9: person.load(to_bytes(input.piece())); break;
      case 10:
        (void)person.engine->mark_read(person.engine->chat(kPhones[1 - who]), env_, out);
        break;
      case 11:
        if (!person.sent.empty()) person.sent.pop_front();
        break;
      case 12: refuse(person, input.octet(), out); break;
      case 13: turn_nameless(person, out); break;
    }
    person.perform(out);
    person.check();
  }

  void finish() const {
    for (const Person& person : people_) {
      for (const std::string& text : person.shown) {
        CHECK(said_.contains(text) && person.shown.count(text) == 1);
      }
    }
  }

 private:
  struct Unregistered {};
  explicit Hostile(Unregistered) : entropy_(2), env_{kStart, entropy_} {
    for (std::size_t i = 0; i < 2; ++i) {
      Person& person = people_[i];
      person.restart();
      client::Effects out;
      CHECK(person.engine->register_account(kPhones[i], "123456", env_, out));
      connect(person, out);
      person.perform(out);
      out.clear();
      answer(i, out);
      person.perform(out);
      CHECK(person.engine->registered());
    }
  }

  void connect(Person& person, client::Effects& out) {
    if (person.connected) return;
    person.connected = true;
    person.engine->on_connected(env_, out);
  }

  // It opens or breaks, whether it was asked for or not.
  void turn_nameless(Person& person, client::Effects& out) {
    person.nameless = !person.nameless;
    if (person.nameless) person.engine->on_connected(env_, out, client::Line::kNameless);
    else person.engine->on_disconnected(env_, out, client::Line::kNameless);
  }

  void say(std::size_t who, std::uint8_t length, client::Effects& out) {
    std::string text = std::to_string(said_.size()) + std::string(length, 'x');
    if (people_[who].engine->send_text(kPhones[1 - who], text, {}, env_, out)) said_.insert(text);
  }

  void raw(Person& person, fuzz::Input& input, client::Effects& out) {
    const auto kind = static_cast<proto::Kind>(input.octet());
    person.engine->on_frame({kind, input.octet(), to_bytes(input.piece())}, env_, out);
  }

  void refuse(Person& person, std::uint8_t code, client::Effects& out) {
    if (person.sent.empty()) return;
    proto::ErrorBody body{static_cast<Code>(code % 16), "refused", {code * 100}, {}};
    if (code >= 128) body.devices = {{{1}, bundles_[code & 1].registration_id}};
    const auto id = person.sent.front().frame.id;
    const client::Line line = person.sent.front().line;
    person.sent.pop_front();
    person.engine->on_frame(proto::make_frame(proto::Kind::kError, id, body), env_, out, line);
  }

  // Answers the oldest request as an honest server would.
  void answer(std::size_t who, client::Effects& out) {
    Person& person = people_[who];
    if (person.sent.empty()) return;
    const auto [request, line] = std::move(person.sent.front());
    person.sent.pop_front();
    if (request.kind == proto::Kind::kAck) return;
    Bytes body;
    switch (request.kind) {
      case proto::Kind::kRegister: body = enter(who, request.body); break;
      case proto::Kind::kAttach: body = encode(proto::Attached{env_.now, {50, 50}}); break;
      case proto::Kind::kLookup: body = encode(proto::LookedUp{user_of(1 - who)}); break;
      case proto::Kind::kFetchBundles: body = encode(proto::Bundles{{bundles_[1 - who]}}); break;
      case proto::Kind::kCertify: body = certify(who); break;
      case proto::Kind::kSubmit: take(who, request.body, line); break;
      default: break;
    }
    person.engine->on_frame({proto::Kind::kOk, request.id, body}, env_, out, line);
  }

  Bytes enter(std::size_t who, ByteView body) {
    const auto record = decode<proto::Register>(body);
    CHECK(record && !record->one_time_prekeys.empty() && !record->kem_prekeys.empty());
    bundles_[who] = {{1},
                     record->registration_id,
                     record->identity_key,
                     record->signed_prekey,
                     record->one_time_prekeys.front(),
                     record->kem_prekeys.front()};
    return encode(proto::Registered{user_of(who), {1}});
  }

  Bytes certify(std::size_t who) {
    const auto identity = crypto::PublicKey::parse(bundles_[who].identity_key);
    CHECK(identity);
    const auto server = crypto::ServerCertificate::issue(1, {keys_.public_key}, keys_, entropy_);
    const auto made = crypto::SenderCertificate::issue(user_of(who), {1}, *identity,
                                                       env_.now + limits::kCertificateLifetime,
                                                       server, keys_, entropy_);
    const crypto::PublicKey root{keys_.public_key};
    return encode(proto::Certified{made.wire, to_bytes(root.wire())});
  }

  void take(std::size_t who, ByteView body, client::Line line) {
    const UserId from = line == client::Line::kOwn ? user_of(who) : UserId{};
    const DeviceId device{from.is_nil() ? std::uint8_t{0} : std::uint8_t{1}};
    const auto submit = decode<proto::Submit>(body);
    CHECK(submit && submit->to == user_of(1 - who));
    for (const auto& message : submit->messages) {
      for (const auto& parcel : message.parcels) {
        if (mail_[1 - who].size() == 64) return;  // loses the rest
        mail_[1 - who].push_back(
            {parcel.id, from, device, parcel.type, parcel.ciphertext, env_.now});
      }
    }
  }

  // Delivers one of all that was ever taken, perhaps again, perhaps damaged.
  void deliver(std::size_t who, std::uint8_t how, client::Effects& out) {
    auto& mail = mail_[who];
    if (mail.empty()) return;
    proto::Envelope envelope = mail[(how >> 2) % mail.size()];
    if ((how & 1) != 0 && !envelope.ciphertext.empty()) {
      envelope.ciphertext[how % envelope.ciphertext.size()] ^= how;
    }
    if ((how & 2) == 0) ++sequence_;
    const proto::Deliver deliver{{{{sequence_}, std::move(envelope)}}};
    people_[who].engine->on_frame(proto::make_frame(proto::Kind::kDeliver, 0, deliver), env_, out);
  }

  SeededEntropy entropy_;
  Env env_;
  SeededEntropy seed_{4};
  crypto::KeyPair keys_ = crypto::KeyPair::generate(seed_);  // of all certificates
  Person people_[2];
  proto::Bundle bundles_[2];
  std::vector<proto::Envelope> mail_[2];
  std::uint64_t sequence_ = 0;
  std::set<std::string> said_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  Hostile world;
  for (int steps = 0; steps < 100 && !input.empty(); ++steps) world.step(input);
  world.finish();
  return 0;
}
