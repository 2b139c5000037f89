#include "runtime/client_runtime.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace godwit::runtime {
namespace {

constexpr std::string_view kPartition = "runtime";
constexpr std::string_view kDeviceKey = "device-key";
constexpr std::string_view kServerKey = "server-key";
constexpr std::string_view kServer = "server";
constexpr int kRounds = 8;  // of effects that effects led to; more wait for the next turn

}  // namespace

ClientRuntime::ClientRuntime(io::Loop& loop, ports::Store& store, Entropy& entropy,
                             Listener& listener)
    : loop_(loop),
      store_(store),
      entropy_(entropy),
      listener_(listener),
      link_(loop, entropy, *this),
      nameless_(*this),
      after_failure_(seconds(1), limits::kBackoffMax) {
  loop_.add_source(*this);
}

ClientRuntime::~ClientRuntime() = default;

Result<std::unique_ptr<ClientRuntime>> ClientRuntime::open(io::Loop& loop, ports::Store& store,
                                                           Entropy& entropy, Listener& listener) {
  std::unique_ptr<ClientRuntime> runtime(new ClientRuntime(loop, store, entropy, listener));
  GODWIT_TRY(runtime->load_own_rows());
  GODWIT_TRY(runtime->load_engine());
  runtime->expire();
  if (!runtime->effects_.empty()) runtime->perform(std::exchange(runtime->effects_, {}));
  return runtime;
}

Result<void> ClientRuntime::load_engine() {
  std::vector<client::Engine::Snapshot> snapshots;
  for (const ports::Space space : client::Engine::hydrated_spaces()) {
    auto rows = store_.scan({client::Engine::partition(), space, {}, {}});
    if (!rows) return fail(rows.error());
    snapshots.push_back({space, std::move(*rows)});
  }
  auto engine = client::Engine::load(std::move(snapshots));
  if (!engine) return fail(engine.error());
  engine_ = std::move(*engine);
  return {};
}

Result<void> ClientRuntime::load_own_rows() {
  auto rows = store_.scan({to_bytes(kPartition), ports::Space::kMeta, {}, {}});
  if (!rows) return fail(rows.error());
  bool has_key = false;
  for (ports::Row& row : *rows) {
    const std::string_view key = text_of(row.key);
    if (key == kDeviceKey) {
      auto secret = crypto::Key::parse(row.value);
      crypto::wipe(row.value);
      if (!secret) return fail(Code::kCorrupt, "the device's key in the store is damaged");
      device_key_ = crypto::KeyPair::from_private(secret->view());
      has_key = true;
    } else if (key == kServerKey && row.value.size() >= 32) {
      pinned_ = to_array<32>(ByteView(row.value).first(32));
      pinned_server_ = to_string(ByteView(row.value).subspan(32));
    } else if (key == kServer) {
      server_ = to_string(row.value);
    }
  }
  if (has_key) return {};
  device_key_ = crypto::KeyPair::generate(entropy_);
  return write_own_row(kDeviceKey, to_bytes(ByteView(device_key_.private_key.view())));
}

Result<void> ClientRuntime::write_own_row(std::string_view key, Bytes value) {
  ports::Batch batch{to_bytes(kPartition), {}};
  batch.put(ports::Space::kMeta, to_bytes(key), std::move(value));
  return store_.write({&batch, 1}, ports::Durability::kSafe);
}

void ClientRuntime::use_server(const std::string& host_and_port) {
  if (server_ == host_and_port) return;
  server_ = host_and_port;
  if (!link_.down()) link_.close();
}

Result<void> ClientRuntime::save_server() { return write_own_row(kServer, to_bytes(server_)); }

void ClientRuntime::accept_server_key() {
  if (!link_.up()) pinned_.reset();
}

void ClientRuntime::go_online() {
  if (online_wanted_) return;
  online_wanted_ = true;
  wake();
}

void ClientRuntime::open_link() {
  if (!link_.down()) return;
  if (server_.empty()) {
    fault_ = LinkFault::kUnreachable;
    reason_ = "no server is known: name it with --server HOST:PORT";
    act([](auto& engine, Env& env, auto& out) { engine.on_disconnected(env, out); });
    listener_.on_link_failed();
    return;
  }
  // Before there is an account, another address is another server: it is trusted on first use.
  if (!engine_->registered() && pinned_server_ != server_) pinned_.reset();
  link_.open(server_, device_key_, pinned_);
}

// ---- the nameless connection

ClientRuntime::Nameless::Nameless(ClientRuntime& owner)
    : runtime(owner), link(owner.loop_, owner.entropy_, *this) {}

// Only to the server that the own connection has proven: no key is learnt here.
void ClientRuntime::open_nameless() {
  if (!nameless_.link.down()) return;
  if (!pinned_ || !link_.up()) return nameless_.on_link_down(LinkFault::kUnreachable, {});
  nameless_.link.open(server_, crypto::KeyPair::generate(entropy_), pinned_);
}

void ClientRuntime::Nameless::on_link_up(const crypto::CurvePoint&) {
  runtime.act([](auto& engine, Env& env, auto& out) {
    engine.on_connected(env, out, client::Line::kNameless);
  });
}

