// RecordingGateway: the Gateway of tests and of the simulator. Sends nothing, remembers all of it.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ports/gateway.h"

namespace godwit::ports {

class RecordingGateway final : public Gateway {
 public:
  struct Sent {
    std::string phone;
    std::string code;
    bool operator==(const Sent&) const = default;
  };

  Result<void> send_code(std::string_view phone, std::string_view code) override {
    if (const auto error = std::exchange(next_error_, std::nullopt)) return fail(*error);
    sent_.push_back({std::string(phone), std::string(code)});
    return {};
  }

  void fail_next(Error error) { next_error_ = error; }
  const std::vector<Sent>& sent() const { return sent_; }
  // The code last sent to `phone`, nullopt when there was none.
  std::optional<std::string> last_code(std::string_view phone) const {
    for (auto at = sent_.rbegin(); at != sent_.rend(); ++at) {
      if (at->phone == phone) return at->code;
    }
    return std::nullopt;
  }

 private:
  std::vector<Sent> sent_;
  std::optional<Error> next_error_;
};

}  // namespace godwit::ports
