// sim: lives of seeds, and scenarios, on the command line. The one file of src/sim that prints.
//
//   sim --seeds A..B [--jobs N] [--json] [--hash] [--keep-going]
//   sim --seeds A..B --long ...        hours of conversation a life, instead of minutes
//   sim --deliveries N [--seeds A..B]  as many long lives as it takes to deliver N envelopes
//   sim --seeds S [--long] --trace
//   sim --scenario FILE [--trace] | --parse FILE
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>

#ifndef __wasi__
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "sim/scenario_player.h"
#include "sim/world.h"

namespace {

using namespace godwit;
using namespace godwit::sim;

struct Options {
  std::uint64_t first = 1;
  std::uint64_t last = 0;  // 0: as many as `deliveries` takes, or 200
  std::uint64_t deliveries = 0;  // 0: all the seeds
  std::uint32_t jobs = 2;
  std::string scenario;
  std::string parse;
  bool trace = false;
  bool json = false;
  bool hash = false;
  bool keep_going = false;
  Length length = Length::kShort;
};

// What one job has found out so far; plain, so that it fits through a pipe.
struct Tally {
  Statistics statistics;
  std::uint64_t hash = 0;  // the sum over the seeds: the same in any order
  std::uint64_t failures = 0;
  std::uint64_t failed_seed = 0;
  char checker[32] = {};
  char what[200] = {};
};

void copy(char* to, std::size_t size, const std::string& from) {
  std::snprintf(to, size, "%s", from.c_str());
}

void add(Tally& sum, const Tally& one) {
  Statistics& a = sum.statistics;
  const Statistics& b = one.statistics;
  a.seeds += b.seeds;
  a.events += b.events;
  a.composed += b.composed;
  a.shown += b.shown;
  a.acts += b.acts;
  a.deliveries += b.deliveries;
  a.late += b.late;
  a.requested += b.requested;
  a.repeated += b.repeated;
  a.injuries += b.injuries;
  a.sealed += b.sealed;
  a.named += b.named;
  a.frames += b.frames;
  a.commits += b.commits;
  a.faults += b.faults;
  a.simulated_ms += b.simulated_ms;
  a.slowest_heal_ms = std::max(a.slowest_heal_ms, b.slowest_heal_ms);
  sum.hash += one.hash;
  sum.failures += one.failures;
  const bool earlier = sum.failed_seed == 0 || one.failed_seed < sum.failed_seed;
  if (one.failed_seed != 0 && earlier) {
    sum.failed_seed = one.failed_seed;
    std::memcpy(sum.checker, one.checker, sizeof sum.checker);
    std::memcpy(sum.what, one.what, sizeof sum.what);
  }
}

Tally live(std::uint64_t seed, Length length) {
  World world(seed, {}, length);
  const Outcome outcome = world.run();
  Tally tally;
  tally.statistics = outcome.statistics;
  tally.hash = outcome.hash * (2 * seed + 1);  // the same hashes at other seeds are another sum
  if (outcome.violation) {
    tally.failures = 1;
    tally.failed_seed = seed;
    copy(tally.checker, sizeof tally.checker, outcome.violation->checker);
    copy(tally.what, sizeof tally.what, outcome.violation->what);
  }
  return tally;
}

double elapsed(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
}

#ifdef __wasi__

Tally live_all(const Options& options) {
  Tally sum;
  for (std::uint64_t seed = options.first; seed <= options.last; ++seed) {
    add(sum, live(seed, options.length));
    if (sum.failures != 0 && !options.keep_going) break;
  }
  return sum;
}

#else

void progress(const Tally& sum, double seconds) {
  std::fprintf(stderr, "\r%llu seeds, %.0f/s",
               static_cast<unsigned long long>(sum.statistics.seeds),
               static_cast<double>(sum.statistics.seeds) / seconds);
}

// Every jobs-th seed, reported through the pipe in pieces that are written whole.
[[noreturn]] void work(const Options& options, std::uint32_t job, int pipe) {
  constexpr std::uint64_t kReportEvery = 25;
  static_assert(sizeof(Tally) <= 512);  // PIPE_BUF at least
  Tally part;
  std::uint64_t delivered = 0;
  for (std::uint64_t seed = options.first + job; seed <= options.last; seed += options.jobs) {
    const Tally one = live(seed, options.length);
    add(part, one);
    if (one.failures != 0 && options.keep_going) {
      std::fprintf(stderr, "\rseed %llu breaks '%s': %s\n", static_cast<unsigned long long>(seed),
                   one.checker, one.what);
    }
    delivered += one.statistics.deliveries;
    const bool failed = part.failures != 0 && !options.keep_going;
    const bool enough =
        failed || (options.deliveries != 0 && delivered >= options.deliveries / options.jobs);
    if (enough || part.statistics.seeds == kReportEvery || seed + options.jobs > options.last) {
      if (write(pipe, &part, sizeof part) != sizeof part) _exit(1);
      part = {};
    }
    if (enough) break;
  }
  _exit(0);
}

Tally live_all(const Options& options) {
  int ends[2];
  if (pipe(ends) != 0) std::perror("pipe"), std::exit(2);
  for (std::uint32_t job = 0; job < options.jobs; ++job) {
    if (fork() == 0) {
      close(ends[0]);
      work(options, job, ends[1]);
    }
  }
  close(ends[1]);
  const auto begin = std::chrono::steady_clock::now();
  Tally sum;
  Tally part;
  bool crashed = false;
  while (read(ends[0], &part, sizeof part) == sizeof part) {
    add(sum, part);
    if (isatty(2)) progress(sum, elapsed(begin));
  }
  if (isatty(2)) std::fprintf(stderr, "\n");
  for (std::uint32_t job = 0; job < options.jobs; ++job) {
    int status = 0;
    wait(&status);
    crashed |= status != 0;
  }
  if (crashed) {
    ++sum.failures;
    copy(sum.checker, sizeof sum.checker, "check");
    copy(sum.what, sizeof sum.what, "a CHECK failed: see above; run with --jobs 1 --trace");
  }
  return sum;
}

#endif

int trace_seed(std::uint64_t seed, Length length, std::size_t lines) {
  std::deque<std::string> last;
  const auto print = [&](const std::string& line) {
    if (lines == 0) {
      std::printf("%s\n", line.c_str());
      return;
    }
    last.push_back(line);
    if (last.size() > lines) last.pop_front();
  };
  World world(seed, print, length);
  const Outcome outcome = world.run();
  for (const std::string& line : last) std::printf("  %s\n", line.c_str());
  if (!outcome.violation) return 0;
  std::printf("seed %llu breaks '%s': %s\n", static_cast<unsigned long long>(seed),
              outcome.violation->checker.c_str(), outcome.violation->what.c_str());
  return 1;
}

void report(const Options& options, const Tally& sum, double seconds) {
  const Statistics& s = sum.statistics;
  const auto number = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
  const double rate = static_cast<double>(s.seeds) / seconds;
  const double hours = static_cast<double>(s.simulated_ms) / 3.6e6;
  if (options.json) {
    std::printf(
        "{\"seeds\":%llu,\"seconds\":%.2f,\"seeds_per_second\":%.1f,"
        "\"simulated_hours\":%.2f,\"texts\":%llu,\"deliveries\":%llu,\"sealed\":%llu,\"named\":%"
        "llu,\"frames\":%llu,"
        "\"commits\":%llu,\"faults\":%llu,\"injuries\":%llu,\"requested\":%llu,"
        "\"repeated\":%llu,\"late\":%llu,\"events\":%llu,\"slowest_heal_ms\":%llu,\"hash\":\"%"
        "016llx\","
        "\"failures\":%llu,\"failed_seed\":%llu,\"checker\":\"%s\"}\n",
        number(s.seeds), seconds, rate, hours, number(s.composed), number(s.deliveries),
        number(s.sealed), number(s.named), number(s.frames), number(s.commits), number(s.faults),
        number(s.injuries), number(s.requested), number(s.repeated), number(s.late),
        number(s.events), number(s.slowest_heal_ms), number(sum.hash), number(sum.failures),
        number(sum.failed_seed), sum.checker);
    return;
  }
  if (options.hash) {
    std::printf("%llu..%llu %016llx\n", number(options.first), number(options.last),
                number(sum.hash));
    return;
  }
  std::printf(
      "%llu seeds in %.1f s (%.0f/s): %.1f simulated hours, %llu texts, %llu deliveries (%llu "
      "parcels sealed, %llu not), "
      "%llu frames, %llu client commits, %llu faults, %llu of them injuries (%llu deliveries "
      "unreadable and asked for again, %llu contents repeated, %llu texts shown late); "
      "slowest to heal %.1f s; hash %016llx; %llu seeds failed\n",
      number(s.seeds), seconds, rate, hours, number(s.composed), number(s.deliveries),
      number(s.sealed), number(s.named), number(s.frames), number(s.commits), number(s.faults),
      number(s.injuries), number(s.requested), number(s.repeated), number(s.late),
      static_cast<double>(s.slowest_heal_ms) / 1000, number(sum.hash), number(sum.failures));
}

std::optional<Scenario> read_scenario(const std::string& path) {
  std::FILE* const file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    std::fprintf(stderr, "%s: no such file\n", path.c_str());
    return std::nullopt;
  }
  std::string text;
  char part[4096];
  for (std::size_t n = 0; (n = std::fread(part, 1, sizeof part, file)) > 0;) text.append(part, n);
  std::fclose(file);
  auto scenario = parse_scenario(path, text);
  if (scenario) return std::move(*scenario);
  std::fprintf(stderr, "%s\n", scenario.error().c_str());
  return std::nullopt;
}

