#include "runtime/client_runtime.h"

#include <gtest/gtest.h>

#include "crypto/system_entropy.h"
#include "ports/faulty_store.h"

namespace godwit::runtime {
namespace {

class ClientRuntimeTest : public testing::Test, private ClientRuntime::Listener {
 protected:
  ClientRuntimeTest() : loop_(std::move(*io::Loop::create())) { open(); }
  void open() {
    runtime_.reset();
    loop_ = std::move(*io::Loop::create());
    auto opened = ClientRuntime::open(*loop_, store_, entropy_, *this);
    ASSERT_TRUE(opened);
    runtime_ = std::move(*opened);
  }
  // A command that changes the store, and the turn that it leads to.
  void register_account() {
    said_.clear();
    const auto request = runtime_->act([](auto& engine, Env& env, auto& out) {
      return engine.register_account("+33612345678", "123456", env, out);
    });
    ASSERT_TRUE(request);
    turn();
  }
  void turn() {
    loop_->stop();
    loop_->run();
  }
  void on_event(const client::Event&) override { said_ += "event "; }
  void on_committed() override { said_ += "committed "; }
  void on_commit_failed(Error error) override {
    said_ += "failed:" + std::string(code_name(error.code)) + " ";
  }
  void on_link_failed() override { said_ += "link "; }
  void on_store_lost(Error) override { said_ += "lost "; }

  ports::FaultyStore store_;
  crypto::SystemEntropy entropy_;
  std::unique_ptr<io::Loop> loop_;
  std::unique_ptr<ClientRuntime> runtime_;
  std::string said_;
};

TEST_F(ClientRuntimeTest, NothingHappensWhenTheDiskIsFullAndAllIsWellAfterwards) {
  store_.set_full(true);
  register_account();
  EXPECT_EQ(said_, "failed:full ") << "no connection was asked for: its effect was dropped";
  store_.set_full(false);
  register_account();
  EXPECT_TRUE(said_.starts_with("committed ")) << said_;
}

TEST_F(ClientRuntimeTest, WhatWasCommittedSurvivesACrash) {
  const auto rows = [&] { return *store_.count(ports::Space::kProfile); };
  register_account();
  const auto before = rows();
  EXPECT_GT(before, 1U);
  store_.crash();
  EXPECT_EQ(rows(), before);
  open();
}

TEST_F(ClientRuntimeTest, TheDeviceKeyIsMadeOnce) {
  const auto key = [&] {
    return store_.get(to_bytes("runtime"), ports::Space::kMeta, view_of("device-key"))->value;
  };
  const Bytes first = key();
  EXPECT_EQ(first.size(), 32U);
  open();
  EXPECT_EQ(key(), first);
}

TEST_F(ClientRuntimeTest, TheServerIsRememberedWhenSaved) {
  runtime_->use_server("chat.example.org:7400");
  open();
  EXPECT_EQ(runtime_->server(), "");
  runtime_->use_server("chat.example.org:7400");
  ASSERT_TRUE(runtime_->save_server());
  open();
  EXPECT_EQ(runtime_->server(), "chat.example.org:7400");
}

}  // namespace
}  // namespace godwit::runtime
