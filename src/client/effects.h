// What the engine asks for, in order. A Commit gates everything after it.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "client/types.h"
#include "ports/store.h"
#include "proto/messages.h"

namespace godwit::client {

// Store this, durably, before anything that follows.
struct Commit {
  ports::Batch batch;
};
// Send on the present connection; dropped when there is none (the engine repeats what matters).
struct SendFrame {
  proto::Frame frame;
};
// Open a connection to the server now; answer with on_connected or on_disconnected.
struct Connect {};
// Close the connection; answer with on_disconnected.
struct Disconnect {};
// Tell the person (or the program that uses the engine).
struct Notify {
  Event event;
};
using Effect = std::variant<Commit, SendFrame, Connect, Disconnect, Notify>;
using Effects = std::vector<Effect>;

}  // namespace godwit::client
