// ServerRuntime's handover to a new process, from both sides. docs/adr/0012 tells the course.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>

#include "base/check.h"
#include "io/descriptors.h"
#include "runtime/log.h"
#include "runtime/server_runtime.h"
#include "runtime/successor.h"

namespace godwit::runtime {

namespace {

constexpr Duration kStartTime = seconds(15);  // of the new program
constexpr Duration kPassTime = seconds(120);  // of descriptors, while clients are served
constexpr Duration kRestTime = seconds(2);    // until nothing is under way
constexpr Duration kTakeTime = seconds(30);   // of what is left, while nobody is served
constexpr Duration kHealthTime = seconds(20);  // opening the store, and looking whether all works

std::uint64_t now_us() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(since).count());
}

// Waits for an answer of each loop. Loops that answer late find it still there.
class Gathering {
 public:
  explicit Gathering(std::size_t missing) : missing_(missing) {}
  void answer(const Result<void>& result) {
    const std::lock_guard lock(mutex_);
    if (!result && result_) result_ = result;
    --missing_;
    wake_.notify_all();
  }
  // The first error as soon as it is there.
  Result<void> wait(Duration time) {
    std::unique_lock lock(mutex_);
    const bool done = wake_.wait_for(lock, std::chrono::milliseconds(time.ms),
                                     [this] { return missing_ == 0 || !result_; });
    if (!done) return fail(Code::kUnavailable, "a thread does not answer in time");
    return result_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::size_t missing_;
  Result<void> result_;
};

template <typename Ask>
Result<void> all(const std::vector<std::unique_ptr<ServerLoop>>& loops, Duration time, Ask ask) {
  const auto gathering = std::make_shared<Gathering>(loops.size());
  for (const auto& loop : loops) {
    ask(*loop, [gathering](const Result<void>& result) { gathering->answer(result); });
  }
  return gathering->wait(time);
}

std::unexpected<ports::OpenError> because(const Error& error) {
  return ports::cannot_open(error.code, std::string(error.text));
}

}  // namespace

// ---- the old process

ports::Opened<UpgradeReport> ServerRuntime::upgrade(const Program& program, Offering offering) {
  const std::unique_lock one(upgrade_mutex_, std::try_to_lock);
  if (!one) return ports::cannot_open(Code::kConflict, "another upgrade is under way");
  if (getpid() == 1) {
    return ports::cannot_open(Code::kUnsupported,
                              "this process is the first of its container, which ends with it: "
                              "restart it instead");
  }
  auto ownership = Ownership::create();
  if (!ownership) return because(ownership.error());
  auto report = [&]() -> ports::Opened<UpgradeReport> {
    auto successor = Successor::start(program);
    if (!successor) return std::unexpected(successor.error());
    auto done = hand_over(*successor, *ownership, offering);
    if (done) successor->let_go();
    return done;  // else its destructor ends it, before anything below
  }();
  if (report) return report;
  if (store_released_) {
    store_released_ = false;
    if (const auto opened = store_->reclaim(); !opened) {
      log(LogLevel::kError, "the store cannot be opened again", {{"why", opened.error().text}});
    }
  }
  own_all();
  for (const auto& loop : shared_.loops) loop->go_on();
  if (paused_at_us_ != 0) shared_.pause_us = now_us() - std::exchange(paused_at_us_, 0);
  log(LogLevel::kError, "the upgrade failed: this process goes on", {{"why", report.error().text}});
  return report;
}

ports::Opened<UpgradeReport> ServerRuntime::hand_over(Successor& successor, Ownership& ownership,
                                                      const Offering& offering) {
  const auto hello = successor.hear(Word::Kind::kHello, kStartTime);
  if (!hello) return std::unexpected(hello.error());
  if (hello->layout != kHandoverLayout) {
    return ports::cannot_open(Code::kUnsupported, "the new program (" + hello->text +
                                                      ") takes over in another layout: restart");
  }
  if (auto offered = offer(successor, ownership, offering); !offered) {
    return because(offered.error());
  }
  if (const auto ready = successor.hear(Word::Kind::kReady, kStartTime); !ready) {
    return std::unexpected(ready.error());
  }
  // A loop's error is mostly that the new process ended; then that says more.
  const auto failed = [&](const Error& error) -> std::unexpected<ports::OpenError> {
    if (error.code != Code::kIo) return because(error);
    return std::unexpected(successor.hear(Word::Kind::kServing, seconds(1)).error());
  };
  const auto passed = all(shared_.loops, kPassTime, [&](ServerLoop& loop, auto answer) {
    loop.offer_descriptors(successor.loops_address(), answer);
  });
  if (!passed) return failed(passed.error());
  paused_at_us_ = now_us();
  if (const auto rest = come_to_rest(); !rest) return because(rest.error());
  const auto given =
      all(shared_.loops, kTakeTime, [](ServerLoop& loop, auto answer) { loop.hand_over(answer); });
  if (!given) return failed(given.error());
  store_released_ = true;
  store_->release();
  if (const auto told = successor.say({.kind = Word::Kind::kYours, .number = paused_at_us_});
      !told) {
    return failed(told.error());
  }
  const auto serving = successor.hear(Word::Kind::kServing, kHealthTime);
  // Whatever was heard: who took the word first, owns the connections.
  if (ownership.take(Ownership::Side::kOld)) {
    if (!serving) return std::unexpected(serving.error());
    return ports::cannot_open(Code::kCorrupt, "the new program serves without owning");
  }
  return UpgradeReport{successor.pid(), serving ? serving->number : now_us() - paused_at_us_,
                       hello->text};
}

