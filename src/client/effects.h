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
// The two connections of an engine. The other one says nothing about who makes it: it must prove
// another Noise key each time, and share nothing with the own one that could be compared.
enum class Line : std::uint8_t { kOwn, kNameless };

// Send on the present connection; dropped when there is none (the engine repeats what matters).
struct SendFrame {
  proto::Frame frame;
  Line line = Line::kOwn;
};
// Open a connection to the server now; answer with on_connected or on_disconnected.
struct Connect {
  Line line = Line::kOwn;
};
// Close the connection; answer with on_disconnected.
struct Disconnect {
  Line line = Line::kOwn;
};
// Tell the person (or the program that uses the engine).
struct Notify {
  Event event;
};
using Effect = std::variant<Commit, SendFrame, Connect, Disconnect, Notify>;
using Effects = std::vector<Effect>;

}  // namespace godwit::client
