// Writer: a member of groups with all that a client is: engine, encrypted store, connection.
//
// Its thread does nothing else, so that its processor time is what a client takes.
#pragma once

#include <linux/tcp.h>

#include <functional>
#include <set>
#include <thread>
#include <vector>

#include "apps/loadgen/codes.h"
#include "bench/groupload/members.h"
#include "crypto/system_entropy.h"
#include "io/loop.h"
#include "runtime/client_runtime.h"

namespace groupload {

class Writer final : private godwit::runtime::ClientRuntime::Listener {
 public:
  // Keeps its store in `directory`.
  Writer(const std::string& server, const std::string& codes, const std::string& directory,
         Members& members);
  ~Writer() override;

  // What something took.
  struct Cost {
    double seconds = 0, cpu_seconds = 0;
    double engine_seconds = 0;  // of these the engine's, when it is told to say something
    std::uint64_t octets = 0;  // sent
  };
  // Each: an error's text; empty: done. First of all, once the members are connected:
  std::string enroll();
  // Makes a group with the first `others` members in it, and tells them how to read what it says.
  std::string found(std::uint32_t others, Cost& cost);
  // Says `count` messages to the last group, `rate` a second, until all of it was delivered.
  std::string speak(double rate, std::uint32_t count, std::size_t size, Cost& cost);

 private:
  void on_event(const godwit::client::Event& event) override;
  void on_committed() override;
  void on_commit_failed(godwit::Error error) override { fault_ = std::string(error.text); }
  void on_link_failed() override { fault_ = runtime_->link_reason(); }
  void on_store_lost(godwit::Error error) override { fault_ = std::string(error.text); }

  // Runs on the loop's thread, and waits for it.
  template <typename Task>
  auto ask(Task task);
  bool await(const std::function<bool()>& done);
  std::string wrong(const std::string& what);
  void say_next(std::uint32_t number);
  Cost present() const;
  static Cost since(const Cost& before, const Cost& now);

  Members& members_;
  godwit::loadgen::Codes codes_;
  std::unique_ptr<godwit::io::Loop> loop_;
  std::unique_ptr<godwit::ports::Store> store_;
  godwit::crypto::SystemEntropy entropy_;
  std::unique_ptr<godwit::runtime::ClientRuntime> runtime_;
  std::thread thread_;
  std::set<int> others_sockets_;  // of this process, before it connected

  // The loop's thread.
  std::string fault_;
  godwit::GroupId group_;
  std::uint32_t others_ = 0;
  std::vector<godwit::EnvelopeId> uncommitted_;
  double rate_ = 0;
  std::uint32_t count_ = 0, said_ = 0;
  std::size_t size_ = 0;
  std::int64_t began_ = 0;
  double engine_seconds_ = 0;
};

}  // namespace groupload
