// peerload: a crowd of clients for the servers that godwit is compared with. Commands come from
// standard input, one a line; each is answered by a line of JSON. See bench/peers.py.
#include <csignal>
#include <iostream>
#include <sstream>

#include "bench/peerload/crowd.h"

namespace {

constexpr std::string_view kUsage =
    "peerload mqtt|nats|jetstream|xmpp PORT [tls] [persistent]\n"
    "  register N                          XMPP: users 0 to N - 1\n"
    "  connect FIRST END                   users FIRST to END - 1\n"
    "  leave FIRST END                     ends their connections\n"
    "  idle SECONDS\n"
    "  pairs N WINDOW SECONDS SIZE         user 2i writes to 2i + 1\n"
    "  pace N RATE SECONDS SIZE            the same at RATE messages a second, all together\n"
    "  store N WINDOW FIRST COUNT MESSAGES SIZE\n"
    "                                      users 0 to N - 1 write to COUNT that are away\n"
    "  drain FIRST END                     these connect, and receive it\n"
    "  join N                              XMPP: users 0 to N - 1 come into room rN\n"
    "  speak N RATE COUNT SIZE             user 0 says COUNT messages in room rN\n";

std::string run(peerload::Crowd& crowd, const std::string& line) {
  std::istringstream words(line);
  std::string verb;
  words >> verb;
  double n[6] = {};
  int given = 0;
  while (given < 6 && words >> n[given]) ++given;
  const auto whole = [&](int i) { return static_cast<std::uint32_t>(n[i]); };
  peerload::Plan plan;
  plan.writers = whole(0);
  if (verb == "register" && given == 1) return crowd.register_users(whole(0));
  if (verb == "connect" && given == 2) return crowd.connect(whole(0), whole(1));
  if (verb == "leave" && given == 2) return crowd.leave(whole(0), whole(1));
  if (verb == "idle" && given == 1) return crowd.idle(n[0]);
  if (verb == "drain" && given == 2) return crowd.drain(whole(0), whole(1));
  if (verb == "pairs" && given == 4) {
    plan.window = whole(1);
    plan.size = whole(3);
    return crowd.write(plan, n[2]);
  }
  if (verb == "pace" && given == 4) {
    plan.rate = n[1];
    plan.size = whole(3);
    return crowd.write(plan, n[2]);
  }
  if (verb == "store" && given == 6) {
    plan.stride = 1;
    plan.window = whole(1);
    plan.first = whole(2);
    plan.targets = whole(3);
    plan.messages = whole(4);
    plan.size = whole(5);
    return crowd.write(plan, 0);
  }
  const std::string room = "r" + std::to_string(whole(0));
  if (verb == "join" && given == 1) return crowd.join(room, whole(0));
  if (verb == "speak" && given == 4) {
    plan.rate = n[1];
    plan.messages = whole(2);
    plan.size = whole(3);
    return crowd.speak(room, plan);
  }
  return "error: no such command";
}

}  // namespace

int main(int argc, char** argv) {
  const std::string dialect = argc > 2 ? argv[1] : "";
  if (dialect != "mqtt" && dialect != "nats" && dialect != "jetstream" && dialect != "xmpp") {
    std::cerr << kUsage;
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  peerload::CrowdOptions options{dialect, static_cast<std::uint16_t>(std::stoi(argv[2]))};
  for (int i = 3; i < argc; ++i) {
    options.tls = options.tls || argv[i] == std::string_view("tls");
    options.persistent = options.persistent || argv[i] == std::string_view("persistent");
  }
  peerload::Crowd crowd(options);
  for (std::string line; std::getline(std::cin, line);) {
    const std::string answer = run(crowd, line);
    if (answer.starts_with("error: ")) {
      std::cerr << "peerload: " << line << ": " << answer.substr(7) << "\n";
      return 1;
    }
    std::cout << answer << std::endl;
  }
  return 0;
}