void ClientRuntime::Nameless::on_link_frame(proto::Frame frame) {
  runtime.act([&](auto& engine, Env& env, auto& out) {
    engine.on_frame(std::move(frame), env, out, client::Line::kNameless);
  });
}

// What its faults mean is for the own connection to find out, and to tell.
void ClientRuntime::Nameless::on_link_down(LinkFault, std::string) {
  runtime.act([](auto& engine, Env& env, auto& out) {
    engine.on_disconnected(env, out, client::Line::kNameless);
  });
}

ClientRuntime::Link ClientRuntime::link() const {
  return link_.up() ? Link::kOnline : link_.down() ? Link::kOffline : Link::kConnecting;
}

void ClientRuntime::on_link_up(const crypto::CurvePoint& server) {
  if (pinned_ != server) {
    Bytes row(server.begin(), server.end());
    append(row, view_of(server_));
    if (const auto written = write_own_row(kServerKey, std::move(row)); !written) {
      listener_.on_commit_failed(written.error());
      link_.close();
      return;
    }
    pinned_ = server;
    pinned_server_ = server_;
  }
  fault_ = LinkFault::kNone;
  reason_.clear();
  act([](auto& engine, Env& env, auto& out) { engine.on_connected(env, out); });
}

void ClientRuntime::on_link_frame(proto::Frame frame) {
  act([&](auto& engine, Env& env, auto& out) { engine.on_frame(std::move(frame), env, out); });
}

void ClientRuntime::on_link_down(LinkFault fault, std::string reason) {
  fault_ = fault;
  reason_ = std::move(reason);
  act([](auto& engine, Env& env, auto& out) { engine.on_disconnected(env, out); });
  if (fault != LinkFault::kNone) listener_.on_link_failed();
}

void ClientRuntime::wake() {
  if (std::exchange(woken_, true)) return;
  loop_.post([] {});
}

void ClientRuntime::on_turn_end() {
  if (lost_) return;
  woken_ = false;
  store_.set_now(loop_.now());
  if (online_wanted_ && loop_.now() >= not_before_ && loop_.now() >= engine_->deadline()) {
    Env env{loop_.now(), entropy_};
    engine_->on_tick(env, effects_);
  }
  expire();
  for (int round = 0; round < kRounds && !effects_.empty() && !lost_; ++round) {
    perform(std::exchange(effects_, {}));
  }
  if (lost_) return;
  if (!effects_.empty()) wake();
  link_.flush();
  nameless_.link.flush();
  arm_timer();
}

// Messages disappear on time, online or not.
void ClientRuntime::expire() {
  if (loop_.now() < not_before_ || loop_.now() < engine_->expiry()) return;
  Env env{loop_.now(), entropy_};
  engine_->expire(env, effects_);
}

void ClientRuntime::perform(client::Effects effects) {
  std::vector<ports::Batch> batches;
  for (client::Effect& effect : effects) {
    if (auto* commit = std::get_if<client::Commit>(&effect)) {
      batches.push_back(std::move(commit->batch));
    }
  }
  if (!batches.empty()) {
    if (const auto written = store_.write(batches, ports::Durability::kSafe); !written) {
      recover(written.error());
      return;
    }
    after_failure_.reset();
  }
  listener_.on_committed();
  for (client::Effect& effect : effects) perform_one(effect);
}

void ClientRuntime::perform_one(client::Effect& effect) {
  if (auto* send = std::get_if<client::SendFrame>(&effect)) {
    (send->line == client::Line::kOwn ? link_ : nameless_.link).send(send->frame);
  } else if (auto* notify = std::get_if<client::Notify>(&effect)) {
    const auto* change = std::get_if<client::ConnectionChanged>(&notify->event);
    if (change != nullptr && !change->online && fault_ == LinkFault::kNone) {
      fault_ = LinkFault::kEnded;
      reason_ = change->reason;
    }
    listener_.on_event(notify->event);
  } else if (const auto* connect = std::get_if<client::Connect>(&effect)) {
    connect->line == client::Line::kOwn ? open_link() : open_nameless();
  } else if (const auto* disconnect = std::get_if<client::Disconnect>(&effect)) {
    ServerLink& link = disconnect->line == client::Line::kOwn ? link_ : nameless_.link;
    link.flush();
    link.close();
  }
}

void ClientRuntime::recover(Error error) {
  effects_.clear();
  not_before_ = loop_.now() + after_failure_.next(entropy_);
  if (const auto loaded = load_engine(); !loaded) {
    lost_ = true;
    listener_.on_store_lost(loaded.error());
    return;
  }
  link_.close();
  nameless_.link.close();
  listener_.on_commit_failed(error);
}

void ClientRuntime::arm_timer() {
  if (timer_ != 0) loop_.cancel(std::exchange(timer_, 0));
  const Instant next = online_wanted_ ? engine_->deadline() : engine_->expiry();
  if (next == kNever) return;
  const Instant due = std::max(next, not_before_);
  const std::int64_t wait = std::clamp<std::int64_t>(due.ms - loop_.now().ms, 1, 3'600'000);
  timer_ = loop_.after({wait}, [this] { timer_ = 0; });
}

}  // namespace godwit::runtime
