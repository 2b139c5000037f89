// ServerRuntime: a whole server in one process: loops with their shards, the threads that may
// block, health and metrics. apps/godwitd and tests start it; it knows no adapter.
//
// A connection takes a descriptor, and a table of descriptors holds as many as the limit of open
// files says. When more are asked for than one table holds, each loop has a table of its own, and
// there are as many loops as it takes. Otherwise they share one and there is one per core.
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
    std::uint16_t threads = 0;          // 0: one per core
    std::uint32_t max_connections = 0;  // 0: as many as one table of descriptors holds
    Duration handshake_timeout = limits::kHandshakeTimeout;
    Duration idle_timeout = limits::kIdleTimeout;
    Duration write_behind = limits::kWriteBehind;
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
  // How the connections are spread over loops and tables of descriptors.
  struct Spread {
    std::uint16_t loops = 1;
    bool own_tables = false;
    std::uint32_t per_loop = UINT32_MAX;
    std::uint32_t in_all = UINT32_MAX;
  };
  static Spread spread(const Options& options, std::uint32_t table);
  ServerRuntime(ports::Store& store, ServerIdentity identity, const Spread& spread);
  bool alive() const;
  std::string_view not_ready() const;
  void keep();

  ports::Store& store_;
  const Spread spread_;
  ServerShared shared_;
  std::unique_ptr<io::HttpServer> http_;
  std::atomic<bool> serving_ = false;

  std::mutex mutex_;  // guards what follows
  std::condition_variable ending_wake_;
  bool ending_ = false;
  std::thread keeper_;
};

}  // namespace godwit::runtime
