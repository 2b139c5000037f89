#include "runtime/server_loop.h"

#include <unistd.h>

#include <algorithm>
#include <latch>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "io/descriptors.h"
#include "runtime/log.h"

namespace godwit::runtime {

namespace {

constexpr Duration kTick = seconds(1);
constexpr std::uint32_t kIdleSweep = 15;  // ticks in which all connections are looked at once
constexpr Duration kLongestTurn = milliseconds(500);  // longer ones were held, or not run at all
constexpr int kOwnRounds = 16;            // of messages to oneself within a turn
constexpr std::size_t kScratchKept = 256 * 1024;  // larger scratch buffers are given back

EndReason reason_of(io::CloseReason reason) {
  switch (reason) {
    case io::CloseReason::kPeer: return EndReason::kClient;
    case io::CloseReason::kSlowReader: return EndReason::kSlowReader;
    case io::CloseReason::kLocal: return EndReason::kServer;
    default: return EndReason::kBroken;
  }
}

void shrink(Bytes& scratch) {
  if (scratch.capacity() > kScratchKept) Bytes().swap(scratch);
}

}  // namespace

Result<std::unique_ptr<ServerLoop>> ServerLoop::create(ServerShared& shared, ShardId shard) {
  auto loop = io::Loop::create();
  if (!loop) return fail(loop.error());
  return std::unique_ptr<ServerLoop>(new ServerLoop(shared, shard, std::move(*loop)));
}

ServerLoop::ServerLoop(ServerShared& shared, ShardId shard, std::unique_ptr<io::Loop> loop)
    : shared_(shared),
      shard_id_(shard),
      loop_(std::move(loop)),
      tcp_(*loop_, *this),
      shard_({shard, &*shared.placement, shared.pepper, shared.write_behind,
              shared.certifier ? &*shared.certifier : nullptr}),
      published_(shared.placement->shards()) {}

ServerLoop::~ServerLoop() { stop(); }

Result<io::Address> ServerLoop::listen(const io::Address& address, std::uint32_t max_connections) {
  return tcp_.listen(address, std::min(max_connections, kMaxConnections));
}

void ServerLoop::start(bool own_table) {
  counters_.ticked = loop_->uptime();
  loop_->post([this] { tick(); });
  const int listener = tcp_.listener_descriptor();
  const int channel = channel_.descriptor();
  std::latch ready(1);
  thread_ = std::thread([this, own_table, &ready] {
    if (own_table) take_own_table();
    ready.count_down();
    loop_->run();
    tcp_.close_all();  // here, where the descriptors are known
  });
  ready.wait();
  // The thread has a copy. This one would keep the socket open when the thread stops listening.
  if (own_table && listener >= 0) close(listener);
  if (own_table && channel >= 0) close(channel);
}

void ServerLoop::take_own_table() {
  const auto own = loop_->own_descriptors();
  std::vector<int> kept(own.begin(), own.end());
  if (tcp_.listener_descriptor() >= 0) kept.push_back(tcp_.listener_descriptor());
  if (channel_.open()) kept.push_back(channel_.descriptor());
  for (const auto& loop : shared_.loops) kept.push_back(loop->loop_->wakeup_descriptor());
  if (const auto taken = io::own_descriptor_table(std::move(kept)); !taken) {
    log(LogLevel::kError, "a thread shares its limit of open files with others",
        {{"why", taken.error().text}});
  }
}

void ServerLoop::stop() {
  if (!thread_.joinable()) return;
  loop_->stop();
  thread_.join();
}

void ServerLoop::drain() {
  loop_->post([this] {
    draining_ = true;
    tcp_.stop_listening();
    tell([&](Env& env) { shard_.drain(env, outputs_); });
    for (std::uint32_t i = 0; i < connections_.size(); ++i) {
      Connection& connection = connections_[i];
      if (connection.state == Connection::State::kHandshake) {
        refuse({i, connection.generation}, connection, ConnectResult::kRefused);
      }
    }
  });
}

bool ServerLoop::wait_until_empty(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  return emptied_.wait_until(lock, deadline, [this] { return empty_; });
}

void ServerLoop::perform(server::Output& output) {
  if (auto* write = std::get_if<server::Write>(&output)) {
    jobs_.push_back({shard_id_, write->token, std::move(write->batch)});
  } else if (auto* read = std::get_if<server::Read>(&output)) {
    jobs_.push_back({shard_id_, read->token, std::move(read->scan)});
  } else if (auto* send = std::get_if<server::Send>(&output)) {
    const auto conn = conn_of(send->session);
    Connection* connection = conn ? find(*conn) : nullptr;
    if (connection == nullptr || connection->state != Connection::State::kOpen) return;
    connection->work().unsent.push_back(std::move(send->frame));
    if (send->late) mark_late(*conn, *connection);
    else mark(*conn, *connection);
  } else if (auto* close = std::get_if<server::Close>(&output)) {
    const auto conn = conn_of(close->session);
    Connection* connection = conn ? find(*conn) : nullptr;
    if (connection == nullptr || connection->state != Connection::State::kOpen) return;
    connection->state = Connection::State::kClosing;
    connection->reason = EndReason::kServer;
    mark(*conn, *connection);
  } else if (auto* publish = std::get_if<server::Publish>(&output)) {
    CHECK(publish->to.value < published_.size());
    published_[publish->to.value].push_back(std::move(publish->message));
  } else if (auto* timer = std::get_if<server::Timer>(&output)) {
    ++timers_set_;
    loop_->after(timer->after, [this] {
      ++work_done_;
      tell([&](Env& env) { shard_.on_timer(env, outputs_); });
    });
  } else if (auto* code = std::get_if<server::SendCode>(&output)) {
    ++codes_asked_;
    shared_.courier->send(
        std::move(code->phone), std::move(code->code), [this, token = code->token](auto result) {
          loop_->post([this, token, result] {
            ++work_done_;
            tell([&](Env& env) { shard_.on_code_sent(token, result, env, outputs_); });
          });
        });
  }
}

void ServerLoop::mark(io::Conn conn, Connection& connection) {
  if (!std::exchange(connection.dirty, true)) dirty_.push_back(conn);
}

// A record and a system call for each refusal would cost more than all the rest of it.
void ServerLoop::mark_late(io::Conn conn, Connection& connection) {
  if (std::exchange(connection.late, true)) return;
  late_.push_back({loop_->uptime() + limits::kLateSend, conn});
  if (late_.size() == 1) loop_->after(limits::kLateSend, [this] { mark_due(); });
}

void ServerLoop::mark_due() {
  while (!late_.empty() && (held_ || late_.front().due <= loop_->uptime())) {
    const io::Conn conn = late_.front().conn;
    late_.pop_front();
    Connection* connection = find(conn);
    if (connection == nullptr || !std::exchange(connection->late, false)) continue;
    mark(conn, *connection);
  }
  if (late_.empty()) return;
  loop_->after(late_.front().due - loop_->uptime(), [this] { mark_due(); });
}

void ServerLoop::on_closed(io::Conn conn, io::CloseReason reason) {
  Connection& connection = connections_[conn.index];
  if (connection.state == Connection::State::kHandshake) {
    ++counts_.connects[static_cast<std::size_t>(ConnectResult::kGone)];
  }
  --shared_.connections;
  const bool told = connection.told;
  if (told) {
    const bool decided_here = connection.state == Connection::State::kClosing;
    const EndReason why = decided_here ? connection.reason : reason_of(reason);
    ++counts_.ends[static_cast<std::size_t>(why)];
  }
  connection = {};
  if (told) tell([&](Env& env) { shard_.on_closed(session_of(conn), env, outputs_); });
}

void ServerLoop::on_turn_end() {
  observe_delay();
  take_handshakes();
  take_own_messages();
  if (!hungry_.empty()) loop_->post([this] { take_hungry(); });
  account_for_work();
  if (!jobs_.empty()) shared_.store->submit(std::exchange(jobs_, {}));
  for (std::size_t i = 0; i < published_.size(); ++i) {
    if (i == shard_id_.value || published_[i].empty()) continue;
    shared_.loops[i]->take_messages(std::exchange(published_[i], {}));
  }
  for (const io::Conn conn : std::exchange(dirty_, {})) {
    Connection* connection = find(conn);
    if (connection == nullptr) continue;
    connection->dirty = false;
    if (connection->busy != nullptr && !connection->busy->unsent.empty()) flush(conn, *connection);
    if (connection->state == Connection::State::kClosing) tcp_.close(conn);
    connection->rest();
  }
  shrink(wire_);
  if (draining_ && tcp_.connections() == 0) {
    const std::lock_guard lock(mutex_);
    empty_ = true;
    emptied_.notify_all();
  }
}

// A long turn counts as what it took.
void ServerLoop::observe_delay() {
  Duration& at = delay_observed_;
  at = std::max(at, loop_->uptime() - kLongestTurn);
  const std::int64_t intervals = (loop_->uptime() - at).ms / limits::kShedInterval.ms;
  if (intervals == 0) return;
  at = at + limits::kShedInterval * intervals;
  shard_.observe_delay(intervals, loop_->take_delay());
}

// Before anything leaves: an answer must not be counted before its question.
void ServerLoop::account_for_work() {
  std::int64_t asked = std::exchange(codes_asked_, 0) + std::exchange(timers_set_, 0) +
                       static_cast<std::int64_t>(jobs_.size());
  for (std::size_t i = 0; i < published_.size(); ++i) {
    if (i != shard_id_.value) asked += static_cast<std::int64_t>(published_[i].size());
  }
  const auto own = static_cast<std::int64_t>(published_[shard_id_.value].size());
  asked += own - std::exchange(own_counted_, own);
  shared_.under_way += asked - std::exchange(work_done_, 0);
}

// What the shard publishes to itself needs no other thread, but must not starve the connections.
void ServerLoop::take_own_messages() {
  auto& own = published_[shard_id_.value];
  for (int round = 0; round < kOwnRounds && !own.empty(); ++round) {
    for (const Bytes& message : std::exchange(own, {})) {
      tell([&](Env& env) { shard_.on_bus(message, env, outputs_); });
    }
  }
  if (!own.empty()) loop_->post([] {});
}

void ServerLoop::take_messages(std::vector<Bytes> messages) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = inbox_.empty();
    for (Bytes& message : messages) {
      if (inbox_.size() < limits::kBusQueue) inbox_.push_back(std::move(message));
      else ++counters_.bus_dropped, --shared_.under_way;
    }
  }
  if (!first) return;
  loop_->post([this] {
    std::vector<Bytes> arrived;
    {
      const std::lock_guard lock(mutex_);
      arrived.swap(inbox_);
    }
    work_done_ += static_cast<std::int64_t>(arrived.size());
    for (const Bytes& message : arrived) {
      tell([&](Env& env) { shard_.on_bus(message, env, outputs_); });
    }
  });
}

