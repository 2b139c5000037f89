#include "apps/loadgen/codes.h"

#include <fstream>

namespace godwit::loadgen {

std::string Codes::take(const std::string& phone) {
  const std::lock_guard lock(mutex_);
  if (!codes_.contains(phone)) read_on();
  const auto at = codes_.find(phone);
  if (at == codes_.end()) return {};
  std::string code = std::move(at->second);
  codes_.erase(at);
  return code;
}

// Lines {"phone":"+49...","code":"123456"}. The server starts the file anew when it has grown.
void Codes::read_on() {
  std::ifstream file(path_, std::ios::binary | std::ios::ate);
  if (!file) return;
  const auto size = static_cast<std::uint64_t>(file.tellg());
  if (size < read_) read_ = 0;
  file.seekg(static_cast<std::streamoff>(read_));
  for (std::string line; std::getline(file, line) && !file.eof();) {
    read_ += line.size() + 1;
    const std::string_view phone_key = "{\"phone\":\"", code_key = "\",\"code\":\"";
    const auto code = line.find(code_key);
    if (!line.starts_with(phone_key) || code == std::string::npos) continue;
    codes_[line.substr(phone_key.size(), code - phone_key.size())] =
        line.substr(code + code_key.size(), 6);
  }
}

}  // namespace godwit::loadgen
