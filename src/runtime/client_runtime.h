// ClientRuntime: the keeper of one client engine: its store, its connection, its clock.
//
// It performs the engine's effects by the commit rule. What the events of one turn ask for is
// gathered; their Commits become one durable write; only then the rest happens, in order. When the
// write fails the rest is dropped, the engine is loaded anew from the store, and the listener is
// told: nothing that was not stored was ever sent or shown.
//
// A second connection, for what is sealed, proves a key that is made for it and thrown away.
//
// Its own rows lie in its own partition: the device's Noise key, the pinned server key, the
// server's address. One thread: the loop's.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/backoff.h"
#include "client/engine.h"
#include "runtime/server_link.h"

namespace godwit::runtime {

class ClientRuntime final : private io::Source, private ServerLink::Owner {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void on_event(const client::Event& event) = 0;
    // Everything that was asked for before is now stored.
    virtual void on_committed() = 0;
    // Everything that was asked for since the last on_committed() did not happen.
    virtual void on_commit_failed(Error error) = 0;
    // A try to connect failed, or the connection went; see link_fault().
    virtual void on_link_failed() = 0;
    // The store cannot be read any more: the runtime is of no further use.
    virtual void on_store_lost(Error error) = 0;
  };
  enum class Link : std::uint8_t { kOffline, kConnecting, kOnline };

  // Loads the engine; makes the device's key at first use. `store` outlives the runtime.
  static Result<std::unique_ptr<ClientRuntime>> open(io::Loop& loop, ports::Store& store,
                                                     Entropy& entropy, Listener& listener);
  ~ClientRuntime() override;

  // Runs `command(engine, env, effects)`; its effects are performed at the end of this turn.
  template <typename Command>
  auto act(Command command) {
    Env env{loop_.now(), entropy_};
    wake();
    return command(*engine_, env, effects_);
  }
  const client::Engine& engine() const { return *engine_; }
  ports::Store& store() { return store_; }
  io::Loop& loop() { return loop_; }

  // Until this is called nothing is sent and nobody is connected to.
  void go_online();

  // The server to use from now on. Saved with the profile by save_server().
  void use_server(const std::string& host_and_port);
  Result<void> save_server();
  const std::string& server() const { return server_; }
  // Trust whatever key the server shows at the next connection.
  void accept_server_key();

  Link link() const;
  LinkFault link_fault() const { return fault_; }
  const std::string& link_reason() const { return reason_; }  // of the fault, in words

 private:
  ClientRuntime(io::Loop& loop, ports::Store& store, Entropy& entropy, Listener& listener);

  void on_ready(std::uint32_t, std::uint32_t, std::uint32_t) override {}
  void on_turn_end() override;
  void on_link_up(const crypto::CurvePoint& server) override;
  void on_link_frame(proto::Frame frame) override;
  void on_link_down(LinkFault fault, std::string reason) override;

  // The engine's other connection, which shows a new key each time and nothing of this device.
  struct Nameless final : ServerLink::Owner {
    explicit Nameless(ClientRuntime& runtime);
    void on_link_up(const crypto::CurvePoint& server) override;
    void on_link_frame(proto::Frame frame) override;
    void on_link_down(LinkFault fault, std::string reason) override;
    ClientRuntime& runtime;
    ServerLink link;
  };

  Result<void> load_engine();
  Result<void> load_own_rows();
  Result<void> write_own_row(std::string_view key, Bytes value);
  void expire();
  void perform(client::Effects effects);
  void perform_one(client::Effect& effect);
  void recover(Error error);
  void open_link();
  void open_nameless();
  void wake();
  void arm_timer();

  io::Loop& loop_;
  ports::Store& store_;
  Entropy& entropy_;
  Listener& listener_;
  ServerLink link_;
  Nameless nameless_;
  std::unique_ptr<client::Engine> engine_;
  client::Effects effects_;  // of this turn
  crypto::KeyPair device_key_;
  std::optional<crypto::CurvePoint> pinned_;
  std::string pinned_server_;  // the address at which the pinned key was learnt
  std::string server_;
  LinkFault fault_ = LinkFault::kNone;
  std::string reason_;
  bool online_wanted_ = false;
  bool woken_ = false;
  bool lost_ = false;
  Backoff after_failure_;  // a full disk is not hammered
  Instant not_before_;
  io::Loop::TimerId timer_ = 0;
};

}  // namespace godwit::runtime
