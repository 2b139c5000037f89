#include "client/connection.h"

#include <algorithm>

#include "base/check.h"

namespace godwit::client {

Duration clamped(Duration retry_after) {
  return std::clamp(retry_after, Duration{0}, limits::kMaxRetryAfter);
}

void Connection::pump(Turn& turn) {
  if (phase_ != Phase::kOffline || !wanted_ || next_try_ > turn.env.now) return;
  phase_ = Phase::kConnecting;
  if (backoff_.tries() != 0) ++reconnects_;
  turn.after.emplace_back(Connect{line_});
}

void Connection::on_connected(Turn& turn) {
  if (phase_ == Phase::kGivenUp) return;
  phase_ = Phase::kOpen;
  quiet_since_ = turn.env.now;
}

void Connection::on_attached(Turn& turn) {
  phase_ = Phase::kAttached;
  pinged_ = turn.env.now;
  keepalive_.begin(backoff_.tries() <= 1, turn.env.now);
  backoff_.reset();
  told_online_ = true;
  turn.notify(ConnectionChanged{true, {}});
}

void Connection::on_disconnected(Turn& turn) {
  requests_.clear();
  if (phase_ != Phase::kGivenUp) {
    phase_ = Phase::kOffline;
    next_try_ = turn.env.now + std::max(backoff_.next(turn.env.entropy), retry_after_);
  }
  if (line_ == Line::kOwn && (told_online_ != false || !reason_.empty())) {
    if (reason_.empty()) {
      reason_ = told_online_ ? "the connection was lost" : "the server could not be reached";
    }
    turn.notify(ConnectionChanged{false, std::move(reason_)});
  }
  told_online_ = false;
  reason_.clear();
  retry_after_ = {};
}

void Connection::ask(Request request, Bytes body, Turn& turn) {
  CHECK(open());
  const std::uint64_t id = next_id_++;
  request.deadline = turn.env.now + limits::kRequestTimeout;
  turn.after.emplace_back(SendFrame{{request.kind, id, std::move(body)}, line_});
  if (line_ == Line::kNameless) quiet_since_ = turn.env.now;
  requests_.emplace(id, std::move(request));
}

void Connection::tell(proto::Kind kind, Bytes body, Turn& turn) {
  if (open()) turn.after.emplace_back(SendFrame{{kind, 0, std::move(body)}, line_});
}

std::optional<Request> Connection::answered(std::uint64_t id) {
  const auto found = requests_.find(id);
  if (found == requests_.end()) return std::nullopt;
  Request request = std::move(found->second);
  requests_.erase(found);
  if (line_ == Line::kNameless) backoff_.reset();
  if (request.kind == proto::Kind::kPing) keepalive_.answered();
  return request;
}

void Connection::drop(std::string reason, Turn& turn, Duration retry_after) {
  if (!open()) return;
  phase_ = Phase::kClosing;
  reason_ = std::move(reason);
  retry_after_ = clamped(retry_after);
  turn.after.emplace_back(Disconnect{line_});
}

void Connection::give_up(std::string reason, Turn& turn) {
  drop(std::move(reason), turn);
  phase_ = Phase::kGivenUp;
}

bool Connection::on_tick(Turn& turn) {
  if (!open()) return false;
  if (!requests_.empty() && requests_.begin()->second.deadline <= turn.env.now) {
    if (requests_.begin()->second.kind == proto::Kind::kPing) keepalive_.unanswered();
    drop("the server did not answer in time", turn);
    return false;
  }
  if (next_ping() > turn.env.now) return false;
  if (line_ == Line::kNameless && requests_.empty()) {
    want(false);
    drop({}, turn);
    return false;
  }
  if (!attached()) return false;
  quiet_since_ = pinged_ = turn.env.now;
  return true;
}

void Connection::on_clock_set_back(Instant now) {
  next_try_ = std::min(next_try_, now + limits::kBackoffMax);
  quiet_since_ = std::min(quiet_since_, now);
  pinged_ = std::min(pinged_, now);
  for (auto& [id, request] : requests_) {
    request.deadline = std::min(request.deadline, now + limits::kRequestTimeout);
  }
}

Instant Connection::deadline() const {
  if (phase_ == Phase::kOffline) return wanted_ ? next_try_ : kNever;
  if (!open()) return kNever;
  const bool idles = line_ == Line::kNameless && requests_.empty();
  const Instant ping = attached() || idles ? next_ping() : kNever;
  return requests_.empty() ? ping : std::min(ping, requests_.begin()->second.deadline);
}

Duration Connection::patience() const {
  return line_ == Line::kOwn ? keepalive_.interval() : limits::kNamelessIdle;
}

Instant Connection::next_ping() const {
  const Instant quiet = quiet_since_ + patience();
  return attached() && line_ == Line::kOwn ? std::min(quiet, pinged_ + limits::kPingMost) : quiet;
}

bool Connection::busy() const {
  return std::ranges::any_of(
      requests_, [](const auto& entry) { return entry.second.kind != proto::Kind::kPing; });
}

}  // namespace godwit::client
