#include "client/lookups.h"

#include <algorithm>

namespace godwit::client {

void Lookups::want(const std::string& phone) {
  if (wanted_.insert(phone).second) queue_.push_back(phone);
}

void Lookups::want_fresh(const std::string& phone) {
  if (asked_.contains(phone)) doubted_.insert(phone);
  want(phone);
}

bool Lookups::settle(const std::string& phone) {
  if (doubted_.erase(phone) == 0) {
    forget(phone);
    return true;
  }
  asked_.erase(phone);
  queue_.push_front(phone);
  return false;
}

void Lookups::pump(Turn& turn) {
  if (!connection_.attached() || retry_at_ > turn.env.now) return;
  while (!queue_.empty() && asked_.size() < limits::kLookupsInFlight) {
    const std::string phone = std::move(queue_.front());
    queue_.pop_front();
    if (!wanted_.contains(phone) || !asked_.insert(phone).second) continue;
    connection_.ask({.kind = proto::Kind::kLookup, .phone = phone}, encode(proto::Lookup{phone}),
                    turn);
  }
}

void Lookups::forget(const std::string& phone) {
  wanted_.erase(phone);
  asked_.erase(phone);
  doubted_.erase(phone);
}

void Lookups::postpone(const std::string& phone, Duration retry_after, Turn& turn) {
  asked_.erase(phone);
  doubted_.erase(phone);
  if (!wanted_.contains(phone)) return;
  queue_.push_back(phone);
  retry_at_ = turn.env.now + std::max(clamped(retry_after), backoff_.next(turn.env.entropy));
}

void Lookups::on_disconnected() {
  for (const std::string& phone : asked_) queue_.push_front(phone);
  asked_.clear();
  doubted_.clear();
}

}  // namespace godwit::client
