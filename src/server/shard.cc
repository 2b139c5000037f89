#include "server/shard.h"

#include <utility>

#include "server/shard_state.h"

namespace godwit::server {
namespace {

// Entities looked at for whether they are needed: enough per event for more than it can load.
constexpr std::size_t kVisitsPerEvent = 4;
constexpr std::size_t kVisitsPerTick = 1024;

}  // namespace

Shard::Shard(ShardConfig config) : state_(std::make_unique<State>(config)) {}
Shard::~Shard() = default;

const Counters& Shard::counters() const {
  state_->counters.sessions = state_->sessions.size();
  state_->counters.entities = state_->hosts.size();
  state_->counters.sleeping = state_->dormant.size();
  return state_->counters;
}

void Shard::on_open(SessionId session, const PeerKey& peer, Env&, Outputs&) {
  state_->sessions.try_emplace(session, SessionAddress{state_->config.id, session}, peer);
}

void Shard::on_frame(SessionId session, proto::Frame frame, Env& env, Outputs& out) {
  Session* found = state_->sessions.find(session);
  if (found == nullptr) return;
  if (state_->sheds(frame)) {
    out.push_back(Send{session, State::busy_frame(frame.id), true});
    return;
  }
  Effects effects;
  found->on_frame(std::move(frame), state_->config.pepper, env.now, effects);
  state_->perform(session, std::move(effects), out);
  state_->settle(kVisitsPerEvent, env, out);
}

void Shard::observe_delay(std::int64_t intervals, std::optional<Duration> delay) {
  for (; intervals > 0; --intervals) state_->shedding.elapse();
  if (delay) state_->shedding.observe(*delay);
}

void Shard::on_closed(SessionId session, Env& env, Outputs& out) {
  Session* found = state_->sessions.find(session);
  if (found == nullptr) return;
  Effects effects;
  found->on_closed(effects);
  state_->sessions.erase(session);
  state_->perform(session, std::move(effects), out);
  state_->settle(kVisitsPerEvent, env, out);
}

void Shard::on_bus(ByteView message, Env& env, Outputs& out) {
  auto decoded = decode<Message>(message);
  if (!decoded) return;
  if (state_->sheds(*decoded)) state_->refuse_busy(*decoded, out);
  else state_->post(std::move(*decoded), out);
  state_->settle(kVisitsPerEvent, env, out);
}

void Shard::on_written(Token token, Result<void> result, Env& env, Outputs& out) {
  State::Use use;
  State::Host* found = state_->redeem(token, use);
  if (found == nullptr) return;
  State::Host& host = *found;
  state_->commit_took = env.now - use.since;
  host.committing = false;
  // R4: acknowledged only if the lease is still valid after the write returned.
  const Lease lease = state_->config.placement->lease(slot_of(use.address.key));
  if (result && lease.valid(env.now)) {
    state_->pump(use.address, host, env.now, out);
  } else {
    state_->forget(use.address, host, out);
  }
  state_->settle(kVisitsPerEvent, env, out);
}

void Shard::on_read(Token token, Result<std::vector<ports::Row>> rows, Env& env, Outputs& out) {
  if (token == state_->fanouts_asked) {
    if (rows) state_->wake_groups(*rows, out);
    else state_->fanouts_asked = 0;
    return state_->settle(kVisitsPerEvent, env, out);
  }
  State::Use use;
  State::Host* found = state_->redeem(token, use);
  if (found == nullptr) return;
  State::Host& host = *found;
  if (!rows) {
    state_->forget(use.address, host, out);
  } else if (host.entity) {
    Effects effects;
    host.entity->on_rows(std::move(*rows), env, effects);
    state_->perform(use.address, host, std::move(effects), env, out);
  } else {
    host.rows[use.load_step] = std::move(*rows);
    if (--host.rows_missing == 0) state_->loaded(use.address, host, env, out);
  }
  state_->settle(kVisitsPerEvent, env, out);
}

void Shard::on_code_sent(Token token, Result<void> result, Env& env, Outputs& out) {
  State::Use use;
  state_->redeem(token, use);
  if (use.dialled_request == 0) return;
  Message asked;
  asked.session = use.dialled;
  asked.request = use.dialled_request;
  Post reply =
      result ? reply_to(asked, proto::ok_frame(asked.request)) : refuse(asked, result.error());
  state_->post(std::move(reply.message), out);
  state_->settle(kVisitsPerEvent, env, out);
}

void Shard::on_timer(Env& env, Outputs& out) {
  state_->wake_some(env, out);
  state_->settle(env, out);
}

void Shard::on_tick(Env& env, Outputs& out) {
  if (state_->fanouts_asked == 0) state_->ask_for_fanouts(out);
  state_->settle(kVisitsPerTick, env, out);
}

void Shard::drain(Env&, Outputs& out) {
  static constexpr Error kStopping{Code::kUnavailable, "the server is restarting: reconnect"};
  for (const SessionId id : state_->sessions.keys()) {
    Effects effects;
    state_->sessions.find(id)->on_message(
        kick({state_->config.id, id}, kStopping, seconds(1)).message, effects);
    state_->perform(id, std::move(effects), out);
  }
}

}  // namespace godwit::server
