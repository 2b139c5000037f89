// `godwit bench`: what a server can take, told to the one who runs it.
//
// Registers phones of its own (unless it did so before), connects them, lets them sleep, then lets
// random pairs write: first as fast as answers come, then at a given rate, whose latencies count.
// A message that leaves late counts from when it was due, so that a server that stalls is not
// asked less and judged better.
#pragma once

#include <string>
#include <vector>

namespace godwit::loadgen {

// `arguments` without the command's name. The result goes to standard output, progress to standard
// error. The exit code: 0; 1 when a message was lost, doubled or refused, or a phone cut; 2 for
// arguments that make no sense; 6 when the server does not do its part.
int benchmark(std::vector<std::string> arguments);

}  // namespace godwit::loadgen
