// godwit: the command line. Reads the arguments, unlocks the home, finds its host, and is the
// front-end of one command.
#include <langinfo.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "apps/godwit/attach.h"
#include "apps/godwit/chat_view.h"
#include "apps/godwit/exit_code.h"
#include "apps/godwit/front_end.h"
#include "apps/godwit/options.h"
#include "apps/godwit/output.h"
#include "apps/loadgen/benchmark.h"
#include "crypto/system_entropy.h"

namespace godwit::cli {
namespace {

constexpr auto kAttachPatience = std::chrono::seconds(10);
constexpr auto kAttachPause = std::chrono::milliseconds(20);

int refuse(const Options& options, int exit_code, std::string_view code, std::string_view text) {
  const std::string message =
      options.json ? json_line(error_json(code, text)) : "godwit: " + printable(text, true) + "\n";
  std::fputs(message.c_str(), stderr);
  return exit_code;
}

int refuse(const Options& options, Error error) {
  const bool locked = error.code == Code::kUnauthenticated;
  return refuse(options, locked ? kExitPassphrase : exit_of(error.code),
                locked ? "passphrase" : code_name(error.code), error.text);
}

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

Terminal terminal() {
  Terminal facts;
  facts.in_tty = ::isatty(0) != 0;
  facts.out_tty = ::isatty(1) != 0;
  facts.err_tty = ::isatty(2) != 0;
  const char* kind = environment("TERM");
  const bool dumb = kind == nullptr || std::string_view(kind) == "dumb";
  facts.color = facts.out_tty && !dumb && environment("NO_COLOR") == nullptr;
  winsize size{};
  if (::ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) facts.columns = size.ws_col;
  return facts;
}

// Asks on the terminal, without showing what is typed.
std::optional<crypto::SecretBytes> ask_passphrase() {
  termios shown{};
  if (::tcgetattr(0, &shown) != 0) return std::nullopt;
  termios hidden = shown;
  hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  std::fputs("Passphrase: ", stderr);
  ::tcsetattr(0, TCSAFLUSH, &hidden);
  char typed[1024];
  const ssize_t got = ::read(0, typed, sizeof typed);
  ::tcsetattr(0, TCSAFLUSH, &shown);
  std::fputs("\n", stderr);
  if (got <= 1) return std::nullopt;
  crypto::SecretBytes secret(to_bytes(std::string_view(typed, static_cast<std::size_t>(got - 1))));
  crypto::wipe({reinterpret_cast<std::uint8_t*>(typed), sizeof typed});
  return secret;
}

Result<std::optional<crypto::SecretBytes>> passphrase(const Options& options, const Home& home) {
  if (!options.passphrase_file.empty()) {
    auto line = read_passphrase_file(options.passphrase_file);
    if (!line) return fail(line.error());
    return std::optional(std::move(*line));
  }
  if (const char* value = environment("GODWIT_PASSPHRASE")) {
    return crypto::SecretBytes(to_bytes(std::string_view(value)));
  }
  if (home.needs_passphrase() && ::isatty(0) != 0) return ask_passphrase();
  return std::nullopt;
}

// By flag, environment, then godwit.toml.
Result<std::string> server(const Options& options, const Home& home) {
  if (!options.server.empty()) return options.server;
  if (const char* value = environment("GODWIT_SERVER")) return std::string(value);
  return home.configured_server();
}

struct FrontEndResult {
  Outcome outcome;
  int exit_code;
  std::string refusal;
};

// One front-end on one connection, which is closed when this returns.
FrontEndResult run_once(int host, const Start& start) {
  PlainScreen plain;
  ChatView view;
  FrontEnd front_end(host, start.view ? static_cast<Screen&>(view) : plain);
  const Outcome outcome = front_end.run(start);
  view.close();
  return {outcome, front_end.exit_code(), front_end.refusal()};
}

int run_command(const Options& options, const Home& home, const crypto::Key& key,
                const Start& start) {
  FrontEnd::catch_signals();
  Attachment attachment(home, key);
  const auto give_up = std::chrono::steady_clock::now() + kAttachPatience;
  for (;;) {
    const auto host = attachment.connect();
    if (!host) return refuse(options, host.error());
    const FrontEndResult ended = run_once(*host, start);
    attachment.see_off();
    if (ended.outcome == Outcome::kEnded && !ended.refusal.empty()) {
      return refuse(options, ended.exit_code, "store", ended.refusal);
    }
    if (ended.outcome == Outcome::kEnded) return ended.exit_code;
    if (ended.outcome == Outcome::kLost) {
      return refuse(options, kExitInternal, "internal",
                    "the process that keeps this home ended unexpectedly; what it had accepted is "
                    "stored. Repeat the command (" +
                        home.log().string() + ")");
    }
    if (std::chrono::steady_clock::now() > give_up) {
      return refuse(options, kExitInternal, "internal",
                    "another process holds this home and does not answer");
    }
    std::this_thread::sleep_for(kAttachPause);
  }
}

int run(const std::vector<std::string>& args) {
  Parsed parsed = parse(args);
  if (!parsed.options) {
    std::fputs(parsed.out.c_str(), stdout);
    std::fputs(parsed.err.c_str(), stderr);
    return parsed.exit_code;
  }
  const Options& options = *parsed.options;
  const auto directory = Home::locate(options.home);
  if (!directory) return refuse(options, directory.error());
  std::error_code ignored;
  const bool fresh = !std::filesystem::exists(*directory / "key", ignored);
  if (fresh && options.verb != Verb::kRegister) {
    return refuse(
        options, kExitRefused, "not_registered",
        "no account in " + directory->string() + ": godwit register +NUMBER --server HOST:PORT");
  }
  const auto home = Home::open(*directory);
  if (!home) return refuse(options, home.error());
  const auto address = server(options, *home);
  if (!address) return refuse(options, address.error());
  auto secret = passphrase(options, *home);
  if (!secret) return refuse(options, secret.error());
  crypto::SystemEntropy entropy;
  const auto key = home->unlock(*secret, entropy);
  if (!key) return refuse(options, key.error());
  Start start{.args = args, .server = *address, .terminal = terminal()};
  start.view = options.verb == Verb::kChat && !options.json && start.terminal.in_tty &&
               start.terminal.out_tty;
  return run_command(options, *home, *key, start);
}

}  // namespace
}  // namespace godwit::cli

int main(int argc, char** argv) {
  std::setlocale(LC_ALL, "");
  // Messages are UTF-8, whatever the shell says.
  if (std::string_view(nl_langinfo(CODESET)) != "UTF-8") std::setlocale(LC_CTYPE, "C.UTF-8");
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (!arguments.empty() && arguments.front() == "bench") {  // has no home
    return godwit::loadgen::benchmark({arguments.begin() + 1, arguments.end()});
  }
  return godwit::cli::run(std::move(arguments));
}
