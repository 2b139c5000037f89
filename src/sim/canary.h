// Canary: every text of a random life says who wrote it to whom, and carries a mark that must never
// be seen outside of the two devices.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace godwit::sim {

inline constexpr std::string_view kCanary = "~canary~";

// The number-th text of a device to a person, or to the group-th group: as its writer has it `to`
// is 0 then, as its readers have it `to` is each of them. A person's devices, one after another,
// are numbered by `generation`.
struct TextId {
  std::uint32_t from = 0;
  std::uint32_t generation = 0;
  std::uint32_t to = 0;
  std::uint32_t number = 0;
  std::uint32_t group = 0;  // counted from 1; 0: it is between two
  auto operator<=>(const TextId&) const = default;
};

// A text of at least `size` octets.
std::string write_text(const TextId& id, std::size_t size);
// As its writer has it. nullopt: not one of ours, or not as it was written.
std::optional<TextId> read_text(std::string_view text);
// As its writer has it.
TextId written(TextId id);
std::string name_of(const TextId& id);

}  // namespace godwit::sim
