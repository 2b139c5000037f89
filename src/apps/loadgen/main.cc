// loadgen: a crowd of phones, for measurements. Commands come from standard input.
#include <CLI/CLI.hpp>

#include <csignal>
#include <iostream>

#include "apps/loadgen/stage.h"

int main(int argc, char** argv) {
  using godwit::loadgen::Stage;
  Stage::Options options{.server = "127.0.0.1:7400",
                         .people = "people",
                         .codes = "godwit-data/verification-codes.jsonl",
                         .most = 1000};
  std::uint32_t ping = 25;
  CLI::App app(
      "A crowd of phones, for measurements. Never point it at a server that serves people.");
  app.footer("Commands, from standard input, one a line; each is answered by a line of JSON:\n" +
             std::string(Stage::kCommands));
  app.add_option("--server", options.server, "HOST:PORT")->capture_default_str();
  app.add_option("--people", options.people, "File of who is registered")->capture_default_str();
  app.add_option("--codes", options.codes, "The server's file of codes")->capture_default_str();
  app.add_option("--most", options.most, "Connections, at most")->capture_default_str();
  app.add_option("--first", options.first,
                 "The first user to connect: those before are left to others, who run `pairs`")
      ->capture_default_str();
  app.add_option("--ping", ping, "Seconds between two pings of a phone")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  options.ping = godwit::seconds(ping);
  std::signal(SIGPIPE, SIG_IGN);
  const auto stage = Stage::create(options);
  if (!stage) {
    std::cerr << "loadgen: " << stage.error().text << "\n";
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);) {
    const auto answer = (*stage)->command(line);
    if (!answer) {
      std::cerr << "loadgen: " << line << ": " << answer.error().text << "\n";
      return 1;
    }
    std::cout << *answer << std::endl;
  }
  return 0;
}
