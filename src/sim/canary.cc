#include "sim/canary.h"

#include <charconv>

namespace godwit::sim {

std::string name_of(const TextId& id) {
  const std::string in = id.group == 0 ? std::string() : " in group " + std::to_string(id.group);
  return std::to_string(id.from) + '.' + std::to_string(id.generation) + "->" +
         std::to_string(id.to) + " #" + std::to_string(id.number) + in;
}

TextId written(TextId id) {
  if (id.group != 0) id.to = 0;
  return id;
}

std::string write_text(const TextId& id, std::size_t size) {
  std::string text(kCanary);
  for (const std::uint32_t part : {id.from, id.generation, written(id).to, id.number, id.group}) {
    text += std::to_string(part) + ' ';
  }
  text += std::to_string(size) + ' ';
  while (text.size() < size) text += static_cast<char>('a' + text.size() % 26);
  return text;
}

std::optional<TextId> read_text(std::string_view text) {
  if (!text.starts_with(kCanary)) return std::nullopt;
  const char* at = text.data() + kCanary.size();
  const char* const end = text.data() + text.size();
  std::uint32_t parts[6] = {};
  for (std::uint32_t& part : parts) {
    const auto [next, error] = std::from_chars(at, end, part);
    if (error != std::errc() || next == end || *next != ' ') return std::nullopt;
    at = next + 1;
  }
  const TextId id{parts[0], parts[1], parts[2], parts[3], parts[4]};
  if (write_text(id, parts[5]) != text) return std::nullopt;
  return id;
}

}  // namespace godwit::sim
