// Lookups: numbers that the directory is to be asked for, in the order they were wanted.
//
// Not stored: who wants a number wants it again after a restart.
#pragma once

#include <deque>
#include <set>

#include "client/connection.h"

namespace godwit::client {

class Lookups {
 public:
  explicit Lookups(Connection& connection) : connection_(connection) {}

  void want(const std::string& phone);
  // Likewise; an answer that is under way already may be too old to say that there is nobody.
  void want_fresh(const std::string& phone);
  // Sends what may be sent now.
  void pump(Turn& turn);
  // The directory answered for good, or nobody wants to know any more.
  void forget(const std::string& phone);
  // It knows nobody of this number. False: it did when it was asked, and is asked again.
  bool settle(const std::string& phone);
  // It could not answer now: asked again later.
  void postpone(const std::string& phone, Duration retry_after, Turn& turn);
  void on_answer() { backoff_.reset(); }
  void on_disconnected();
  void on_clock_set_back() { retry_at_ = {}; }
  Instant deadline() const {
    const bool waits = !queue_.empty() && asked_.size() < limits::kLookupsInFlight;
    return waits ? retry_at_ : kNever;
  }

 private:
  Connection& connection_;
  std::set<std::string> wanted_;
  std::deque<std::string> queue_;  // of wanted_: not asked yet
  std::set<std::string> asked_;    // of wanted_: the answer is under way
  std::set<std::string> doubted_;  // of asked_: wanted since
  Instant retry_at_;               // for all: the server counts per account
  Backoff backoff_{limits::kBackoffFirst, limits::kBackoffMax};
};

}  // namespace godwit::client
