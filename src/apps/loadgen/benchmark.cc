#include "apps/loadgen/benchmark.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <csignal>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/loadgen/stage.h"

namespace godwit::loadgen {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kExitOk = 0, kExitHarm = 1, kExitUsage = 2, kExitRefused = 3, kExitUnreachable = 6;
constexpr std::array<const char*, 5> kShares = {"0.5", "0.9", "0.99", "0.999", "0.9999"};

struct Options {
  Stage::Options stage{.server = "127.0.0.1:7400",
                       .people = "godwit-bench.people",
                       .codes = "godwit-data/verification-codes.jsonl"};
  std::uint32_t phones = 1000, seconds = 10, size = 200, outstanding = 500, rate = 0, ping = 60;
  std::string svg;
  bool json = false;
};

// Stage's commands, one after the other; the first that fails ends it.
class Script {
 public:
  explicit Script(Stage& stage) : stage_(stage) {}

  Json run(const std::string& line) {
    if (!error_.empty()) return {};
    std::cerr << "> " << line << "\n";
    const auto answer = stage_.command(line);
    if (!answer) {
      const Error error = answer.error();
      error_ = std::string(error.text);
      if (!stage_.said().empty()) error_ += " (it says: " + stage_.said() + ")";
      exit_ = error.code == Code::kUnavailable ? kExitUnreachable
              : error.code == Code::kForbidden || error.code == Code::kUnsupported ? kExitRefused
                                                                                   : kExitUsage;
      return {};
    }
    return Json::parse(*answer);
  }
  const std::string& error() const { return error_; }
  int exit_code() const { return exit_; }

 private:
  Stage& stage_;
  std::string error_;
  int exit_ = kExitOk;
};

std::uint32_t registered_in(const std::string& path) {
  const auto people = People::load(path);
  return people ? static_cast<std::uint32_t>(people->users.size()) : 0;
}

Json measure(const Options& o, Script& script) {
  Json told;
  const auto n = [](std::uint32_t number) { return " " + std::to_string(number); };
  if (registered_in(o.stage.people) < o.phones) {
    const Json done = script.run("register" + n(o.phones));
    if (!script.error().empty()) return told;
    told["registered_per_second"] = std::llround(o.phones / done["seconds"].get<double>());
  }
  const Json connected = script.run("connect" + n(o.phones));
  script.run("idle" + n(std::min(o.seconds, 5U)));
  const Json most =
      script.run("flood" + n(std::min(o.outstanding, o.phones)) + n(o.seconds) + n(o.size));
  if (!script.error().empty()) return told;
  told["connections"] = connected["connections"];
  told["connects_per_second"] = std::llround(o.phones / connected["seconds"].get<double>());
  const auto per_second = most["messages_per_second"].get<double>();
  told["messages_per_second"] = std::llround(per_second);
  const auto rate =
      o.rate != 0 ? o.rate : std::max(1U, static_cast<std::uint32_t>(per_second * 0.7));
  const Json paced = script.run("load" + n(rate) + n(o.seconds) + n(o.size));
  if (!script.error().empty()) return told;
  told["latency_at_per_second"] = rate;
  for (const char* share : kShares) told["latency_ms"][share] = paced["latency_ms"][share];
  for (const char* harm : {"lost", "duplicated", "refused"}) {
    told[harm] = most[harm].get<std::uint64_t>() + paced[harm].get<std::uint64_t>();
  }
  told["cut"] = paced["cut"];
  return told;
}

std::string percent(const char* share) {
  std::ostringstream text;
  text << std::stod(share) * 100 << " %";
  return text.str();
}

void print(const Json& told, std::ostream& out) {
  const auto row = [&](const char* what, const auto& value) {
    out << std::left << std::setw(36) << what << value << "\n";
  };
  if (told.contains("registered_per_second")) {
    row("registered a second", told["registered_per_second"]);
  }
  row("phones connected", told["connections"]);
  row("connected a second", told["connects_per_second"]);
  row("messages a second, at most", told["messages_per_second"]);
  out << "from being due to arrival, at " << told["latency_at_per_second"] << " a second:\n";
  for (const char* share : kShares) {
    row(("  " + percent(share) + " within (ms)").c_str(), told["latency_ms"][share]);
  }
  for (const char* harm : {"lost", "duplicated", "refused", "cut"}) row(harm, told[harm]);
}

// Latency over the share of messages within it; 90 %, 99 %, ... at equal distances.
bool plot(const Json& told, const std::string& path) {
  constexpr double kLeft = 60, kBottom = 320, kStep = 130, kHigh = 280;
  double top = 1;
  for (const auto& ms : told["latency_ms"]) top = std::max(top, ms.get<double>());
  std::ofstream svg(path);
  svg << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 360\" "
         "font-family=\"sans-serif\" font-size=\"12\">\n<text x=\"60\" y=\"20\">ms from being due "
         "to arrival, at "
      << told["latency_at_per_second"] << " messages a second</text>\n<text x=\"8\" y=\"44\">"
      << std::lround(top) << "</text><text x=\"8\" y=\"324\">0</text>\n"
      << "<path d=\"M60 40V320H600\" fill=\"none\" stroke=\"gray\"/>\n"
      << "<polyline fill=\"none\" stroke=\"black\" points=\"";
  for (const char* share : kShares) {
    svg << kLeft - kStep * std::log10(1 - std::stod(share)) << ","
        << kBottom - kHigh * told["latency_ms"][share].get<double>() / top << " ";
  }
  svg << "\"/>\n";
  for (int nines = 0; nines < 5; ++nines) {
    constexpr std::array<const char*, 5> kMarks = {"0 %", "90 %", "99 %", "99.9 %", "99.99 %"};
    svg << "<text x=\"" << kLeft + kStep * nines << "\" y=\"340\">"
        << kMarks[static_cast<std::size_t>(nines)] << "</text>\n";
  }
  svg << "</svg>\n";
  return svg.flush().good();
}

int refuse(int code, const std::string& why) {
  std::cerr << "godwit bench: " << why << "\n";
  return code;
}

}  // namespace

