// Codes: the verification codes that a server with the console gateway writes to a file. Any
// thread.
#pragma once

#include <map>
#include <mutex>
#include <string>

namespace godwit::loadgen {

class Codes {
 public:
  explicit Codes(std::string path) : path_(std::move(path)) {}
  // The last code sent to `phone`, once; empty if there is none.
  std::string take(const std::string& phone);

 private:
  void read_on();

  const std::string path_;
  std::mutex mutex_;  // guards what follows
  std::uint64_t read_ = 0;  // octets of the file
  std::map<std::string, std::string> codes_;
};

}  // namespace godwit::loadgen
