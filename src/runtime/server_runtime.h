// ServerRuntime: a whole server in one process: loops with their shards, the threads that may
// block, health and metrics. apps/godwitd and tests start it; it knows no adapter.
//
// Threads: one per loop, the store's, the courier's, the keeper's (once a second: the store's
// clock, a probe after trouble; once an hour: expiry) and, when asked for, the HTTP server's.
#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "base/limits.h"
#include "io/http.h"
#include "runtime/server_identity.h"
#include "runtime/server_loop.h"

namespace godwit::runtime {

class ServerRuntime {
 public:
  struct Options {
    std::uint16_t threads = 0;      // 0: one per core
    std::uint32_t connections = 0;  // 0: as many as the limit of open files allows
    Duration handshake_timeout = limits::kHandshakeTimeout;
    Duration idle_timeout = limits::kIdleTimeout;
  };

  // Reads or makes the server's identity and counts the start. Serves nothing yet. `store` and
  // `gateway` outlive the runtime. Errors are the store's, or kIo: out of descriptors.
  static Result<std::unique_ptr<ServerRuntime>> create(Options options, ports::Store& store,
                                                       ports::Gateway& gateway);
  // Stops at once, if need be.
  ~ServerRuntime();
  ServerRuntime(const ServerRuntime&) = delete;
  ServerRuntime& operator=(const ServerRuntime&) = delete;

  // Both before start(). Errors as io::Tcp::listen; port 0 picks one, told by the result.
  Result<io::Address> listen(const io::Address& address);
  Result<io::Address> listen_http(const io::Address& address);
  void start();
  // Takes leave of the clients and waits for their connections to end, `grace` at most. Then
  // nothing of what was accepted is left undone. Once only.
  void stop(Duration grace);

  const crypto::CurvePoint& key() const { return shared_.key.public_key; }
  std::uint16_t threads() const { return static_cast<std::uint16_t>(shared_.loops.size()); }

  // Any thread. What the HTTP server answers.
  io::HttpAnswer answer(std::string_view path) const;
  std::string metrics() const;  // server_metrics.cc

 private:
  ServerRuntime(ports::Store& store, ServerIdentity identity, std::uint16_t threads);
  bool alive() const;
  std::string_view not_ready() const;
  void keep();

  ports::Store& store_;
  ServerShared shared_;
  std::unique_ptr<io::HttpServer> http_;
  std::atomic<bool> serving_ = false;

  std::mutex mutex_;  // guards what follows
  std::condition_variable ending_wake_;
  bool ending_ = false;
  std::thread keeper_;
};

}  // namespace godwit::runtime
