// godwitd: the server program. Puts the runtime together with its adapters, and waits for signals.
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "adapters/console/console_gateway.h"
#include "adapters/localfs/data_dir.h"
#include "adapters/rocksdb/rocksdb_store.h"
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

// Waits for the first signal to stop. From then on a second one ends the process at once.
void wait_for_stop() {
  const sigset_t set = stop_signals();
  int received = 0;
  while (sigwait(&set, &received) != 0) {
  }
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);  // their default is to end the process
}

int serve(const runtime::Config& config, bool quickstart) {
  auto data = adapters::DataDir::open(config.data, adapters::DataDir::Kind::kServer);
  if (!data) return fail_with(exit_code_of(data.error().code), data.error().text);
  std::error_code ignored;
  if (std::filesystem::space(data->path(), ignored).available < kLeastSpace) {
    return fail_with(kExitDiskFull, data->path() + " has less than 8 MiB left: free some space");
  }
  auto store = adapters::open_rocksdb_store(*data / "store");
  if (!store) return fail_with(exit_code_of(store.error().code), store.error().text);
  adapters::ConsoleGateway gateway(std::cout, *data / "verification-codes.jsonl");

  auto runtime = runtime::ServerRuntime::create({.threads = config.threads,
                                                 .max_connections = config.max_connections,
                                                 .write_behind = milliseconds(config.write_behind)},
                                                **store, gateway);
  if (!runtime) {
    return fail_with(exit_code_of(runtime.error().code),
                     config.data + ": " + std::string(runtime.error().text));
  }
  runtime::ServerRuntime& server = **runtime;
  const auto clients =
      listen_on(config.listen, [&](const io::Address& at) { return server.listen(at); });
  if (!clients) return fail_with(kExitListen, clients.error());
  std::string http;
  if (!config.http.empty()) {
    const auto at =
        listen_on(config.http, [&](const io::Address& to) { return server.listen_http(to); });
    if (!at) return fail_with(kExitListen, at.error());
    http = at->text();
  }
  server.start();
  const std::string address = clients->text();
  runtime::log(runtime::LogLevel::kInfo, "listening",
               {{"address", address},
                {"http", http},
                {"threads", std::uint64_t{server.threads()}},
                {"version", GODWIT_VERSION}});
  if (config.log == runtime::LogFormat::kHuman) {
    const std::string path = std::filesystem::absolute(data->path()).lexically_normal().string();
    std::cout << greeting_text({*clients, http, path, to_hex(server.key()), quickstart})
              << std::flush;
  }
  notify_systemd("READY=1");

  wait_for_stop();
  notify_systemd("STOPPING=1");
  runtime::log(runtime::LogLevel::kInfo, "stopping");
  server.stop(kStopGrace);
  runtime->reset();
  store->reset();
  runtime::log(runtime::LogLevel::kInfo, "stopped");
  return kExitDone;
}

int run(int argc, char** argv) {
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
  // Before any thread starts, so that all of them inherit it.
  ::signal(SIGPIPE, SIG_IGN);
  const sigset_t set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  runtime::start_log(loaded->config.log, loaded->config.log_level);
  return serve(loaded->config, line.quickstart || isatty(STDOUT_FILENO) != 0);
}

}  // namespace
}  // namespace godwit::godwitd

int main(int argc, char** argv) { return godwit::godwitd::run(argc, argv); }
