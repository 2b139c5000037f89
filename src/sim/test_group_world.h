// GroupWorld: phones and one server in a test, real engines and a real shard, for what happens
// between more than two. Nothing is lost or late unless a test says so.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <set>

#include "client/engine.h"
#include "client/history.h"
#include "ports/memory_store.h"
#include "proto/frame.h"
#include "proto/group_state.h"
#include "server/shard.h"

namespace godwit::sim {

using client::Engine;

class GroupWorld : public testing::Test {
 protected:
  struct Phone {
    std::uint32_t index = 0;
    std::string number;
    server::PeerKey peer{};
    ports::MemoryStore store;
    std::unique_ptr<Engine> engine;
    SessionId session;
    std::vector<client::Event> told;
    std::deque<client::Effect> effects;
    std::deque<proto::Frame> frames;
    bool reachable = true;
  };

  // What lives in memory is what a restart would load.
  void TearDown() override {
    for (const auto& phone : phones) {
      ports::MemoryStore live;
      const ports::Batch dump = phone->engine->dump();
      ASSERT_TRUE(live.write({&dump, 1}, ports::Durability::kSafe));
      for (const ports::Space space : Engine::hydrated_spaces()) {
        const auto want = *phone->store.scan({Engine::partition(), space, {}, {}});
        const auto have = *live.scan({Engine::partition(), space, {}, {}});
        ASSERT_EQ(want.size(), have.size()) << phone->number << ports::space_name(space);
        for (std::size_t i = 0; i < want.size(); ++i) {
          ASSERT_EQ(to_hex(want[i].key), to_hex(have[i].key)) << ports::space_name(space);
          ASSERT_EQ(to_hex(want[i].value), to_hex(have[i].value)) << to_hex(want[i].key);
        }
      }
    }
  }
  void SetUp() override { shard = std::make_unique<server::Shard>(config()); }
  server::ShardConfig config() { return {{0}, &placement, {}}; }

  template <typename Verb>
  auto run(Phone& phone, Verb verb) {
    Env env{now, entropy};
    client::Effects out;
    auto result = verb(*phone.engine, env, out);
    queue(phone, std::move(out));
    settle();
    return result;
  }
  Phone& enroll(std::uint16_t n, std::string number = {}) {
    phones.push_back(std::make_unique<Phone>());
    Phone& phone = *phones.back();
    phone.index = static_cast<std::uint32_t>(phones.size() - 1);
    phone.number = number.empty() ? "+336123456" + std::to_string(10 + n) : number;
    phone.peer[0] = static_cast<std::uint8_t>(n);
    phone.peer[1] = static_cast<std::uint8_t>(n >> 8);
    load(phone);
    (void)run(phone, [&](Engine& e, Env& at, client::Effects& out) {
      return e.request_code(phone.number, at, out);
    });
    (void)run(phone, [&](Engine& e, Env& at, client::Effects& out) {
      return e.register_account(phone.number, code, at, out);
    });
    EXPECT_TRUE(phone.engine->registered());
    return phone;
  }
  void load(Phone& phone) {
    std::vector<Engine::Snapshot> snapshots;
    for (const ports::Space space : Engine::hydrated_spaces()) {
      snapshots.push_back({space, *phone.store.scan({Engine::partition(), space, {}, {}})});
    }
    auto engine = Engine::load(std::move(snapshots));
    ASSERT_TRUE(engine) << engine.error().text;
    phone.engine = std::move(*engine);
  }
  // The device stops and starts.
  void restart(Phone& phone) {
    hang_up(phone);
    phone.effects.clear();
    load(phone);
    settle();
  }
  void hang_up(Phone& phone) {
    if (phone.session.value == 0) return;
    const SessionId gone = std::exchange(phone.session, {});
    phone.frames.clear();
    tell([&](server::Shard& s, Env& env, server::Outputs& out) { s.on_closed(gone, env, out); });
  }
  // The server dies and starts again.
  void crash_server() {
    outputs.clear();
    placement = server::Placement(1, ++incarnation);
    shard = std::make_unique<server::Shard>(config());
    for (auto& phone : phones) {
      if (std::exchange(phone->session, {}).value == 0) continue;
      phone->frames.clear();
      act(*phone, [](Engine& e, Env& env, client::Effects& out) { e.on_disconnected(env, out); });
    }
    settle();
  }
  void settle() {
    for (bool any = true; any;) {
      any = step_server();
      for (auto at = busy.begin(); at != busy.end();) {
        const bool done = !step(*phones[*at]);
        any = any || !done;
        at = done ? busy.erase(at) : std::next(at);
      }
    }
  }
  void pass(Duration span) {
    for (const Instant end = now + span; now < end; now = now + seconds(1)) {
      tell([](server::Shard& s, Env& env, server::Outputs& out) { s.on_tick(env, out); });
      for (auto& phone : phones) {
        if (phone->engine->deadline() > now) continue;
        act(*phone, [](Engine& e, Env& env, client::Effects& out) { e.on_tick(env, out); });
      }
      settle();
    }
  }

