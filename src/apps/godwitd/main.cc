// godwitd: the server program. Puts the runtime together with its adapters, and waits for signals.
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "adapters/console/console_gateway.h"
#include "adapters/localfs/data_dir.h"
#include "adapters/rocksdb/rocksdb_store.h"
#include "apps/godwitd/admin.h"
#include "apps/godwitd/command_line.h"
#include "apps/godwitd/greeting.h"
#include "runtime/server_runtime.h"

namespace godwit::godwitd {
namespace {

constexpr Duration kStopGrace = seconds(10);
constexpr std::uintmax_t kLeastSpace = 8 * 1024 * 1024;  // to open the store at all

int fail_with(int exit_code, std::string_view text) {
  std::cerr << "godwitd: " << text << "\n";
  return exit_code;
}

int exit_code_of(Code code) {
  switch (code) {
    case Code::kConflict:
    case Code::kUnsupported:
    case Code::kForbidden: return kExitDataDir;
    case Code::kCorrupt: return kExitCorrupt;
    case Code::kFull: return kExitDiskFull;
    default: return kExitSystem;
  }
}

// The first of the name's addresses on which `listen` succeeds; the text of the last error if none.
template <typename Listen>
std::expected<io::Address, std::string> listen_on(const std::string& text, Listen listen) {
  const auto addresses = io::Address::resolve(text);
  std::string_view reason = addresses ? std::string_view{} : addresses.error().text;
  for (const io::Address& address : addresses.value_or(std::vector<io::Address>{})) {
    const auto bound = listen(address);
    if (bound) return *bound;
    reason = bound.error().text;
  }
  return std::unexpected("cannot listen on " + text + ": " + std::string(reason));
}

constexpr int kStopSignals[] = {SIGTERM, SIGINT, SIGHUP};

// Those that whoever started this program did not choose to ignore, as nohup does.
sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : kStopSignals) {
    struct sigaction present{};
    sigaction(signal, nullptr, &present);
    if (present.sa_handler != SIG_IGN) sigaddset(&set, signal);
  }
  return set;
}

// Waits for a signal to stop, or to upgrade.
int next_signal() {
  sigset_t set = stop_signals();
  sigaddset(&set, SIGUSR2);
  int received = 0;
  while (sigwait(&set, &received) != 0) {
  }
  return received;
}

// What this program was started with, and its file: what an upgrade starts again.
struct Launch {
  std::vector<std::string> arguments;
  int previous = -1;  // the file of the program before the last upgrade; -1: there was none
};

std::string own_file() {
  std::error_code error;
  std::string path = std::filesystem::read_symlink("/proc/self/exe", error);
  constexpr std::string_view kReplaced = " (deleted)";
  if (path.ends_with(kReplaced)) path.resize(path.size() - kReplaced.size());
  return path;
}

// A running server with what surrounds it.
struct House {
  adapters::DataDir data;
  std::unique_ptr<ports::Store> store;
  adapters::ConsoleGateway gateway;
  std::unique_ptr<runtime::ServerRuntime> server;
  std::string http;

  explicit House(adapters::DataDir dir)
      : data(std::move(dir)), gateway(std::cout, data / "verification-codes.jsonl") {}

  ports::Opened<ports::Store*> open_store() {
    auto opened = adapters::open_rocksdb_store(data / "store");
    if (!opened) return std::unexpected(opened.error());
    store = std::move(*opened);
    return store.get();
  }
};

// After the last reply this process must end: another has taken over.
Admin::Reply upgrade(House& house, const runtime::Config& config, const runtime::Program& program) {
  runtime::log(runtime::LogLevel::kInfo, "upgrading", {{"program", program.path}});
  const auto report =
      house.server->upgrade(program, {config.listen, config.http, house.data.lock_descriptor()});
  if (!report) return {nlohmann::json{{"ok", false}, {"error", report.error().text}}.dump()};
  if (report->process < 0) {
    runtime::log(runtime::LogLevel::kError, "the new process took over, and crashed: start again");
    _exit(kExitSystem);
  }
  notify_systemd("MAINPID=" + std::to_string(report->process) + "\nREADY=1");
  runtime::log(runtime::LogLevel::kInfo, "another process has taken over",
               {{"process", std::int64_t{report->process}},
                {"pause_us", report->pause_us},
                {"version", report->version}});
  const nlohmann::json line{{"ok", true},
                            {"process", report->process},
                            {"pause_ms", static_cast<double>(report->pause_us) / 1000},
                            {"version", report->version}};
  return {line.dump(), true};
}

