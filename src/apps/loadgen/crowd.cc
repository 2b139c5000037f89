#include "apps/loadgen/crowd.h"

#include <time.h>

#include <algorithm>
#include <iterator>
#include <latch>
#include <utility>

#include "base/check.h"
#include "io/descriptors.h"

namespace godwit::loadgen {

namespace {

using proto::Frame;
using proto::Kind;
using State = Phone::State;

constexpr std::size_t kPrefix = 2;  // u16 big-endian length of a record
constexpr Duration kConnectTimeout = seconds(10);
constexpr Duration kTick = milliseconds(100);
constexpr Duration kPace = milliseconds(2);
constexpr std::uint8_t kUsersPerConnection = 8;  // the server allows ten codes
constexpr std::uint32_t kNobody = UINT32_MAX;
constexpr DeviceId kPrimary{1};
constexpr std::uint32_t kRegistrationId = 1;

// Requests by id; messages have what is beyond.
constexpr std::uint64_t kPingId = 1, kAttachId = 2, kCodeId = 3, kRegisterId = 4,
                        kFirstMessage = 16;

std::int64_t now_us() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return std::int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000;
}

// 127.1.0.1 and up: an address for each crowd.
io::Address source_of(std::uint16_t number) {
  const std::string text =
      "127.1." + std::to_string(number / 250) + "." + std::to_string(number % 250 + 1) + ":0";
  return io::Address::resolve(text).value().front();
}

// What a ciphertext says to the crowd. The server takes it for noise.
struct Note {
  std::uint64_t run = 0;
  std::uint64_t number = 0;
  std::uint64_t due = 0;
  static constexpr std::size_t kSize = 24;

  Bytes padded(std::size_t size) const {
    Bytes out;
    put_be64(out, run);
    put_be64(out, number);
    put_be64(out, due);
    out.resize(std::max(size, kSize), 0xa5);
    return out;
  }
  static std::optional<Note> parse(ByteView in) {
    if (in.size() < kSize) return std::nullopt;
    return Note{get_be64(in), get_be64(in.subspan(8)), get_be64(in.subspan(16))};
  }
};

}  // namespace

Result<std::unique_ptr<Crowd>> Crowd::create(Scene& scene, std::uint16_t number) {
  auto loop = io::Loop::create();
  if (!loop) return fail(loop.error());
  return std::unique_ptr<Crowd>(new Crowd(scene, source_of(number), std::move(*loop)));
}

Crowd::Crowd(Scene& scene, io::Address source, std::unique_ptr<io::Loop> loop)
    : scene_(scene),
      loop_(std::move(loop)),
      tcp_(*loop_, *this),
      dice_(get_be64(entropy_.draw<8>())),
      source_(source) {}

Crowd::~Crowd() { stop(); }

void Crowd::start(const std::vector<std::unique_ptr<Crowd>>& all) {
  const auto own = loop_->own_descriptors();
  std::vector<int> kept(own.begin(), own.end());
  for (const auto& crowd : all) kept.push_back(crowd->loop_->wakeup_descriptor());
  loop_->post([this] { tick(); });
  std::latch ready(1);
  thread_ = std::thread([this, &ready, kept = std::move(kept)]() mutable {
    if (scene_.own_tables) CHECK(io::own_descriptor_table(std::move(kept)));
    ready.count_down();
    loop_->run();
    tcp_.close_all();
  });
  ready.wait();
}

void Crowd::stop() {
  if (!thread_.joinable()) return;
  loop_->stop();
  thread_.join();
}

// ---- registering and connecting

void Crowd::register_users(std::uint32_t first, std::uint32_t end, std::uint32_t window) {
  loop_->post([=, this] { set_work(Work::kRegister, first, end, window); });
}

void Crowd::connect_users(std::uint32_t first, std::uint32_t end, std::uint32_t window) {
  loop_->post([=, this] { set_work(Work::kConnect, first, end, window); });
}

void Crowd::set_work(Work work, std::uint32_t first, std::uint32_t end, std::uint32_t window) {
  work_ = work;
  next_ = first;
  end_ = end;
  window_ = window;
  failed_.clear();
  again_.clear();
  fault_ = {};
  open_more();
}

void Crowd::open_more() {
  while (open_ < window_ && (next_ < end_ || !again_.empty())) {
    const auto conn = tcp_.connect(scene_.server, kConnectTimeout, source_);
    if (!conn) return;  // the next tick tries again
    std::uint32_t user = 0;
    if (!again_.empty()) {
      user = again_.back();
      again_.pop_back();
    } else {
      user = next_++;
    }
    phones_.grow(conn->index + 1);
    Phone& phone = phones_[conn->index];
    phone = {};
    phone.user = user;
    phone.generation = conn->generation;
    phone.state = State::kConnecting;
    ++open_;
  }
}