  GroupId create(Phone& by, const std::string& name, std::vector<Phone*> others) {
    const auto id = run(by, [&](Engine& e, Env& at, client::Effects& out) {
      return e.create_group(name, at, out);
    });
    for (Phone* other : others) EXPECT_TRUE(change(by, *id, Engine::GroupAct::kAdd, other));
    return *id;
  }
  Result<void> change(Phone& by, GroupId id, Engine::GroupAct act, Phone* whom) {
    return run(by, [&](Engine& e, Env& at, client::Effects& out) {
      return e.change_group(id, act, whom ? whom->number : "", at, out);
    });
  }
  Result<MessageId> say(Phone& by, GroupId id, const std::string& text) {
    return run(by, [&](Engine& e, Env& at, client::Effects& out) {
      return e.send(id, {.body = text}, {}, at, out);
    });
  }
  // What a person was shown of a group, in order.
  std::vector<std::string> shown(const Phone& phone, GroupId id) {
    std::vector<std::string> out;
    for (const auto& event : phone.told) {
      const auto* got = std::get_if<client::MessageReceived>(&event);
      if (got && got->message.chat == client::ChatId(id)) out.push_back(got->message.text);
    }
    return out;
  }
  template <typename T>
  std::vector<T> events(const Phone& phone) {
    std::vector<T> out;
    for (const auto& event : phone.told) {
      if (const T* one = std::get_if<T>(&event)) out.push_back(*one);
    }
    return out;
  }
  client::GroupView view(const Phone& phone, GroupId id) {
    for (auto& group : phone.engine->groups()) {
      if (group.id == id) return group;
    }
    return {};
  }
  void expect_agreement(GroupId id, std::vector<Phone*> members) {
    for (Phone* phone : members) {
      const auto seen = view(*phone, id);
      EXPECT_EQ(seen.digest, view(*members[0], id).digest) << phone->number;
      EXPECT_EQ(seen.members.size(), members.size());
      EXPECT_TRUE(seen.member);
      EXPECT_TRUE(events<client::GroupRefused>(*phone).empty());
    }
  }

  // What a person does while everything else goes on.
  template <typename Verb>
  void act(Phone& phone, Verb verb) {
    Env env{now, entropy};
    client::Effects out;
    verb(*phone.engine, env, out);
    queue(phone, std::move(out));
  }

  std::function<bool(proto::Frame&)> from_server;  // false: lost; it may be altered
  // An error: the server answers with it, and hears of nothing.
  std::function<std::optional<proto::ErrorBody>(const proto::Frame&)> refuses;
  std::function<bool(const client::Event&)> remembers;  // false: not in Phone::told
  std::vector<std::unique_ptr<Phone>> phones;
  ports::MemoryStore store;

