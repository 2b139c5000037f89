// groupload: a writer and the members of its groups. Commands come from standard input, one a
// line; each is answered by a line of JSON. See bench/group.py.
#include <csignal>
#include <iostream>
#include <sstream>

#include "bench/groupload/writer.h"

namespace {

constexpr std::string_view kUsage =
    "groupload HOST:PORT CODES DIRECTORY\n"
    "  gather N                  N - 1 members and a writer get accounts, and connect\n"
    "  found N                   the writer makes a group of N, and says a first message\n"
    "  speak RATE COUNT SIZE     says COUNT messages in the last one, RATE a second\n";

using groupload::Members;
using groupload::Writer;

void put(std::ostream& out, const Writer::Cost& cost, std::uint32_t messages) {
  out << "{\"messages\": " << messages << ", \"seconds\": " << cost.seconds
      << ", \"sender_us\": " << cost.cpu_seconds / messages * 1e6
      << ", \"engine_us\": " << cost.engine_seconds / messages * 1e6
      << ", \"upload_octets\": " << static_cast<double>(cost.octets) / messages;
}

// The answer, or an error.
std::string run(Members& members, Writer& writer, std::uint32_t& size, const std::string& line,
                std::string& answer) {
  std::istringstream words(line);
  std::ostringstream out;
  std::string verb, error;
  double n[3] = {};
  words >> verb >> n[0] >> n[1] >> n[2];
  const auto whole = [&](int i) { return static_cast<std::uint32_t>(n[i]); };
  Writer::Cost cost;
  if (verb == "gather" && n[0] >= 2) {
    error = members.gather(whole(0) - 1);
    if (error.empty()) error = writer.enroll();
    out << "{\"registered\": " << n[0];
  } else if (verb == "found" && n[0] >= 2) {
    size = whole(0);
    error = writer.found(size - 1, cost);
    put(out, cost, 1);
  } else if (verb == "speak" && n[0] > 0 && n[1] >= 1) {
    error = writer.speak(n[0], whole(1), whole(2), cost);
    put(out, cost, whole(1));
    const Members::Sum sum = members.sum();
    out << ", \"deliveries\": " << sum.deliveries
        << ", \"wanted\": " << std::uint64_t{whole(1)} * (size - 1)
        << ", \"p50_ms\": " << sum.p50_ms << ", \"p99_ms\": " << sum.p99_ms;
  } else {
    return "no such command";
  }
  answer = out.str() + "}";
  return error;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << kUsage;
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  Members members(argv[1], argv[2]);
  Writer writer(argv[1], argv[2], argv[3], members);
  std::uint32_t size = 0;
  for (std::string line, answer; std::getline(std::cin, line);) {
    if (const std::string error = run(members, writer, size, line, answer); !error.empty()) {
      std::cerr << "groupload: " << line << ": " << error << "\n";
      return 1;
    }
    std::cout << answer << std::endl;
  }
  return 0;
}