Result<void> ServerRuntime::offer(Successor& successor, const Ownership& ownership,
                                  const Offering& offering) {
  crypto::SystemEntropy entropy;
  // The start of the new process is counted here, while the store is open.
  auto identity = ServerIdentity::start(*store_, entropy);
  if (!identity) return fail(identity.error());
  Word word{.kind = Word::Kind::kOffer, .layout = kHandoverLayout, .text = GODWIT_VERSION};
  std::ranges::copy(identity->key.private_key.view(), word.private_key.begin());
  word.pepper = identity->pepper;
  std::ranges::copy(identity->certificate_seed.view(), word.certificate_seed.begin());
  word.incarnation = identity->incarnation;
  word.loops = spread_.loops;
  word.own_tables = spread_.own_tables;
  word.per_loop = spread_.per_loop;
  word.in_all = spread_.in_all;
  word.listen = offering.listen;
  word.http = offering.http;
  word.clients = clients_;
  const int program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
  if (program < 0) return fail(Code::kIo, "this program's own file cannot be opened");
  std::vector<int> descriptors = {ownership.descriptor(), offering.data_lock, program};
  if (http_) descriptors.push_back(http_->descriptor());
  const auto said = successor.say(word, descriptors);
  crypto::wipe(word.private_key);
  crypto::wipe(word.certificate_seed);
  close(program);
  return said;
}

void ServerRuntime::own_all() {
  const auto owned =
      all(shared_.loops, kHealthTime, [](ServerLoop& loop, auto answer) { loop.own(answer); });
  CHECK(owned);  // else a loop stands still, and would serve later with what is another's by then
}

Result<void> ServerRuntime::come_to_rest() {
  GODWIT_TRY(
      all(shared_.loops, kRestTime, [](ServerLoop& loop, auto answer) { loop.hold(answer); }));
  const std::uint64_t deadline = now_us() + static_cast<std::uint64_t>(kRestTime.ms) * 1000;
  while (shared_.under_way != 0) {
    if (now_us() > deadline) {
      return fail(Code::kUnavailable, "the server does not come to rest: try again");
    }
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return {};
}

// ---- the new process

ports::Opened<std::unique_ptr<ServerRuntime>> ServerRuntime::succeed(Options options,
                                                                     ports::Gateway& gateway,
                                                                     Predecessor& predecessor,
                                                                     OpenStore open_store) {
  const Word& offer = predecessor.offer();
  auto ownership = Ownership::adopt(predecessor.take(kOwnershipFd));
  if (!ownership) return because(ownership.error());
  ServerIdentity identity{crypto::KeyPair::from_private(offer.private_key), offer.pepper,
                          crypto::Key(offer.certificate_seed), offer.incarnation};
  const Spread spread{offer.loops, offer.own_tables, offer.per_loop, offer.in_all};
  io::descriptor_limit();
  auto built = build(options, nullptr, std::move(identity), spread, gateway);
  if (!built) return because(built.error());
  ServerRuntime& runtime = **built;
  runtime.clients_ = offer.clients;
  if (const auto taken = runtime.take_over(predecessor); !taken) return because(taken.error());
  const auto yours = predecessor.hear(Word::Kind::kYours);
  if (!yours) return because(yours.error());
  const auto store = open_store();
  if (!store) return std::unexpected(store.error());
  runtime.use(**store);
  if (const auto healthy = runtime.check_health(); !healthy) return because(healthy.error());
  if (!ownership->take(Ownership::Side::kNew)) {
    return ports::cannot_open(Code::kConflict, "too late: the old process goes on");
  }
  runtime.own_all();
  for (const auto& loop : runtime.shared_.loops) loop->begin();
  runtime.shared_.pause_us = now_us() - yours->number;
  runtime.keeper_ = std::thread([&runtime] { runtime.keep(); });
  runtime.serving_ = true;
  [[maybe_unused]] const auto said =
      predecessor.say({.kind = Word::Kind::kServing, .number = runtime.shared_.pause_us});
  return std::move(*built);
}

Result<void> ServerRuntime::take_over(Predecessor& predecessor) {
  GODWIT_TRY(predecessor.say({.kind = Word::Kind::kReady}));
  auto channels = predecessor.accept_loops();
  if (!channels) return fail(channels.error());
  for (std::size_t i = 0; i < shared_.loops.size(); ++i) {
    shared_.loops[i]->expect(std::move((*channels)[i]));
    shared_.loops[i]->start(spread_.own_tables);
  }
  return all(shared_.loops, kPassTime + kTakeTime, [this](ServerLoop& loop, auto answer) {
    loop.receive_descriptors(spread_.per_loop, answer);
  });
}

// What would show at once that this program cannot serve: the store and every loop.
Result<void> ServerRuntime::check_health() {
  ports::Batch row{to_bytes("upgrade"), {}};
  row.put(ports::Space::kMeta, to_bytes("probe"), to_bytes(GODWIT_VERSION));
  GODWIT_TRY(store_->write({&row, 1}, ports::Durability::kSafe));
  const auto read = store_->get(view_of("upgrade"), ports::Space::kMeta, view_of("probe"));
  if (!read) return fail(read.error());
  return all(shared_.loops, kHealthTime, [](ServerLoop& loop, auto answer) { loop.turn(answer); });
}

}  // namespace godwit::runtime