 private:
  void queue(Phone& phone, client::Effects effects) {
    for (auto& effect : effects) phone.effects.push_back(std::move(effect));
    busy.insert(phone.index);
  }
  template <typename Tell>
  void tell(Tell what) {
    Env env{now, entropy};
    server::Outputs out;
    what(*shard, env, out);
    for (auto& output : out) outputs.push_back(std::move(output));
  }
  bool step_server() {
    if (outputs.empty()) return false;
    server::Output output = std::move(outputs.front());
    outputs.pop_front();
    if (auto* write = std::get_if<server::Write>(&output)) {
      const auto done = store.write({&write->batch, 1}, ports::Durability::kSafe);
      tell([&](auto& s, Env& env, auto& out) { s.on_written(write->token, done, env, out); });
    } else if (auto* read = std::get_if<server::Read>(&output)) {
      tell([&](auto& s, Env& env, auto& out) {
        s.on_read(read->token, store.scan(read->scan), env, out);
      });
    } else if (auto* send = std::get_if<server::Send>(&output)) {
      proto::FrameReader reader;
      EXPECT_TRUE(reader.feed(*send->frame));
      auto frame = **reader.next();
      if (from_server && !from_server(frame)) return true;
      Phone& phone = *phones[owners.at(send->session.value)];
      if (phone.session != send->session) return true;
      phone.frames.push_back(std::move(frame));
      busy.insert(phone.index);
    } else if (auto* call = std::get_if<server::SendCode>(&output)) {
      code = call->code;
      tell([&](auto& s, Env& env, auto& out) { s.on_code_sent(call->token, {}, env, out); });
    }
    return true;
  }
  bool step(Phone& phone) {
    if (!phone.effects.empty()) {
      client::Effect effect = std::move(phone.effects.front());
      phone.effects.pop_front();
      perform(phone, effect);
      return true;
    }
    if (phone.frames.empty()) return false;
    proto::Frame frame = std::move(phone.frames.front());
    phone.frames.pop_front();
    act(phone, [&](Engine& e, Env& env, auto& out) { e.on_frame(std::move(frame), env, out); });
    return true;
  }
  void perform(Phone& phone, client::Effect& effect) {
    if (auto* commit = std::get_if<client::Commit>(&effect)) {
      EXPECT_TRUE(phone.store.write({&commit->batch, 1}, ports::Durability::kSafe));
    } else if (auto* send = std::get_if<client::SendFrame>(&effect)) {
      if (const auto error = refuses ? refuses(send->frame) : std::nullopt) {
        phone.frames.push_back(proto::make_frame(proto::Kind::kError, send->frame.id, *error));
        return;
      }
      tell([&](auto& s, Env& env, auto& out) { s.on_frame(phone.session, send->frame, env, out); });
    } else if (std::holds_alternative<client::Connect>(effect)) {
      if (!phone.reachable) {
        return act(phone, [](Engine& e, Env& env, auto& out) { e.on_disconnected(env, out); });
      }
      phone.session = {++sessions};
      owners[sessions] = phone.index;
      tell([&](auto& s, Env& env, auto& out) { s.on_open(phone.session, phone.peer, env, out); });
      act(phone, [](Engine& e, Env& env, auto& out) { e.on_connected(env, out); });
    } else if (std::holds_alternative<client::Disconnect>(effect)) {
      hang_up(phone);
      act(phone, [](Engine& e, Env& env, auto& out) { e.on_disconnected(env, out); });
    } else if (auto* notify = std::get_if<client::Notify>(&effect)) {
      if (!remembers || remembers(notify->event)) phone.told.push_back(std::move(notify->event));
    }
  }

  Instant now{1'000'000'000};
  SeededEntropy entropy{5};
  std::uint32_t incarnation = 1;
  server::Placement placement{1, incarnation};
  std::unique_ptr<server::Shard> shard;
  std::deque<server::Output> outputs;
  std::set<std::uint32_t> busy;  // phones with something to do
  std::uint64_t sessions = 0;
  std::map<std::uint64_t, std::uint32_t> owners;  // phones, by session
  std::string code;
};

}  // namespace godwit::sim