int benchmark(std::vector<std::string> arguments) {
  Options o;
  CLI::App app(
      "Measures a server with phones of its own. Never point it at a server that serves people: "
      "the accounts that it registers stay, and it asks for all that the server can do.",
      "godwit bench");
  app.add_option("--server", o.stage.server, "HOST:PORT")->capture_default_str();
  app.add_option("--codes", o.stage.codes, "The server's file of verification codes")
      ->capture_default_str();
  app.add_option("--people", o.stage.people, "File of those who are registered, for the next time")
      ->capture_default_str();
  app.add_option("--phones", o.phones, "To connect")
      ->check(CLI::Range(2, 4'000'000))
      ->capture_default_str();
  app.add_option("--seconds", o.seconds, "Of each flow of messages")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  app.add_option("--rate", o.rate, "Messages a second, for latencies; 0: 70 % of the most")
      ->capture_default_str();
  app.add_option("--outstanding", o.outstanding, "Messages under way at once, for the most")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--size", o.size, "Octets of a ciphertext")
      ->check(CLI::Range(32, 65536))
      ->capture_default_str();
  app.add_option("--ping", o.ping, "Seconds between two pings of a phone")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  app.add_option("--svg", o.svg, "File for a plot of the latencies");
  app.add_flag("--json", o.json, "The result as one JSON object");
  app.footer(
      "Example, where the server runs:\n"
      "  godwit bench --codes /var/lib/godwit/verification-codes.jsonl --phones 5000 --svg p.svg\n"
      "Exit codes: 0 done, 1 something was lost, doubled, refused or cut, 2 wrong option or file,\n"
      "3 refused, 6 nobody answers.");
  std::ranges::reverse(arguments);  // as CLI11 takes them
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  o.stage.most = o.phones;
  o.stage.ping = seconds(o.ping);
  std::signal(SIGPIPE, SIG_IGN);
  const auto stage = Stage::create(o.stage);
  if (!stage) return refuse(kExitUsage, std::string(stage.error().text));
  Script script(**stage);
  const Json told = measure(o, script);
  if (!script.error().empty()) {
    return refuse(script.exit_code(), o.stage.server + ": " + script.error());
  }
  if (o.json) std::cout << told.dump() << "\n";
  else print(told, std::cout);
  if (!o.svg.empty() && !plot(told, o.svg)) return refuse(kExitUsage, "cannot write " + o.svg);
  for (const char* harm : {"lost", "duplicated", "refused", "cut"}) {
    if (told[harm] != 0) return kExitHarm;
  }
  return kExitOk;
}

}  // namespace godwit::loadgen
