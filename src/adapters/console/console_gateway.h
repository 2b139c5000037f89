// ConsoleGateway: shows verification codes to the operator, who passes them on.
//
// Each code goes to a stream for people and, as one JSON line {"phone":…,"code":…}, to a file for
// scripts. These two, and nothing else of godwit, show phone numbers: neither is a log. The file
// is for its owner alone and starts anew when it has grown past a mebibyte.
//
// Thread-safe.
#pragma once

#include <iosfwd>
#include <mutex>
#include <string>
#include <utility>

#include "ports/gateway.h"

namespace godwit::adapters {

class ConsoleGateway final : public ports::Gateway {
 public:
  // `out` must outlive the gateway. The file is created with the first code.
  ConsoleGateway(std::ostream& out, std::string codes_file)
      : out_(out), codes_file_(std::move(codes_file)) {}

  // kInvalid: not a phone number in E.164, or not six digits. kIo, kFull: the file refuses; then
  // the code was shown all the same.
  Result<void> send_code(std::string_view phone, std::string_view code) override;

 private:
  Result<void> append(const std::string& line) const;

  std::mutex mutex_;
  std::ostream& out_;
  const std::string codes_file_;
};

}  // namespace godwit::adapters
