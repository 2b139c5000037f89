#include "io/loop.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/check.h"

namespace godwit::io {

namespace {

constexpr std::uint8_t kWakeupSource = 255;
constexpr std::uint8_t kProbeSource = 254;
constexpr int kMaxEvents = 512;  // per turn: bounds the time between two turn ends
constexpr int kCrowded = 64;     // events in a turn; below that nobody waits long
constexpr Duration kProbeEvery = milliseconds(20);

std::uint64_t pack(std::uint8_t source, std::uint32_t index, std::uint32_t generation) {
  return std::uint64_t{source} << 56 | std::uint64_t{index} << 32 | generation;
}

std::int64_t clock_ms(clockid_t clock) {
  timespec time{};
  CHECK(clock_gettime(clock, &time) == 0);
  return std::int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000;
}

}  // namespace

Result<std::unique_ptr<Loop>> Loop::create() {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  const int wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const int probe = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
  if (epoll < 0 || wakeup < 0 || probe < 0) {
    for (const int fd : {epoll, wakeup, probe}) {
      if (fd >= 0) close(fd);
    }
    return fail(Code::kIo, "no descriptor left for an event loop: raise the limit (ulimit -n)");
  }
  std::unique_ptr<Loop> loop(new Loop(epoll, wakeup, probe));
  // Edge-triggered: each post() wakes the loop, which need not empty the counter.
  if (!loop->watch(wakeup, kWakeupSource, 0, 0, EPOLLIN | EPOLLET) ||
      !loop->watch(probe, kProbeSource, 0, 0, 0)) {
    return fail(Code::kIo, "epoll refuses a descriptor: raise fs.epoll.max_user_watches");
  }
  return loop;
}

Loop::Loop(int epoll, int wakeup, int probe) : epoll_(epoll), wakeup_(wakeup), probe_(probe) {
  read_clocks();
}

Loop::~Loop() {
  close(epoll_);
  close(wakeup_);
  close(probe_);
}

void Loop::read_clocks() {
  uptime_ = {clock_ms(CLOCK_MONOTONIC)};
  now_ = {clock_ms(CLOCK_REALTIME)};
}

void Loop::run() {
  std::array<epoll_event, kMaxEvents> events;
  for (;;) {
    const int ready =
        held_ ? wait_for_wakeup() : epoll_wait(epoll_, events.data(), kMaxEvents, wait_ms());
    CHECK(ready >= 0 || errno == EINTR);
    read_clocks();
    probe(ready);
    run_timers();
    run_tasks();
    for (int i = 0; i < ready; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      const std::uint64_t key = event.data.u64;
      const auto source = static_cast<std::uint8_t>(key >> 56);
      if (source == kWakeupSource) continue;
      if (source == kProbeSource) {
        if (std::exchange(probing_, false)) delay_ = since_probe();
        told_ = since_probe();
        continue;
      }
      sources_[source]->on_ready(static_cast<std::uint32_t>(key >> 32) & kMaxIndex,
                                 static_cast<std::uint32_t>(key), event.events);
    }
    for (Source* source : sources_) source->on_turn_end();
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopping_, false)) return;
  }
}

// The kernel reports those that wait in the order in which they began to: the probe, armed now,
// comes after all of them.
void Loop::probe(int ready) {
  if (probing_) return;
  if (ready < kCrowded) {
    delay_ = told_ = Duration{};
  } else if (since_probe() >= kProbeEvery) {
    probing_ = rewatch(probe_, kProbeSource, 0, 0, EPOLLIN | EPOLLONESHOT);
    probed_at_ = uptime_;
  }
}

// The time that nobody is heard on purpose is no delay.
void Loop::hold(bool held) {
  held_ = held;
  probing_ = false;
  delay_ = told_ = Duration{};
}

std::optional<Duration> Loop::take_delay() {
  if (!delay_ && probing_ && since_probe() * 2 > std::max(told_, kProbeEvery) * 3) {
    told_ = since_probe();
    return told_;
  }
  return std::exchange(delay_, std::nullopt);
}

void Loop::stop() {
  post([this] {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  });
}

void Loop::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    if (std::exchange(signalled_, true)) return;
  }
  // Cannot fail: it would take centuries to overflow the counter.
  [[maybe_unused]] const int refused = eventfd_write(wakeup_, 1);
}

void Loop::run_tasks() {
  std::vector<Task> tasks;
  {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(signalled_, false)) return;
    tasks.swap(tasks_);
  }
  for (Task& task : tasks) task();
}

std::uint8_t Loop::add_source(Source& source) {
  CHECK(sources_.size() < kProbeSource);
  sources_.push_back(&source);
  return static_cast<std::uint8_t>(sources_.size() - 1);
}

bool Loop::watch(int fd, std::uint8_t source, std::uint32_t index, std::uint32_t generation,
                 std::uint32_t events) {
  CHECK(index <= kMaxIndex);
  epoll_event event{.events = events, .data = {.u64 = pack(source, index, generation)}};
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
}

bool Loop::rewatch(int fd, std::uint8_t source, std::uint32_t index, std::uint32_t generation,
                   std::uint32_t events) {
  epoll_event event{.events = events, .data = {.u64 = pack(source, index, generation)}};
  return epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0;
}

void Loop::unwatch(int fd) { epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr); }

Loop::TimerId Loop::after(Duration wait, Task task) {
  const TimerId id = next_timer_++;
  const Duration due = Duration{clock_ms(CLOCK_MONOTONIC)} + wait;
  timers_.emplace(std::pair{due, id}, std::move(task));
  timer_due_.emplace(id, due);
  return id;
}

void Loop::cancel(TimerId id) {
  const auto due = timer_due_.find(id);
  if (due == timer_due_.end()) return;
  timers_.erase({due->second, id});
  timer_due_.erase(due);
}

int Loop::wait_ms() const {
  if (timers_.empty()) return -1;
  const std::int64_t wait = timers_.begin()->first.first.ms - clock_ms(CLOCK_MONOTONIC);
  return static_cast<int>(std::clamp<std::int64_t>(wait, 0, 60'000));
}

// The counter must be emptied: poll() is level-triggered.
int Loop::wait_for_wakeup() const {
  pollfd wakeup{.fd = wakeup_, .events = POLLIN, .revents = 0};
  eventfd_t posts = 0;
  if (poll(&wakeup, 1, wait_ms()) > 0) eventfd_read(wakeup_, &posts);
  return 0;
}

void Loop::run_timers() {
  const TimerId first_new = next_timer_;  // a timer set here waits for the next turn
  while (!timers_.empty()) {
    const auto due = timers_.begin();
    if (due->first.first > uptime_ || due->first.second >= first_new) return;
    Task task = std::move(due->second);
    timer_due_.erase(due->first.second);
    timers_.erase(due);
    task();
  }
}

}  // namespace godwit::io