Admin::Reply answer_admin(House& house, const runtime::Config& config, const Launch& launch,
                          const std::string& request) {
  constexpr std::string_view kUpgrade = "upgrade ";
  if (request.starts_with(kUpgrade)) {
    return upgrade(house, config, {request.substr(kUpgrade.size()), -1, launch.arguments});
  }
  if (request == "upgrade") return upgrade(house, config, {own_file(), -1, launch.arguments});
  if (request == "rollback" && launch.previous >= 0) {
    return upgrade(house, config, {"the program before", launch.previous, launch.arguments});
  }
  const char* why = request == "rollback" ? "there was no upgrade to roll back"
                                          : "the server does not know the request";
  return {nlohmann::json{{"ok", false}, {"error", why}}.dump()};
}

// Starts serving; an exit code and a text if it cannot.
std::expected<io::Address, int> start(House& house, const runtime::Config& config) {
  std::error_code ignored;
  if (std::filesystem::space(house.data.path(), ignored).available < kLeastSpace) {
    return std::unexpected(
        fail_with(kExitDiskFull, house.data.path() + " has less than 8 MiB left: free some space"));
  }
  if (const auto store = house.open_store(); !store) {
    return std::unexpected(fail_with(exit_code_of(store.error().code), store.error().text));
  }
  auto created = runtime::ServerRuntime::create({.threads = config.threads,
                                                 .max_connections = config.max_connections,
                                                 .write_behind = milliseconds(config.write_behind)},
                                                *house.store, house.gateway);
  if (!created) {
    return std::unexpected(fail_with(exit_code_of(created.error().code),
                                     config.data + ": " + std::string(created.error().text)));
  }
  house.server = std::move(*created);
  runtime::ServerRuntime& server = *house.server;
  const auto clients =
      listen_on(config.listen, [&](const io::Address& at) { return server.listen(at); });
  if (!clients) return std::unexpected(fail_with(kExitListen, clients.error()));
  if (!config.http.empty()) {
    const auto at =
        listen_on(config.http, [&](const io::Address& to) { return server.listen_http(to); });
    if (!at) return std::unexpected(fail_with(kExitListen, at.error()));
    house.http = at->text();
  }
  server.start();
  return *clients;
}

// The same as start(), from another process that serves now.
ports::Opened<void> take_over(House& house, const runtime::Config& config,
                              runtime::Predecessor& predecessor) {
  const runtime::Word& offer = predecessor.offer();
  if (config.listen != offer.listen || config.http != offer.http) {
    return ports::cannot_open(Code::kUnsupported,
                              "the configuration listens elsewhere: that takes a restart");
  }
  auto server = runtime::ServerRuntime::succeed({.threads = config.threads,
                                                 .max_connections = config.max_connections,
                                                 .write_behind = milliseconds(config.write_behind)},
                                                house.gateway, predecessor,
                                                [&house] { return house.open_store(); });
  if (!server) return std::unexpected(server.error());
  house.server = std::move(*server);
  if (const int listener = predecessor.take(runtime::kHttpFd); listener >= 0) {
    if (const auto at = house.server->take_http(listener)) house.http = at->text();
  }
  if (const auto claimed = house.data.claim(); !claimed) {
    runtime::log(runtime::LogLevel::kWarn, claimed.error().text);
  }
  return {};
}

void greet(const House& house, const runtime::Config& config, const io::Address& clients,
           bool quickstart) {
  if (config.log != runtime::LogFormat::kHuman) return;
  const std::string path = std::filesystem::absolute(house.data.path()).lexically_normal().string();
  std::cout << greeting_text({clients, house.http, path, to_hex(house.server->key()), quickstart})
            << std::flush;
}

// Until a signal stops it, or another process has taken over.
int serve(House& house, const runtime::Config& config, const Launch& launch) {
  auto admin = Admin::open(house.data.path(), [&](const std::string& request) {
    return answer_admin(house, config, launch, request);
  });
  if (!admin) runtime::log(runtime::LogLevel::kWarn, admin.error().text);
  while (next_signal() == SIGUSR2) {
    if (answer_admin(house, config, launch, "upgrade").last) _exit(kExitDone);
  }
  // From here on a second signal ends the process at once.
  const sigset_t set = stop_signals();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  notify_systemd("STOPPING=1");
  runtime::log(runtime::LogLevel::kInfo, "stopping");
  if (admin) admin->reset();
  house.server->stop(kStopGrace);
  house.server.reset();
  house.store.reset();
  runtime::log(runtime::LogLevel::kInfo, "stopped");
  return kExitDone;
}

