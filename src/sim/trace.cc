#include "sim/trace.h"

namespace godwit::sim {

std::string Trace::line(Instant now, std::string_view who, std::string_view what,
                        std::uint64_t number, std::size_t octets) const {
  const std::int64_t ms = (now - start_).ms;
  std::string fraction = std::to_string(ms % 1000);
  fraction.insert(0, 3 - fraction.size(), '0');
  std::string line = std::to_string(ms / 1000) + '.' + fraction + ' ';
  line.append(who).append(" ").append(what);
  if (number != 0) line += ' ' + std::to_string(number);
  if (octets != 0) line += " (" + std::to_string(octets) + " octets)";
  return line;
}

}  // namespace godwit::sim
