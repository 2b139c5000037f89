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
#include "runtime/successor.h"

namespace godwit::runtime {

struct UpgradeReport {
  int process = 0;  // the new one; -1: it took over, and has ended since
  std::uint64_t pause_us = 0;  // in which nobody was served
  std::string version;
};

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

  // What a new process gets from the program around this.
  struct Offering {
    std::string listen;  // as configured
    std::string http;
    int data_lock = -1;  // a descriptor
  };
  // Hands everything over to a new process of `program`. After success this process must end at
  // once, without destructors: what it still holds is the other's. After an error all is as before,
  // and clients have noticed nothing but a pause. Any thread; kConflict: one is under way.
  ports::Opened<UpgradeReport> upgrade(const Program& program, Offering offering);

  // The new process, which met its predecessor: serves when it returns. `open_store` is called when
  // the old one has closed the store. An error: the old one goes on, and this one must end.
  using OpenStore = std::function<ports::Opened<ports::Store*>()>;
  static ports::Opened<std::unique_ptr<ServerRuntime>> succeed(Options options,
                                                               ports::Gateway& gateway,
                                                               Predecessor& predecessor,
                                                               OpenStore open_store);
  // As listen_http(), with the predecessor's listener.
  Result<io::Address> take_http(int listener);
  const std::string& clients() const { return clients_; }
  std::uint64_t pause_us() const { return shared_.pause_us; }

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
  ServerRuntime(ServerIdentity identity, const Spread& spread);
  static Result<std::unique_ptr<ServerRuntime>> build(const Options& options, ports::Store* store,
                                                      ServerIdentity identity, const Spread& spread,
                                                      ports::Gateway& gateway);
  void use(ports::Store& store);
  bool alive() const;
  std::string_view not_ready() const;
  void keep();

  // server_upgrade.cc
  ports::Opened<UpgradeReport> hand_over(Successor& successor, Ownership& ownership,
                                         const Offering& offering);
  Result<void> offer(Successor& successor, const Ownership& ownership, const Offering& offering);
  Result<void> come_to_rest();
  void own_all();
  Result<void> take_over(Predecessor& predecessor);
  Result<void> check_health();

  ports::Store* store_ = nullptr;  // null while the predecessor has it
  std::string clients_;  // the address that is listened on
  const Spread spread_;
  ServerShared shared_;
  std::unique_ptr<io::HttpServer> http_;
  std::atomic<bool> serving_ = false;

  std::mutex upgrade_mutex_;  // guards what follows: one upgrade at a time
  std::uint64_t paused_at_us_ = 0;
  bool store_released_ = false;

  std::mutex mutex_;  // guards what follows
  std::condition_variable ending_wake_;
  bool ending_ = false;
  std::thread keeper_;
};

}  // namespace godwit::runtime
