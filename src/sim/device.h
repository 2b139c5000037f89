// Device: one client process and its machine: an engine, the keeper of its commit rule, a disk, a
// wall clock that may be wrong, and the person who holds it. May die between any two effects.
#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "client/engine.h"
#include "e2e/sealed_sender.h"
#include "sim/disk.h"
#include "sim/life.h"

namespace godwit::sim {

class Device final : public Net::Client {
 public:
  Device(Life& life, DeviceIndex index, std::string phone);
  ~Device() override;

  // ---- the process
  void start();
  // Unless something else starts or kills it before.
  void start_in(Duration delay);
  void kill();
  // Dies before the `effects`-th effect from now, while it is about to perform it.
  void kill_after(std::uint32_t effects) { effects_to_live_ = effects; }
  bool running() const { return engine_ != nullptr; }
  // A new phone with the old number: nothing is kept; the person registers again.
  void reinstall();
  // Copies the disk, to be restored later.
  void back_up();
  // The process ends, and the disk is what it was at the last back_up(), if there was one.
  void restore();
  // The process ends, and about every other session is gone from the disk.
  void lose_sessions();
  // The wall clock jumps. A process sees it when it starts: while it runs it counts on from there.
  void turn_clock(Duration by);
  Disk& disk() { return disk_; }

  // ---- the person
  // Asks for a code and registers, as often as it takes, from now on.
  void want_account();
  void code_arrived(const std::string& code);
  // True once this device has been registered.
  bool registered() const { return running() ? engine_->registered() : registered_; }
  // Writes a text of at least `size` octets; false: not now.
  bool compose(const Device& to, std::size_t size);
  // Writes to a group, the number-th; `readers`: who is to read it.
  bool speak(GroupId group, std::uint32_t number, std::size_t size,
             std::vector<std::uint32_t> readers);
  // From now on some of what is written is a poll, or disappears.
  void grow_lively() { lively_ = true; }
  // Any text to any number. The message, or why it is refused.
  Result<MessageId> send(std::string_view phone, std::string_view text);
  void read_all(const Device& from);
  void read_all(client::ChatId chat);
  client::ChatId chat_with(const Device& other) const;
  // Does something with one of the newest messages of a chat, or tries to, as luck has it.
  // Whatever is passed on goes to `other`.
  void fiddle(client::ChatId chat, const Device& other);
  // What all sides of a chat must agree on, when they have the message: by message, in words.
  std::map<MessageId, std::string> acts_in(client::ChatId chat);
  // Anything else that the engine lets a person do; kUnavailable while the device is off.
  using Deed = std::function<Result<void>(client::Engine&, Env&, client::Effects&)>;
  Result<void> does(const Deed& deed);

  // ---- what it knows
  const std::string& phone() const { return phone_; }
  DeviceIndex index() const { return index_; }
  // A device that was restored has forgotten what it showed, and may show it again.
  Viewer viewer() const { return {index_, generation_ << 16 | restorations_}; }
  const ByteArray<32>& peer() const { return peer_; }
  UserId user() const { return user_; }
  // The identity key of the account on its disk; zeros: there is none.
  proto::IdentityKey identity();
  // The group as it sees it.
  client::GroupView view(GroupId group) const;
  // What is in a seal for this device, if it can take it off: for checkers.
  std::optional<e2e::SealedContent> unseal(ByteView sealed);
  // Nothing waits: not in the engine, not in its keeper.
  bool settled() const;
  // Every stored message, chat by chat, oldest first.
  std::vector<client::Message> history();
  // Tells the checkers what the history shows.
  void audit();
  // Adds what the running engine has counted to the statistics.
  void count();
  // What it wrote has arrived, and it knows. Only when settled.
  void check_delivered();
  // What is unread is what lies behind the mark of what was read.
  void check_unread();
  // Everybody has read everything a while ago: its writers know, and what disappears is gone.
  void check_read();
  // The engine that a restart would load is the one that runs. Only when settled.
  void check_restore();
  const std::vector<client::Event>& events() const { return events_; }
  // Keeps the events: for scenarios; a random life forgets them.
  void keep_events() { keep_events_ = true; }
  const client::Engine* engine() const { return engine_.get(); }

  // Net::Client
  void connected(ConnectionId id) override;
  void received(ConnectionId id, proto::Frame frame) override;
  void disconnected(ConnectionId id) override;

 private:
  struct Step {
    client::Effect effect;
    std::optional<TextId> composed;  // so once this step is done
  };
  template <typename Tell>
  auto tell(Tell what);
  void queue(client::Effects effects, std::optional<TextId> composed);
  void pump();
  // Which text it is, as this device has it; nullopt: one that was passed on, or none of ours.
  std::optional<TextId> text_of(const client::Message& message) const;
  client::Text write(const TextId& id, std::size_t size);
  bool compose(const client::Recipient& to, const TextId& id, std::size_t size);
  std::optional<client::Act> draw_act(const client::Message& message);
  bool may(const client::Message& message, const client::Act& act);
  void pass_on(const client::Message& message, const Device& to);
  void perform(client::Commit& commit);
  void perform(client::SendFrame& send);
  void perform(client::Connect& connect);
  void perform(client::Disconnect& disconnect);
  void perform(client::Notify& notify);
  void done(const Step& step);
  void seen(const client::Event& event);
  std::optional<client::Line> line_of(ConnectionId id) const;
  void plan_tick();
  void load();
  void unload();
  void person();
  Result<std::unique_ptr<client::Engine>> engine_from_rows();
  Instant now() const { return life_.timeline.now() + started_; }

  Life& life_;
  const DeviceIndex index_;
  const std::string phone_;
  const std::string name_;
  SeededEntropy entropy_;
  Disk disk_;
  Duration clock_;  // what the wall clock is wrong by
  Duration started_;  // what it was wrong by when the process started
  ByteArray<32> peer_{};

  std::unique_ptr<client::Engine> engine_;
  std::deque<Step> steps_;
  bool committing_ = false;
  bool pumping_ = false;
  std::optional<ConnectionId> connections_[2];  // by client::Line
  UserId user_;  // once it was registered
  std::uint64_t life_number_ = 0;  // of the process: what belongs to an earlier one is dropped
  std::uint32_t effects_to_live_ = 0;
  Instant tick_at_ = kNever;
  std::uint32_t ticks_in_place_ = 0;
  Instant last_tick_;

  std::uint32_t generation_ = 0;
  std::uint32_t restorations_ = 0;
  std::optional<ports::MemoryStore> backup_;
  bool wants_account_ = false;
  bool registered_ = false;
  std::string code_;
  Instant next_try_;
  std::uint64_t person_life_ = 0;
  std::map<DeviceIndex, std::uint32_t> written_;  // texts to each person
  std::map<std::uint32_t, std::uint32_t> spoken_;  // and to each group
  bool lively_ = false;
  bool keep_events_ = false;
  std::vector<client::Event> events_;
};

template <typename Tell>
auto Device::tell(Tell what) {
  Env env{now(), entropy_};
  client::Effects out;
  auto answer = what(env, out);
  queue(std::move(out), std::nullopt);
  return answer;
}

}  // namespace godwit::sim
