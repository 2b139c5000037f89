#include "runtime/server_runtime.h"

#include <algorithm>

#include "io/descriptors.h"
#include "runtime/log.h"

namespace godwit::runtime {

namespace {

constexpr std::uint32_t kMaxLoops = 256;
constexpr std::uint32_t kOwnDescriptors = 256;  // the store's files, listeners, loops, HTTP
// In a loop's own table: its epoll and listener, every loop's wake-up, the standard ones.
constexpr std::uint32_t kTableOverhead = kMaxLoops + 16;
constexpr Duration kStuck = seconds(5);  // without a tick, which comes once a second
constexpr int kExpiryTicks = 3600;

Instant wall_clock() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::milliseconds>(since).count()};
}

Duration uptime() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::milliseconds>(since).count()};
}

}  // namespace

Result<std::unique_ptr<ServerRuntime>> ServerRuntime::create(Options options, ports::Store& store,
                                                             ports::Gateway& gateway) {
  crypto::SystemEntropy entropy;
  store.set_now(wall_clock());
  auto identity = ServerIdentity::start(store, entropy);
  if (!identity) return fail(identity.error());
  return build(options, &store, std::move(*identity), spread(options, io::descriptor_limit()),
               gateway);
}

Result<std::unique_ptr<ServerRuntime>> ServerRuntime::build(const Options& options,
                                                            ports::Store* store,
                                                            ServerIdentity identity,
                                                            const Spread& spread,
                                                            ports::Gateway& gateway) {
  std::unique_ptr<ServerRuntime> runtime(new ServerRuntime(std::move(identity), spread));
  ServerShared& shared = runtime->shared_;
  shared.handshake_timeout = options.handshake_timeout;
  shared.idle_timeout = options.idle_timeout;
  shared.write_behind = options.write_behind;
  for (std::uint16_t shard = 0; shard < shared.placement->shards(); ++shard) {
    auto loop = ServerLoop::create(shared, {shard});
    if (!loop) return fail(loop.error());
    shared.loops.push_back(std::move(*loop));
  }
  if (store != nullptr) runtime->use(*store);
  shared.courier = std::make_unique<CodeCourier>(gateway);
  return runtime;
}

void ServerRuntime::use(ports::Store& store) {
  store_ = &store;
  store.set_now(wall_clock());
  shared_.store =
      std::make_unique<StoreWorker>(store, [this](ShardId shard, std::vector<StoreReport> reports) {
        shared_.loops[shard.value]->take_reports(std::move(reports));
      });
}

ServerRuntime::Spread ServerRuntime::spread(const Options& options, std::uint32_t table) {
  const std::uint32_t cores = std::max(1U, std::thread::hardware_concurrency());
  Spread spread;
  std::uint32_t loops = options.threads != 0 ? options.threads : cores;
  const std::uint32_t one_table = std::max(table, kOwnDescriptors + 1) - kOwnDescriptors;
  spread.in_all = options.max_connections != 0 ? options.max_connections : one_table;
  if (spread.in_all > one_table) {
    spread.own_tables = true;
    spread.per_loop = std::max(table, kTableOverhead + 16) - kTableOverhead;
    // The kernel spreads connections over the listeners by chance: a sixteenth is head room, nine
    // standard deviations with 20,000 in a table.
    const std::uint32_t expected = spread.per_loop - spread.per_loop / 16;
    loops = std::max(loops, spread.in_all / expected + (spread.in_all % expected == 0 ? 0 : 1));
  }
  spread.loops = static_cast<std::uint16_t>(std::min(loops, kMaxLoops));
  if (spread.own_tables) spread.in_all = std::min(spread.in_all, spread.loops * spread.per_loop);
  return spread;
}

ServerRuntime::ServerRuntime(ServerIdentity identity, const Spread& spread) : spread_(spread) {
  shared_.key = std::move(identity.key);
  shared_.pepper = identity.pepper;
  crypto::SystemEntropy entropy;
  // An older version's process handed over without a seed: the next start makes one.
  if (!crypto::equal(identity.certificate_seed.view(), ByteArray<32>{})) {
    shared_.certifier.emplace(identity.certificate_seed, entropy);
  }
  shared_.placement.emplace(spread.loops, identity.incarnation);
  shared_.max_connections = spread.in_all;
}

ServerRuntime::~ServerRuntime() { stop({}); }

Result<io::Address> ServerRuntime::listen(const io::Address& address) {
  io::Address bound = address;
  for (const auto& loop : shared_.loops) {
    const auto listening = loop->listen(bound, spread_.per_loop);
    if (!listening) return listening;
    bound = *listening;  // the others share the port that the first one got
  }
  clients_ = bound.text();
  return bound;
}

Result<io::Address> ServerRuntime::listen_http(const io::Address& address) {
  auto server =
      io::HttpServer::start(address, [this](std::string_view path) { return answer(path); });
  if (!server) return fail(server.error());
  http_ = std::move(*server);
  return http_->address();
}

Result<io::Address> ServerRuntime::take_http(int listener) {
  auto server =
      io::HttpServer::take(listener, [this](std::string_view path) { return answer(path); });
  if (!server) return fail(server.error());
  http_ = std::move(*server);
  return http_->address();
}

void ServerRuntime::start() {
  for (const auto& loop : shared_.loops) loop->start(spread_.own_tables);
  keeper_ = std::thread([this] { keep(); });
  serving_ = true;
}

void ServerRuntime::stop(Duration grace) {
  serving_ = false;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(grace.ms);
  if (grace > Duration{} && keeper_.joinable()) {
    for (const auto& loop : shared_.loops) loop->drain();
    for (const auto& loop : shared_.loops) loop->wait_until_empty(deadline);
  }
  http_.reset();  // it answered until here, that the server stops
  if (keeper_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    ending_wake_.notify_one();
    keeper_.join();
  }
  // The worker does what waits, and reports to loops that are still there, though they stand still.
  for (const auto& loop : shared_.loops) loop->stop();
  shared_.courier.reset();
  shared_.store.reset();
}

void ServerRuntime::keep() {
  std::unique_lock lock(mutex_);
  for (int ticks = 0; !ending_; ++ticks) {
    lock.unlock();
    store_->set_now(wall_clock());
    shared_.store->probe();
    if (ticks % kExpiryTicks == kExpiryTicks - 1) {
      if (const auto expired = store_->expire(wall_clock()); !expired) {
        log(LogLevel::kWarn, "expiry failed", {{"why", expired.error().text}});
      }
    }
    lock.lock();
    ending_wake_.wait_for(lock, std::chrono::seconds(1), [this] { return ending_; });
  }
}

bool ServerRuntime::alive() const {
  return std::ranges::all_of(shared_.loops, [now = uptime()](const auto& loop) {
    return now < loop->counters().ticked + kStuck;
  });
}

std::string_view ServerRuntime::not_ready() const {
  if (!serving_) return "starting or stopping";
  if (!alive()) return "a loop stands still";
  if (const auto trouble = shared_.store->trouble()) return trouble->text;
  return {};
}

io::HttpAnswer ServerRuntime::answer(std::string_view path) const {
  if (path == "/healthz") {
    if (serving_ && !alive()) return {503, "a loop stands still\n"};
    return {200, "ok\n"};
  }
  if (path == "/readyz") {
    const std::string_view reason = not_ready();
    if (!reason.empty()) return {503, std::string(reason) + "\n"};
    return {200, "ready\n"};
  }
  if (path == "/metrics") return {200, metrics(), "text/plain; version=0.0.4; charset=utf-8"};
  return {404, "see /healthz, /readyz and /metrics\n"};
}

}  // namespace godwit::runtime