int play(const Options& options) {
  const auto scenario = read_scenario(options.scenario);
  if (!scenario) return 2;
  Trace::Print print;
  if (options.trace) print = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
  ScenarioPlayer player(options.scenario, options.first, std::move(print));
  const auto problem = player.play(*scenario);
  std::printf("%s: %s\n", problem ? "FAILED" : "ok", scenario->promise.c_str());
  if (problem) std::printf("%s\n", problem->c_str());
  return problem ? 1 : 0;
}

bool parse_seeds(std::string_view text, Options& options) {
  const auto number = [](std::string_view digits, std::uint64_t& value) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() && end == digits.data() + digits.size();
  };
  const std::size_t dots = text.find("..");
  if (dots == std::string_view::npos) {
    return number(text, options.first) && number(text, options.last);
  }
  return number(text.substr(0, dots), options.first) && number(text.substr(dots + 2), options.last);
}

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    const std::string value = i + 1 < argc ? argv[i + 1] : "";
    if (flag == "--trace") options.trace = true;
    else if (flag == "--json") options.json = true;
    else if (flag == "--hash") options.hash = true;
    else if (flag == "--keep-going") options.keep_going = true;
    else if (flag == "--long") options.length = Length::kLong;
    else if (value.empty()) return std::nullopt;
    else if (++i; flag == "--scenario") options.scenario = value;
    else if (flag == "--parse") options.parse = value;
    else if (flag == "--deliveries") options.deliveries = std::strtoull(value.c_str(), nullptr, 10);
    else if (flag == "--jobs") options.jobs = static_cast<std::uint32_t>(std::atoi(value.c_str()));
    else if (flag != "--seeds" || !parse_seeds(value, options)) return std::nullopt;
  }
  if (options.jobs == 0) return std::nullopt;
  if (options.deliveries != 0) options.length = Length::kLong;
  if (options.last == 0) options.last = options.deliveries != 0 ? UINT64_MAX - options.jobs : 200;
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options) {
    std::fprintf(stderr,
                 "usage: sim --seeds A..B [--long] [--jobs N] [--json] [--hash] [--keep-going] "
                 "[--trace]\n"
                 "       sim --deliveries N [--seeds A..B] [--jobs N] [--json]\n"
                 "       sim --scenario FILE [--trace]\n"
                 "       sim --parse FILE\n");
    return 2;
  }
  if (!options->parse.empty()) {
    const auto scenario = read_scenario(options->parse);
    if (!scenario) return 2;
    std::fputs(to_json_lines(*scenario).c_str(), stdout);
    return 0;
  }
  if (!options->scenario.empty()) return play(*options);
  if (options->trace) return trace_seed(options->first, options->length, 0);

  const auto begin = std::chrono::steady_clock::now();
  const Tally sum = live_all(*options);
  report(*options, sum, elapsed(begin));
  if (sum.failures == 0) return 0;
  if (sum.failed_seed != 0) {
    std::printf("the last lines of seed %llu:\n", static_cast<unsigned long long>(sum.failed_seed));
    trace_seed(sum.failed_seed, options->length, 40);
    std::printf("replay: sim --seeds %llu%s --trace\n",
                static_cast<unsigned long long>(sum.failed_seed),
                options->length == Length::kLong ? " --long" : "");
  } else {
    std::printf("%s: %s\n", sum.checker, sum.what);
  }
  return 1;
}
