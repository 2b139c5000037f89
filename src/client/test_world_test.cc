#include "client/test_world.h"

#include <algorithm>

namespace godwit::client {

using proto::Frame;
using proto::Kind;

// ---- Device

Device::Device(World& world, std::string number, std::uint64_t seed)
    : phone(std::move(number)), world_(world), entropy_(seed) {
  load();
}

Env Device::env() { return {world_.now, entropy_}; }

void Device::load() {
  std::vector<Engine::Snapshot> snapshots;
  for (const ports::Space space : Engine::hydrated_spaces()) {
    auto rows = store.scan({.partition = Engine::partition(), .space = space});
    ASSERT_TRUE(rows);
    snapshots.push_back({space, std::move(*rows)});
  }
  auto loaded = Engine::load(std::move(snapshots));
  ASSERT_TRUE(loaded) << loaded.error().text;
  engine_ = std::move(*loaded);
}

void Device::crash() {
  effects_.clear();
  frames_.clear();
  if (connected) world_.gone(*this);
  connected = nameless = false;
  load();
}

void Device::keep(Effects out) {
  for (Effect& effect : out) effects_.push_back(std::move(effect));
}

void Device::perform(Effect& effect) {
  if (auto* commit = std::get_if<Commit>(&effect)) {
    EXPECT_TRUE(store.write({&commit->batch, 1}, ports::Durability::kSafe));
  } else if (auto* send = std::get_if<SendFrame>(&effect)) {
    const bool open = send->line == Line::kOwn ? connected : nameless;
    if (open) world_.serve(*this, send->frame, send->line);
  } else if (auto* notify = std::get_if<Notify>(&effect)) {
    told.push_back(std::move(notify->event));
  } else if (const auto* connect = std::get_if<Connect>(&effect)) {
    const bool own = connect->line == Line::kOwn;
    const bool opens = reachable && (own || hides);
    (own ? connected : nameless) = opens;
    Env at = env();
    Effects out;
    if (opens) engine_->on_connected(at, out, connect->line);
    else engine_->on_disconnected(at, out, connect->line);
    keep(std::move(out));
  } else {
    std::get<Disconnect>(effect).line == Line::kOwn ? disconnect() : lose_nameless();
  }
}

bool Device::step() {
  if (!effects_.empty()) {
    Effect effect = std::move(effects_.front());
    effects_.pop_front();
    perform(effect);
    if (++performed == crash_after) crash();
    if (effects_.empty()) expect_live_equals_stored();
    return true;
  }
  if (frames_.empty()) return false;
  auto [line, frame] = std::move(frames_.front());
  frames_.pop_front();
  Env at = env();
  Effects out;
  engine_->on_frame(std::move(frame), at, out, line);
  keep(std::move(out));
  return true;
}

void Device::receive(Frame frame, Line line) { frames_.emplace_back(line, std::move(frame)); }

void Device::lose_nameless() {
  if (!nameless) return;
  nameless = false;
  std::erase_if(frames_, [](const auto& entry) { return entry.first == Line::kNameless; });
  Env at = env();
  Effects out;
  engine_->on_disconnected(at, out, Line::kNameless);
  keep(std::move(out));
}

void Device::disconnect() {
  if (!connected) return;
  connected = false;
  std::erase_if(frames_, [](const auto& entry) { return entry.first == Line::kOwn; });
  world_.gone(*this);
  Env at = env();
  Effects out;
  engine_->on_disconnected(at, out);
  keep(std::move(out));
}

void Device::tick() {
  if (engine_->deadline() > world_.now) return;
  Env at = env();
  Effects out;
  engine_->on_tick(at, out);
  keep(std::move(out));
}

void Device::enroll() {
  const auto id = run([&](Engine& e, Env& at, Effects& out) {
    return e.register_account(phone, "123456", at, out);
  });
  ASSERT_TRUE(id) << id.error().text;
  world_.settle();
  ASSERT_TRUE(engine_->registered());
}

MessageId Device::send(std::string_view to, std::string_view text) {
  const auto id =
      run([&](Engine& e, Env& at, Effects& out) { return e.send_text(to, text, {}, at, out); });
  EXPECT_TRUE(id) << id.error().text;
  return id.value_or(MessageId{});
}

void Device::read(std::string_view from) {
  EXPECT_TRUE(
      run([&](Engine& e, Env& at, Effects& out) { return e.mark_read(e.chat(from), at, out); }));
}

std::vector<std::string> Device::history(std::string_view with) {
  std::vector<std::string> out;
  const Contact* contact = engine_->contact(with);
  if (!contact) return out;
  const auto page = read_history(store, contact->user, {}, limits::kHistoryPage);
  EXPECT_TRUE(page);
  for (const Message& message : page->messages) {
    if (message.direction == Direction::kIn) out.push_back(message.text);
    else out.push_back(message.text + " (" + std::string(status_name(message.status)) + ")");
  }
  return out;
}

void Device::expect_live_equals_stored() {
  ports::MemoryStore live;
  const ports::Batch dump = engine_->dump();
  ASSERT_TRUE(live.write({&dump, 1}, ports::Durability::kSafe));
  for (const ports::Space space : Engine::hydrated_spaces()) {
    const ports::Scan scan{.partition = Engine::partition(), .space = space};
    const auto want = store.scan(scan);
    const auto have = live.scan(scan);
    ASSERT_TRUE(want && have);
    ASSERT_EQ(want->size(), have->size()) << ports::space_name(space);
    for (std::size_t i = 0; i < want->size(); ++i) {
      ASSERT_EQ(to_hex((*want)[i].key), to_hex((*have)[i].key)) << ports::space_name(space);
      ASSERT_EQ((*want)[i].value, (*have)[i].value)
          << ports::space_name(space) << ' ' << to_hex((*want)[i].key);
    }
  }
}

// ---- World

void World::settle() {
  for (int steps = 0; steps < 1'000'000; ++steps) {
    bool moved = false;
    for (const auto& device : devices_) moved = device->step() || moved;
    if (!moved) return;
  }
  FAIL() << "the world does not come to rest";
}

void World::pass(Duration span) {
  const Instant end = now + span;
  settle();
  for (int steps = 0; steps < 10'000; ++steps) {
    Instant next = kNever;
    for (const auto& device : devices_) next = std::min(next, device->engine().deadline());
    if (next > end) break;
    now = std::max(now, next);
    for (const auto& device : devices_) device->tick();
    settle();
  }
  now = end;
}

World::Account& World::account(std::string_view phone) { return accounts_.find(phone)->second; }

World::Account* World::account_of(UserId user) {
  for (auto& [phone, account] : accounts_) {
    if (account.user == user) return &account;
  }
  return nullptr;
}

World::Account* World::account_at(const Device& device) {
  for (auto& [phone, account] : accounts_) {
    if (account.device == &device) return &account;
  }
  return nullptr;
}

void World::gone(Device& device) {
  if (Account* account = account_at(device)) account->attached = false;
}

void World::serve(Device& device, const Frame& frame, Line line) {
  ++asked_[frame.kind];
  if (swallow && swallow(frame)) return;
  if (reply) {
    if (auto made = reply(frame)) return device.receive(std::move(*made), line);
  }
  if (refuse) {
    if (const auto error = refuse(frame)) {
      return device.receive(proto::make_frame(Kind::kError, frame.id, *error), line);
    }
  }
  auto usual = answer(device, frame, line);
  if (usual && !(lose_answer && lose_answer(frame))) device.receive(std::move(*usual), line);
  if (frame.kind == Kind::kAttach) {
    if (Account* own = account_at(device)) push(*own, 0);
  }
}

std::optional<Frame> World::answer(Device& device, const Frame& frame, Line line) {
  if (line == Line::kNameless) return on_nameless(frame);
  static const proto::ErrorBody kUnknown{Code::kUnauthenticated, "not yours"};
  if (frame.kind == Kind::kRegister) return on_register(device, frame);
  if (frame.kind == Kind::kRequestCode) return proto::ok_frame(frame.id);
  Account* own = account_at(device);
  if (!own) return proto::make_frame(Kind::kError, frame.id, kUnknown);
  switch (frame.kind) {
    case Kind::kAttach: {
      own->attached = true;
      const auto attach = decode<proto::Attach>(frame.body);
      std::erase_if(own->mailbox, [&](auto& d) { return d.sequence <= attach->after; });
      const proto::PrekeyStock left{static_cast<std::uint32_t>(own->one_time_prekeys.size()),
                                    static_cast<std::uint32_t>(own->kem_prekeys.size())};
      return proto::make_frame(Kind::kOk, frame.id, proto::Attached{now, left});
    }
    case Kind::kLookup: {
      const auto found = accounts_.find(decode<proto::Lookup>(frame.body)->phone);
      if (found == accounts_.end()) {
        return proto::make_frame(Kind::kError, frame.id, proto::ErrorBody{Code::kNotFound, "none"});
      }
      return proto::make_frame(Kind::kOk, frame.id, proto::LookedUp{found->second.user});
    }
    case Kind::kHint: return on_hint(own, frame);
    case Kind::kCertify: return on_certify(*own, frame);
    case Kind::kFetchBundles: return on_bundles(frame);
    case Kind::kSubmit: return on_submit(own, frame);
    case Kind::kUploadPrekeys: {
      const auto upload = decode<proto::UploadPrekeys>(frame.body);
      if (upload->replace) own->one_time_prekeys.clear(), own->kem_prekeys.clear();
      if (upload->signed_prekey) own->signed_prekey = *upload->signed_prekey;
      for (const auto& key : upload->one_time_prekeys) own->one_time_prekeys.push_back(key);
      if (upload->last_resort_prekey) own->last_resort_prekey = *upload->last_resort_prekey;
      for (const auto& key : upload->kem_prekeys) own->kem_prekeys.push_back(key);
      return proto::ok_frame(frame.id);
    }
    case Kind::kAck: {
      const auto ack = decode<proto::Ack>(frame.body);
      std::erase_if(own->mailbox, [&](auto& d) { return d.sequence <= ack->up_to; });
      return std::nullopt;
    }
    default: return proto::ok_frame(frame.id);
  }
}

std::optional<Frame> World::on_hint(const Account* from, const Frame& frame) {
  auto hint = decode<proto::Hint>(frame.body);
  Account* to = account_of(hint->to);
  if (!to || !to->attached) return std::nullopt;
  proto::Parcel& parcel = hint->message.parcels[0];
  const proto::Envelope envelope{.id = parcel.id,
                                 .from = from ? from->user : UserId{},
                                 .from_device = DeviceId{from ? std::uint8_t{1} : std::uint8_t{0}},
                                 .type = parcel.type,
                                 .ciphertext = parcel.ciphertext,
                                 .accepted = now};
  to->device->receive(proto::make_frame(Kind::kHinted, 0, envelope));
  return std::nullopt;
}

crypto::SenderCertificate World::certificate(UserId user, ByteView identity_key, Instant expires,
                                             bool forged) {
  const auto root = forged ? crypto::KeyPair::generate(entropy_) : root_.clone();
  const auto server = crypto::ServerCertificate::issue(1, {signer_.public_key}, root, entropy_);
  return crypto::SenderCertificate::issue(user, DeviceId{1},
                                          *crypto::PublicKey::parse(identity_key), expires, server,
                                          signer_, entropy_);
}

Frame World::on_certify(Account& account, const Frame& frame) {
  if (!certifies) {
    return proto::make_frame(Kind::kError, frame.id, proto::ErrorBody{Code::kUnsupported, "none"});
  }
  account.access = decode<proto::Certify>(frame.body)->access;
  const auto made =
      certificate(account.user, account.identity_key, now + limits::kCertificateLifetime);
  const crypto::PublicKey root{root_.public_key};
  return proto::make_frame(Kind::kOk, frame.id, proto::Certified{made.wire, to_bytes(root.wire())});
}

// What somebody may ask who has not said who they are.
std::optional<Frame> World::on_nameless(const Frame& frame) {
  const bool hint = frame.kind == Kind::kHint;
  const auto submit = decode<proto::Submit>(frame.body);  // a Hint has the same two fields
  const auto shown = hint ? decode<proto::Hint>(frame.body)->access : submit->access;
  const Account* to = account_of(submit->to);
  EXPECT_TRUE(hint || frame.kind == Kind::kSubmit);
  if (!to || to->access != shown) {
    return proto::make_frame(Kind::kError, frame.id, proto::ErrorBody{Code::kForbidden, "who?"});
  }
  if (hint) return on_hint(nullptr, frame);
  ++nameless_;
  for (const auto& message : submit->messages) {
    for (const auto& parcel : message.parcels) {
      EXPECT_EQ(parcel.type, proto::CiphertextType::kSealed);
    }
  }
  return on_submit(nullptr, frame);
}

Frame World::on_register(Device& device, const Frame& frame) {
  auto request = decode<proto::Register>(frame.body);
  Account& account = accounts_[request->phone];
  if (account.user.is_nil()) account.user = UserId::random(entropy_);
  if (account.device != &device || account.identity_key != request->identity_key) {
    account.mailbox.clear();
    account.access = {};
    account.one_time_prekeys.assign(request->one_time_prekeys.begin(),
                                    request->one_time_prekeys.end());
    account.kem_prekeys.assign(request->kem_prekeys.begin(), request->kem_prekeys.end());
  }
  account.device = &device;
  account.attached = false;
  account.registration_id = request->registration_id;
  account.identity_key = request->identity_key;
  account.signed_prekey = request->signed_prekey;
  account.last_resort_prekey = request->last_resort_prekey;
  return proto::make_frame(Kind::kOk, frame.id, proto::Registered{account.user, DeviceId{1}});
}

Frame World::on_bundles(const Frame& frame) {
  Account* account = account_of(decode<proto::FetchBundles>(frame.body)->user);
  if (!account) {
    return proto::make_frame(Kind::kError, frame.id, proto::ErrorBody{Code::kNotFound, "none"});
  }
  proto::Bundle bundle{
      DeviceId{1}, account->registration_id,   account->identity_key, account->signed_prekey,
      {},          account->last_resort_prekey};
  if (!account->one_time_prekeys.empty()) {
    bundle.one_time_prekey = account->one_time_prekeys.front();
    account->one_time_prekeys.pop_front();
  }
  if (!account->kem_prekeys.empty()) {
    bundle.kem_prekey = account->kem_prekeys.front();
    account->kem_prekeys.pop_front();
  }
  return proto::make_frame(Kind::kOk, frame.id, proto::Bundles{{bundle}});
}

Frame World::on_submit(const Account* from, const Frame& frame) {
  const auto submit = decode<proto::Submit>(frame.body);
  Account* to = account_of(submit->to);
  if (!to) {
    return proto::make_frame(Kind::kError, frame.id, proto::ErrorBody{Code::kNotFound, "none"});
  }
  proto::ErrorBody conflict{Code::kConflict, "devices changed"};
  conflict.devices = {{DeviceId{1}, to->registration_id}};
  for (const proto::Outgoing& message : submit->messages) {
    if (message.parcels.size() != 1 || message.parcels[0].device != DeviceId{1} ||
        message.parcels[0].registration_id != to->registration_id) {
      return proto::make_frame(Kind::kError, frame.id, conflict);
    }
  }
  const std::uint64_t before = to->last_sequence;
  for (const proto::Outgoing& message : submit->messages) {
    const proto::Parcel& parcel = message.parcels[0];
    const bool pending =
        std::ranges::any_of(to->mailbox, [&](const auto& d) { return d.envelope.id == parcel.id; });
    if (pending) continue;
    to->mailbox.push_back({Sequence{++to->last_sequence},
                           {parcel.id, from ? from->user : UserId{},
                            DeviceId{from ? std::uint8_t{1} : std::uint8_t{0}}, parcel.type,
                            parcel.ciphertext, now}});
    if (tamper) tamper(to->user, to->mailbox.back().envelope);
  }
  push(*to, before);
  return proto::ok_frame(frame.id);
}

// Delivers what lies behind `after`.
void World::push(Account& account, std::uint64_t after) {
  if (!account.attached) return;
  proto::Deliver deliver;
  for (const proto::Delivery& delivery : account.mailbox) {
    if (delivery.sequence.value > after) deliver.deliveries.push_back(delivery);
  }
  if (!deliver.deliveries.empty()) {
    account.device->receive(proto::make_frame(Kind::kDeliver, 0, deliver));
  }
}

}  // namespace godwit::client