void Crowd::on_connected(io::Conn conn) {
  Phone& phone = phones_[conn.index];
  phone.state = State::kHandshake;
  Bytes hello = to_bytes(proto::kPreamble);
  const bool known = scene_.people.server != crypto::CurvePoint{};
  hello.push_back(static_cast<std::uint8_t>(known ? proto::Handshake::kIK : proto::Handshake::kXX));
  auto& handshake = phone.work().handshake;
  handshake =
      known ? proto::NoiseHandshake::initiator_ik(scene_.people.key, scene_.people.server, hello)
            : proto::NoiseHandshake::initiator_xx(scene_.people.key, hello);
  const auto first = handshake->write({}, entropy_);
  if (!first) return tcp_.abort(conn);
  put_be16(hello, static_cast<std::uint16_t>(first->size()));
  append(hello, *first);
  tcp_.send(conn, hello);
}

std::size_t Crowd::on_octets(io::Conn conn, ByteView octets) {
  Phone& phone = phones_[conn.index];
  std::size_t used = 0;
  while (tcp_.is_open(conn)) {
    const ByteView rest = octets.subspan(used);
    if (rest.size() < kPrefix || rest.size() < kPrefix + get_be16(rest)) return used;
    const std::size_t size = get_be16(rest);
    on_record(conn, phone, rest.subspan(kPrefix, size));
    used += kPrefix + size;
  }
  return octets.size();
}

void Crowd::on_record(io::Conn conn, Phone& phone, ByteView record) {
  if (phone.state == State::kHandshake) {
    proto::NoiseHandshake& handshake = *phone.busy->handshake;
    if (!handshake.read(record)) return tcp_.abort(conn);
    if (!handshake.finished()) {
      const auto last = handshake.write({}, entropy_);
      if (!last) return tcp_.abort(conn);
      wire_.clear();
      put_be16(wire_, static_cast<std::uint16_t>(last->size()));
      append(wire_, *last);
      tcp_.send(conn, wire_);
    }
    if (handshake.finished()) finish_handshake(conn, phone);
    return;
  }
  auto plain = phone.channel->open(record);
  if (!plain || !phone.work().reader.feed(std::move(*plain))) return tcp_.abort(conn);
  for (;;) {
    const auto frame = phone.work().reader.next();
    if (!frame) return tcp_.abort(conn);
    if (!*frame) break;
    on_frame(conn, phone, **frame);
  }
  if (phone.busy->reader.idle()) phone.busy.reset();
}

void Crowd::finish_handshake(io::Conn conn, Phone& phone) {
  if (scene_.people.server == crypto::CurvePoint{}) {  // before other crowds have work
    scene_.people.server = *phone.busy->handshake->remote_static();
  }
  phone.channel.emplace(phone.busy->handshake->split());
  phone.busy.reset();
  if (work_ == Work::kRegister) ask_for_code(conn, phone);
  else attach(conn, phone);
}

void Crowd::ask_for_code(io::Conn conn, Phone& phone) {
  phone.state = State::kAsking;
  send(conn, phone,
       proto::make_frame(Kind::kRequestCode, kCodeId, proto::RequestCode{phone_of(phone.user)}));
}

void Crowd::send_registration(io::Conn conn, Phone& phone) {
  proto::Register form;
  form.phone = phone_of(phone.user);
  form.code = scene_.codes.take(form.phone);
  if (form.code.empty()) {
    fault_ = {Fault::Kind::kNoCode, {}};
    return tcp_.abort(conn);
  }
  phone.state = State::kRegistering;
  const Bytes noise = to_bytes(entropy_.draw<proto::kMaxPublicKey>());
  form.registration_id = kRegistrationId;
  form.identity_key = noise;
  form.signed_prekey = {1, noise, Bytes(proto::kSignature, noise[0])};
  form.one_time_prekeys = {{1, noise}, {2, noise}};
  form.last_resort_prekey = {1, Bytes(proto::kKemPublicKey, noise[0]),
                             Bytes(proto::kSignature, noise[0])};
  if (scene_.keys) scene_.keys(form);
  send(conn, phone, proto::make_frame(Kind::kRegister, kRegisterId, form));
}

void Crowd::attach(io::Conn conn, Phone& phone) {
  phone.state = State::kAttaching;
  const proto::Attach request{scene_.people.users[phone.user], kPrimary, {}};
  send(conn, phone, proto::make_frame(Kind::kAttach, kAttachId, request));
}

