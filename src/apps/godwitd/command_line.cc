#include "apps/godwitd/command_line.h"

#include <CLI/CLI.hpp>
#include <sstream>

namespace godwit::godwitd {

namespace {

constexpr const char* kAbout =
    "godwitd: the server of the godwit messenger.\n\n"
    "  godwitd                              for this machine only, data in ./godwit-data\n"
    "  godwitd --listen 0.0.0.0:7400        for everybody who reaches this machine\n"
    "  godwitd --config /etc/godwitd.toml   settings from a file\n"
    "  godwitd check-config godwitd.toml    what would be in force; starts nothing\n"
    "  godwitd upgrade [BINARY]             a new program takes over; no client notices\n"
    "  godwitd rollback                     back to the program before the last upgrade\n";
constexpr const char* kFooter =
    "Each setting is also an environment variable (GODWIT_LISTEN, ...) and a key of the file.\n"
    "Exit codes: 0 stopped, 2 wrong option or configuration, 3 data directory in use or of\n"
    "another version, 4 data damaged, 5 cannot listen, 6 disk full, 7 system error, 8 the upgrade\n"
    "failed and the server goes on as it was.";

}  // namespace

CommandLine parse_command_line(int argc, const char* const* argv) {
  CommandLine line;
  CLI::App app(kAbout, "godwitd");
  app.footer(kFooter);
  app.set_version_flag("--version", "godwitd " GODWIT_VERSION);
  std::string file;
  const auto flag = [&](const char* name, const char* key, const char* type, const char* help) {
    app.add_option_function<std::string>(
           name,
           [&line, key](const std::string& value) { line.sources.flags.emplace_back(key, value); },
           help)
        ->type_name(type);
  };
  flag("--data", "data", "DIR", "Where everything is kept (godwit-data)");
  flag("--listen", "listen", "HOST:PORT", "Where clients connect (127.0.0.1:7400)");
  flag("--http", "http", "HOST:PORT", "Health and metrics (127.0.0.1:7480), or off");
  flag("--log", "log", "FORM", "human or json (human)");
  flag("--log-level", "log_level", "LEVEL", "debug, info, warn or error (info)");
  flag("--threads", "threads", "N", "Threads that serve clients (one per core)");
  flag("--max-connections", "max_connections", "N",
       "The most at once (as many as files may be open)");
  flag("--write-behind", "write_behind", "MS", "How long a push may wait to be stored (200)");
  app.add_option("--config", file, "A TOML file with settings")->type_name("FILE");
  app.add_flag("--quickstart", line.quickstart, "Print the commands to try next");
  CLI::App* check = app.add_subcommand("check-config", "Print the settings in force, or the error");
  check->add_option("file", file, "A TOML file with settings")->type_name("FILE");
  CLI::App* upgrade = app.add_subcommand(
      "upgrade", "Hand a running server's clients over to a new program (or SIGUSR2)");
  upgrade->add_option("binary", line.binary, "The new program (the running one's own file)")
      ->type_name("BINARY");
  CLI::App* rollback =
      app.add_subcommand("rollback", "Hand them back to the program before the last upgrade");
  for (CLI::App* one : {upgrade, rollback}) {
    one->add_flag("--json", line.json, "One line of JSON");
    one->fallthrough();  // --data names the server
  }
  try {
    app.parse(argc, argv);
    if (!file.empty()) line.sources.file = file;
    if (check->parsed()) line.verb = CommandLine::Verb::kCheckConfig;
    if (upgrade->parsed()) line.verb = CommandLine::Verb::kUpgrade;
    if (rollback->parsed()) line.verb = CommandLine::Verb::kRollback;
  } catch (const CLI::ParseError& error) {
    line.verb = CommandLine::Verb::kExit;
    if (error.get_exit_code() == 0) {
      std::ostringstream out, err;
      app.exit(error, out, err);
      line.out = out.str();
    } else {
      line.err = std::string("godwitd: ") + error.what() + "\nTry: godwitd --help\n";
      line.exit_code = kExitUsage;
    }
  }
  return line;
}

}  // namespace godwit::godwitd
