#include "bench/groupload/writer.h"

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <future>

#include "adapters/sqlite/sqlite_store.h"
#include "client/group_log.h"

namespace groupload {

using namespace godwit;
using client::Engine;

namespace {

const std::string kPhone = loadgen::phone_of(90'000'000);  // no member's
constexpr auto kPatience = std::chrono::seconds(120);

std::set<int> sockets() {
  std::set<int> out;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int fd = std::stoi(entry.path().filename());
    struct stat what{};
    if (fstat(fd, &what) == 0 && S_ISSOCK(what.st_mode)) out.insert(fd);
  }
  return out;
}

double seconds_of(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

}  // namespace

Writer::Writer(const std::string& server, const std::string& codes, const std::string& directory,
               Members& members)
    : members_(members), codes_(codes), loop_(io::Loop::create().value()) {
  const auto key = entropy_.draw<32>();
  store_ = std::move(adapters::open_sqlite_store(directory + "/writer", key).value());
  runtime_ = runtime::ClientRuntime::open(*loop_, *store_, entropy_, *this).value();
  runtime_->use_server(server);
  thread_ = std::thread([this] { loop_->run(); });
}

Writer::~Writer() {
  loop_->stop();
  thread_.join();
}

template <typename Task>
auto Writer::ask(Task task) {
  std::promise<decltype(task())> answer;
  loop_->post([&] { answer.set_value(task()); });
  return answer.get_future().get();
}

bool Writer::await(const std::function<bool()>& done) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!ask(done)) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return true;
}

std::string Writer::wrong(const std::string& what) {
  const std::string fault = ask([this] { return fault_; });
  return what + (fault.empty() ? "" : ": " + fault);
}

void Writer::on_event(const client::Event& event) {
  const auto try_again = [&](auto command) {
    const auto done = runtime_->act(command);
    if (!done) fault_ = std::string(done.error().text);
  };
  if (std::holds_alternative<client::CodeRequested>(event)) {
    try_again([code = codes_.take(kPhone)](Engine& engine, Env& env, auto& out) {
      return engine.register_account(kPhone, code, env, out);
    });
  } else if (const auto* failed = std::get_if<client::Failed>(&event)) {
    fault_ = failed->text;
  } else if (const auto* changed = std::get_if<client::GroupChangeDone>(&event)) {
    if (!changed->failure.empty()) fault_ = changed->failure;
  }
}

std::string Writer::enroll() {
  others_sockets_ = sockets();
  const bool asked = ask([this] {
    runtime_->go_online();
    return runtime_
        ->act([](Engine& engine, Env& env, auto& out) {
          return engine.request_code(kPhone, env, out);
        })
        .has_value();
  });
  const bool done =
      asked && await([this] {
        return !fault_.empty() || (runtime_->engine().registered() && !runtime_->engine().busy());
      });
  const bool registered = ask([this] { return runtime_->engine().registered(); });
  return done && registered ? "" : wrong("the writer could not register");
}

Writer::Cost Writer::present() const {
  Cost cost{.seconds = static_cast<double>(now_us()) / 1e6};
  clockid_t clock{};
  pthread_getcpuclockid(const_cast<std::thread&>(thread_).native_handle(), &clock);
  cost.cpu_seconds = seconds_of(clock);
  for (const int fd : sockets()) {
    if (others_sockets_.contains(fd)) continue;
    tcp_info info{};
    socklen_t size = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0)
      cost.octets += info.tcpi_bytes_sent;
  }
  return cost;
}

Writer::Cost Writer::since(const Cost& before, const Cost& now) {
  return {.seconds = now.seconds - before.seconds,
          .cpu_seconds = now.cpu_seconds - before.cpu_seconds,
          .octets = now.octets - before.octets};
}

std::string Writer::found(std::uint32_t others, Cost& cost) {
  const Cost before = present();
  others_ = others;
  ask([&] {
    group_ = *runtime_->act(
        [](Engine& engine, Env& env, auto& out) { return engine.create_group("bench", env, out); });
    runtime_->act([&](Engine& engine, Env& env, auto& out) {
      for (std::uint32_t user = 0; user < others; ++user) {
        (void)engine.change_group(group_, Engine::GroupAct::kAdd, loadgen::phone_of(user), env,
                                  out);
      }
      return true;
    });
    return true;
  });
  const bool whole = await([this] {
    if (runtime_->engine().busy()) return !fault_.empty();
    for (const auto& group : runtime_->engine().groups()) {
      if (group.id == group_) return group.members.size() == others_ + 1;
    }
    return false;
  });
  if (!whole || !ask([this] { return fault_.empty(); })) return wrong("the group was not made");
  Cost first;
  if (std::string error = speak(1, 1, 100, first); !error.empty()) return error;
  cost = since(before, present());
  return {};
}

void Writer::say_next(std::uint32_t number) {
  const double before = seconds_of(CLOCK_THREAD_CPUTIME_ID);
  const auto sent = runtime_->act([this](Engine& engine, Env& env, auto& out) {
    return engine.send(group_, {.body = std::string(size_, 'x')}, {}, env, out);
  });
  engine_seconds_ += seconds_of(CLOCK_THREAD_CPUTIME_ID) - before;
  if (!sent) {
    fault_ = std::string(sent.error().text);
    return;
  }
  uncommitted_.push_back(client::group_envelope_id(group_, *sent));
  ++said_;
  if (++number == count_) return;
  const std::int64_t due =
      began_ + static_cast<std::int64_t>(static_cast<double>(number) / rate_ * 1e6);
  loop_->after({std::max<std::int64_t>((due - now_us()) / 1000, 1)},
               [this, number] { say_next(number); });
}

// What was said is stored, and leaves.
void Writer::on_committed() {
  for (const EnvelopeId id : std::exchange(uncommitted_, {})) members_.leaves(id);
}

std::string Writer::speak(double rate, std::uint32_t count, std::size_t size, Cost& cost) {
  members_.forget();
  const Cost before = present();
  ask([&] {
    rate_ = rate;
    count_ = count;
    size_ = size;
    said_ = 0;
    engine_seconds_ = 0;
    began_ = now_us();
    say_next(0);
    return true;
  });
  const std::uint64_t wanted = std::uint64_t{count} * others_;
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (members_.sum().deliveries < wanted && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  cost = since(before, present());
  cost.engine_seconds = ask([this] { return engine_seconds_; });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // for duplicates
  return members_.sum().deliveries < wanted ? wrong("not everybody got everything") : "";
}

}  // namespace groupload