void Crowd::send(io::Conn conn, Phone& phone, const Frame& frame) {
  Bytes stream;
  proto::put_frame(stream, frame);
  wire_.clear();
  put_be16(wire_, static_cast<std::uint16_t>(stream.size() + proto::NoiseChannel::kOverhead));
  if (!phone.channel->seal(stream, wire_)) return tcp_.abort(conn);
  tcp_.send(conn, wire_);
}

// ---- what the server says

void Crowd::on_frame(io::Conn conn, Phone& phone, const Frame& frame) {
  switch (frame.kind) {
    case Kind::kOk: return on_answer(conn, phone, frame);
    case Kind::kDeliver: return on_deliver(conn, phone, frame);
    case Kind::kError:
      if (frame.id < kFirstMessage) {
        const auto error = decode<proto::ErrorBody>(frame.body);
        fault_ = {Fault::Kind::kRefused, error ? error->text : std::string()};
        return tcp_.abort(conn);
      }
      ++tally_.refused;
      if (!writing_ || plan_.rate != 0) return;
      if (plan_.writers == 0) write_message(now_us());
      else next_of_writer(phone.user);
      return;
    default: return;
  }
}

void Crowd::on_answer(io::Conn conn, Phone& phone, const Frame& frame) {
  if (frame.id == kCodeId && phone.state == State::kAsking) return send_registration(conn, phone);
  if (frame.id == kRegisterId && phone.state == State::kRegistering) {
    const auto body = decode<proto::Registered>(frame.body);
    if (!body) return tcp_.abort(conn);
    scene_.people.users[phone.user] = body->user;
    ++tally_.registered;
    fault_ = {};
    if (++phone.registered >= kUsersPerConnection || next_ >= end_) {
      phone.state = State::kFree;  // done
      return tcp_.close(conn);
    }
    phone.user = next_++;
    return ask_for_code(conn, phone);
  }
  if (frame.id == kAttachId && phone.state == State::kAttaching) {
    phone.state = State::kAttached;
    ++tally_.attached;
    fault_ = {};
    --open_;
    return;
  }
  if (frame.id < kFirstMessage) return;
  ++tally_.accepted;
  const bool whole =
      plan_.ledger && plan_.ledger->accepted(static_cast<std::uint32_t>(frame.id - kFirstMessage));
  if (!writing_ || plan_.rate != 0) return;
  if (plan_.writers == 0) write_message(now_us());
  else if (whole || plan_.targets > 0) next_of_writer(phone.user);
}

void Crowd::on_deliver(io::Conn conn, Phone& phone, const Frame& frame) {
  const auto body = decode<proto::Deliver>(frame.body);
  if (!body || body->deliveries.empty()) return tcp_.abort(conn);
  const std::int64_t now = now_us();
  for (const proto::Delivery& delivery : body->deliveries) {
    phone.seen = delivery.sequence;
    if (scene_.sees) scene_.sees(delivery.envelope, now);
    const auto note = Note::parse(delivery.envelope.ciphertext);
    if (!note || note->run != plan_.run || !plan_.ledger) continue;
    const auto number = static_cast<std::uint32_t>(note->number);
    if (!plan_.ledger->delivered(number)) {
      ++tally_.duplicated;
      continue;
    }
    ++tally_.delivered;
    latencies_.add(now - static_cast<std::int64_t>(note->due));
    if (writing_ && plan_.rate == 0 && plan_.writers > 0 && plan_.ledger->is_whole(number)) {
      next_of_writer(phone.user - 1);
    }
  }
  send(conn, phone, proto::make_frame(Kind::kAck, 0, proto::Ack{phone.seen}));
}

void Crowd::on_closed(io::Conn conn, io::CloseReason reason) {
  Phone& phone = phones_[conn.index];
  switch (phone.state) {
    case State::kAttached:
      --tally_.attached;
      ++tally_.cut;
      break;
    case State::kFree: --open_; break;
    default:
      --open_;
      ++tally_.failed;
      // The first of all is not asked for again and again: a number may be sent few codes.
      if (fault_.kind != Fault::Kind::kNoCode || end_ > 1) failed_.push_back(phone.user);
      if (phone.state == State::kConnecting) fault_ = {Fault::Kind::kUnreachable, {}};
      else if (phone.state == State::kHandshake) fault_ = {Fault::Kind::kStranger, {}};
      else if (reason != io::CloseReason::kLocal) fault_ = {Fault::Kind::kClosed, {}};
  }
  phone = {};
}

void Crowd::on_turn_end() {
  open_more();
  if (wire_.capacity() > 256 * 1024) Bytes().swap(wire_);
}

// ---- staying alive

void Crowd::tick() {
  loop_->after(kTick, [this] { tick(); });
  std::ranges::move(std::exchange(failed_, {}), std::back_inserter(again_));
  ping_some();
}

