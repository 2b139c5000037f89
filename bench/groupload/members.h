// Members: everybody in a group but the writer, as connections without an engine.
//
// They share one set of keys, of which only the public halves matter: what is encrypted for them
// is acknowledged and dropped. Messages are recognised by their envelopes' ids.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "apps/loadgen/crowd.h"

namespace groupload {

class Members {
 public:
  Members(const std::string& server, const std::string& codes);
  ~Members();

  // Users 0 to `count` - 1 get accounts and connections. An error's text; empty: done.
  std::string gather(std::uint32_t count);
  // Any thread: a message leaves now. Those of before are forgotten at forget().
  void leaves(godwit::EnvelopeId id);
  void forget();

  struct Sum {
    std::uint64_t deliveries = 0;
    double p50_ms = 0, p99_ms = 0;
  };
  // From when a message left to when a member had it. Any thread.
  Sum sum() const;

 private:
  void sees(const godwit::proto::Envelope& envelope, std::int64_t now);

  godwit::loadgen::Scene scene_;
  std::vector<std::unique_ptr<godwit::loadgen::Crowd>> crowds_;
  mutable std::mutex mutex_;  // guards what follows
  std::map<godwit::EnvelopeId, std::int64_t> left_;  // microseconds
  std::uint64_t deliveries_ = 0;
  godwit::loadgen::Latencies latencies_;
};

std::int64_t now_us();

}  // namespace groupload