void ServerLoop::take_reports(std::vector<StoreReport> reports) {
  loop_->post([this, reports = std::move(reports)]() mutable {
    work_done_ += static_cast<std::int64_t>(reports.size());
    for (StoreReport& report : reports) {
      tell([&](Env& env) {
        if (auto* written = std::get_if<Result<void>>(&report.result)) {
          shard_.on_written(report.token, *written, env, outputs_);
        } else {
          shard_.on_read(report.token, std::get<1>(std::move(report.result)), env, outputs_);
        }
      });
    }
  });
}

void ServerLoop::tick() {
  loop_->after(kTick, [this] { tick(); });
  if (held_) return publish_counters();
  tell([&](Env& env) { shard_.on_tick(env, outputs_); });
  end_overdue();
  publish_counters();
}

void ServerLoop::end_overdue() {
  while (!handshakes_.empty() && handshakes_.front().deadline <= loop_->uptime()) {
    const io::Conn conn = handshakes_.front().conn;
    handshakes_.pop_front();
    Connection* connection = find(conn);
    if (connection != nullptr && connection->state == Connection::State::kHandshake) {
      refuse(conn, *connection, ConnectResult::kTimeout);
    }
  }
  const auto now = static_cast<std::uint32_t>(loop_->uptime().ms / 1000);
  const auto idle = static_cast<std::uint32_t>(shared_.idle_timeout.ms / 1000);
  const std::uint32_t part = connections_.size() / kIdleSweep + 1;
  for (std::uint32_t i = 0; i < part && i < connections_.size(); ++i) {
    idle_cursor_ = (idle_cursor_ + 1) % connections_.size();
    Connection& connection = connections_[idle_cursor_];
    if (connection.state == Connection::State::kOpen && now - connection.heard > idle) {
      end({idle_cursor_, connection.generation}, connection, EndReason::kIdle);
    }
  }
}

void ServerLoop::publish_counters() {
  counts_.shard = shard_.counters();
  counts_.connections = tcp_.connections();
  counts_.ticked = loop_->uptime();
  const std::lock_guard lock(mutex_);
  const std::uint64_t dropped = counters_.bus_dropped;
  counters_ = counts_;
  counters_.connects[static_cast<std::size_t>(ConnectResult::kRefused)] += tcp_.refused();
  counters_.bus_dropped = dropped;
}

LoopCounters ServerLoop::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

}  // namespace godwit::runtime