// Every phone once per interval, evenly: one of so many in each tick.
void Crowd::ping_some() {
  const auto ticks = static_cast<std::uint32_t>(scene_.ping.ms / kTick.ms);
  ping_turn_ = (ping_turn_ + 1) % ticks;
  for (std::uint32_t index = ping_turn_; index < phones_.size(); index += ticks) {
    Phone& phone = phones_[index];
    if (phone.state != State::kAttached) continue;
    send({index, phone.generation}, phone,
         proto::make_frame(Kind::kPing, kPingId, proto::Ping{phone.seen}));
  }
}

// ---- messages

void Crowd::prepare(const Plan& plan) {
  std::latch ready(1);
  loop_->post([&] {
    plan_ = plan;
    ready.count_down();
  });
  ready.wait();
}

void Crowd::begin() {
  loop_->post([this] {
    writing_ = true;
    began_ = now_us();
    written_ = 0;
    latencies_ = {};
    find_writers();
    if (plan_.rate > 0) return pace();
    for (std::uint32_t i = 0; plan_.writers > 0 && i < plan_.outstanding; ++i) {
      for (const std::uint32_t index : writers_) next_of_writer(phones_[index].user);
    }
    if (plan_.writers > 0) return;
    for (std::uint32_t i = 0; i < plan_.outstanding; ++i) write_message(now_us());
  });
}

void Crowd::cease() {
  loop_->post([this] { writing_ = false; });
}

// Sends what is due by now. A message that leaves late counts from when it was due, so that a
// server that stalls is not asked less and judged better.
void Crowd::pace() {
  if (!writing_) return;
  loop_->after(kPace, [this] { pace(); });
  for (const std::int64_t now = now_us();; ++written_) {
    const auto due =
        began_ + static_cast<std::int64_t>(static_cast<double>(written_) / plan_.rate * 1e6);
    if (due > now || !write_message(due)) return;
  }
}

bool Crowd::write_message(std::int64_t due) {
  if (plan_.writers > 0) {
    if (writers_.empty()) return false;
    const std::uint32_t index = writers_[written_ % writers_.size()];
    return write_from(index, phones_[index].user + 1, due);
  }
  constexpr int kTries = 64;  // for a phone that is attached
  for (int i = 0; i < kTries && phones_.size() > 0; ++i) {
    const auto index = static_cast<std::uint32_t>(dice_.next() % phones_.size());
    if (phones_[index].state != State::kAttached) continue;
    const std::uint32_t others = plan_.users - plan_.begin;
    auto to = static_cast<std::uint32_t>(dice_.next() % others);
    if (plan_.begin + to == phones_[index].user) to = (to + 1) % others;
    to += plan_.begin;
    return write_from(index, to, due);
  }
  return false;
}

bool Crowd::write_from(std::uint32_t index, std::uint32_t to, std::int64_t due) {
  std::uint32_t number = 0;
  Phone& phone = phones_[index];
  if (phone.state != State::kAttached || !plan_.ledger->next(number)) return false;
  if (plan_.targets > 0) to = plan_.first + number % plan_.targets;
  proto::Parcel parcel{EnvelopeId::random(dice_), kPrimary, kRegistrationId,
                       proto::CiphertextType::kWhisper,
                       Note{plan_.run, number, static_cast<std::uint64_t>(due)}.padded(plan_.size)};
  proto::Submit submit{scene_.people.users[to], {{{std::move(parcel)}}}};
  send({index, phone.generation}, phone,
       proto::make_frame(Kind::kSubmit, kFirstMessage + number, submit));
  return true;
}

void Crowd::find_writers() {
  writers_.clear();
  index_of_.assign(plan_.end_of_writers(), kNobody);
  for (std::uint32_t index = 0; index < phones_.size() && plan_.writers > 0; ++index) {
    const Phone& phone = phones_[index];
    if (phone.state != State::kAttached || phone.user >= plan_.end_of_writers()) continue;
    if (phone.user % plan_.stride != 0) continue;
    writers_.push_back(index);
    index_of_[phone.user] = index;
  }
}

void Crowd::next_of_writer(std::uint32_t user) {
  if (user >= index_of_.size() || index_of_[user] == kNobody) return;
  write_from(index_of_[user], user + 1, now_us());
}

template <typename T>
T Crowd::copy(const T& of_the_thread) {
  T out;
  std::latch copied(1);
  loop_->post([&] {
    out = of_the_thread;
    copied.count_down();
  });
  copied.wait();
  return out;
}

Latencies Crowd::latencies() { return copy(latencies_); }

Crowd::Fault Crowd::fault() { return copy(fault_); }

}  // namespace godwit::loadgen
