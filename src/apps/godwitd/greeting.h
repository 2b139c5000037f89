// What a person reads who has just started a server.
#pragma once

#include <string>

#include "io/address.h"

namespace godwit::godwitd {

struct Greeting {
  io::Address clients;
  std::string http;  // empty: off
  std::string data;
  std::string key;  // of the server, for people to compare
  bool quickstart = false;
};
std::string greeting_text(const Greeting& greeting);

// Tells systemd the state ("READY=1"), if it asked for that. Best effort.
void notify_systemd(std::string_view state);

}  // namespace godwit::godwitd