int succeed(runtime::Predecessor predecessor, const runtime::Config& config, Launch launch) {
  if (const auto met = predecessor.meet(); !met) {
    predecessor.refuse(met.error().text);
    return fail_with(kExitSystem, met.error().text);
  }
  auto data = adapters::DataDir::adopt(config.data, adapters::DataDir::Kind::kServer,
                                       predecessor.take(runtime::kDataLockFd));
  if (!data) {
    predecessor.refuse(data.error().text);
    return fail_with(exit_code_of(data.error().code), data.error().text);
  }
  launch.previous = predecessor.take(runtime::kExecutableFd);
  House house(std::move(*data));
  if (const auto taken = take_over(house, config, predecessor); !taken) {
    predecessor.refuse(taken.error().text);
    std::cerr << "godwitd: " << taken.error().text << std::endl;
    _exit(exit_code_of(taken.error().code));  // what it holds is still the other's
  }
  runtime::log(runtime::LogLevel::kInfo, "took over",
               {{"address", house.server->clients()},
                {"pause_us", house.server->pause_us()},
                {"version", GODWIT_VERSION}});
  return serve(house, config, launch);
}

int begin(const runtime::Config& config, const Launch& launch, bool quickstart) {
  auto data = adapters::DataDir::open(config.data, adapters::DataDir::Kind::kServer);
  if (!data) return fail_with(exit_code_of(data.error().code), data.error().text);
  House house(std::move(*data));
  const auto clients = start(house, config);
  if (!clients) return clients.error();
  const std::string address = clients->text();
  runtime::log(runtime::LogLevel::kInfo, "listening",
               {{"address", address},
                {"http", house.http},
                {"threads", std::uint64_t{house.server->threads()}},
                {"version", GODWIT_VERSION}});
  greet(house, config, *clients, quickstart);
  notify_systemd("READY=1");
  return serve(house, config, launch);
}

// `godwitd upgrade` and `godwitd rollback`.
int ask_for_upgrade(const CommandLine& line, const std::string& data) {
  std::string request = line.verb == CommandLine::Verb::kRollback ? "rollback" : "upgrade";
  if (!line.binary.empty()) request += " " + std::filesystem::absolute(line.binary).string();
  const auto text = Admin::ask(data, request);
  if (!text) return fail_with(kExitUpgrade, text.error().text);
  const auto answer = nlohmann::json::parse(*text, nullptr, false);
  const bool done = answer.is_object() && answer.value("ok", false);
  if (line.json) {
    std::cout << *text << std::endl;
  } else if (done) {
    std::cout << "version " << answer.value("version", "?") << " serves, as process "
              << answer.value("process", 0) << "; nobody was served for "
              << answer.value("pause_ms", 0.0) << " ms\n";
  } else {
    std::cerr << "godwitd: " << (answer.is_object() ? answer.value("error", *text) : *text)
              << "\ngodwitd: the server goes on as it was\n";
  }
  return done ? kExitDone : kExitUpgrade;
}

int run(int argc, char** argv) {
  auto predecessor = runtime::Predecessor::from_environment();
  CommandLine line = parse_command_line(argc, argv);
  if (line.verb == CommandLine::Verb::kExit) {
    std::cout << line.out;
    std::cerr << line.err;
    return line.exit_code;
  }
  line.sources.environment = [](const char* name) { return std::getenv(name); };
  const auto loaded = runtime::load_config(line.sources);
  if (!loaded) return fail_with(kExitUsage, loaded.error().text);
  if (line.verb == CommandLine::Verb::kCheckConfig) {
    std::cout << loaded->text();
    return kExitDone;
  }
  if (line.verb == CommandLine::Verb::kUpgrade || line.verb == CommandLine::Verb::kRollback) {
    return ask_for_upgrade(line, loaded->config.data);
  }
  // Before any thread starts, so that all of them inherit it.
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t set = stop_signals();
  sigaddset(&set, SIGUSR2);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  runtime::start_log(loaded->config.log, loaded->config.log_level);
  const Launch launch{{argv, argv + argc}};
  if (predecessor) return succeed(std::move(*predecessor), loaded->config, launch);
  return begin(loaded->config, launch, line.quickstart || isatty(STDOUT_FILENO) != 0);
}

}  // namespace
}  // namespace godwit::godwitd

int main(int argc, char** argv) { return godwit::godwitd::run(argc, argv); }
