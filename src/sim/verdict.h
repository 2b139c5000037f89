// Verdict: the first promise that a life broke, if any. What happens after it proves nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace godwit::sim {

struct Violation {
  std::string checker;
  std::string what;
};

class Verdict {
 public:
  void broken(std::string_view checker, std::string what) {
    if (!first_) first_ = Violation{std::string(checker), std::move(what)};
  }
  bool good() const { return !first_.has_value(); }
  const std::optional<Violation>& first() const { return first_; }

 private:
  std::optional<Violation> first_;
};

}  // namespace godwit::sim
