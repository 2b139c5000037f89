// Slash: what a line that begins with "/" asks of a chat. Pure: no screen, no connection.
//
// Messages are named by the numbers that the screen shows while such a line is being written; where
// a command names none, the newest that it makes sense for is meant.
#pragma once

#include "apps/godwit/chat_model.h"

namespace godwit::cli {

struct Slash {
  std::vector<Json> wishes;  // for the chat (chat_command.h)
  std::string note;  // for the person: help, who is here
  std::string problem;  // why nothing happens
  bool leave = false;
};

// `line` with its "/". The model tells which messages there are.
Slash read_slash(std::string_view line, const ChatModel& model);

// "/re" -> "/react ": as far as all commands that begin so agree; the text itself when none does.
std::string complete_slash(std::string_view begun);

}  // namespace godwit::cli
