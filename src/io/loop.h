// Loop: one thread's events: descriptors (epoll), timers, and tasks that other threads post.
//
// A turn waits, then runs due timers, posted tasks and descriptor events, then tells every Source
// that the turn is over: there, what the turn collected goes out at once.
//
// Invariants:
//   * the kernel's event carries source, index and generation, never a pointer, and the loop holds
//     nothing per descriptor: an idle connection costs no memory here, and a new process may take
//     over the descriptors;
//   * a stale event (of an earlier user of the same index) shows in its generation.
//
// post() and stop() may be called by any thread. All else belongs to the thread in run(), or to
// the one that sets the loop up before.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace godwit::io {

// The owner of some of a loop's descriptors, which it numbers itself.
class Source {
 public:
  virtual ~Source() = default;
  // `events` are EPOLLIN, EPOLLOUT, ... Check `generation` against the present user of `index`.
  virtual void on_ready(std::uint32_t index, std::uint32_t generation, std::uint32_t events) = 0;
  virtual void on_turn_end() {}
};

class Loop {
 public:
  using Task = std::move_only_function<void()>;
  using TimerId = std::uint64_t;
  static constexpr std::uint32_t kMaxIndex = (1U << 24) - 1;

  static Result<std::unique_ptr<Loop>> create();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs turns until stop(). May be called again.
  void run();
  void stop();
  // Runs `task` in a later turn, in the order of the calls. Never blocks on the loop.
  void post(Task task);

  // While it is held, turns run timers and posted tasks only: what descriptors have to say waits in
  // the kernel. In force from the next turn on.
  void hold(bool held);

  // How long a descriptor with something to say waits for its turn, as one was found to wait since
  // the last call; 0 when turns are not crowded. Of one that still waits it tells, too, when that
  // is half as much again as what it told before.
  std::optional<Duration> take_delay();

  // What a thread with its own table of descriptors keeps to run this loop, and to post() to it.
  std::array<int, 2> own_descriptors() const { return {epoll_, probe_}; }
  int wakeup_descriptor() const { return wakeup_; }

  // At most 254 sources, each outlives the loop's last turn.
  std::uint8_t add_source(Source& source);
  // Level-triggered. False when the kernel refuses (out of memory or watches).
  bool watch(int fd, std::uint8_t source, std::uint32_t index, std::uint32_t generation,
             std::uint32_t events);
  bool rewatch(int fd, std::uint8_t source, std::uint32_t index, std::uint32_t generation,
               std::uint32_t events);
  void unwatch(int fd);

  // For what happens seldom: a tick, a connect time-out. Not for every idle connection.
  TimerId after(Duration wait, Task task);
  void cancel(TimerId id);

  // Time since some start, never set back; as of this turn.
  Duration uptime() const { return uptime_; }
  // Wall-clock time, as of this turn.
  Instant now() const { return now_; }

 private:
  Loop(int epoll, int wakeup, int probe);
  void read_clocks();
  void probe(int ready);
  Duration since_probe() const { return {uptime_.ms - probed_at_.ms}; }
  int wait_ms() const;
  int wait_for_wakeup() const;
  void run_timers();
  void run_tasks();

  const int epoll_;
  const int wakeup_;
  const int probe_;  // always readable; armed, it queues behind all that wait
  std::vector<Source*> sources_;
  std::map<std::pair<Duration, TimerId>, Task> timers_;
  std::map<TimerId, Duration> timer_due_;
  TimerId next_timer_ = 1;
  Duration uptime_;
  Instant now_;
  bool held_ = false;
  bool probing_ = false;
  Duration probed_at_;
  std::optional<Duration> delay_;
  Duration told_;  // by take_delay()

  std::mutex mutex_;  // guards what follows
  std::vector<Task> tasks_;
  bool signalled_ = false;
  bool stopping_ = false;
};

}  // namespace godwit::io
