#include "adapters/console/console_gateway.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ostream>

#include "adapters/console/phone_number.h"

namespace godwit::adapters {
namespace {

constexpr off_t kMaxFile = 1024 * 1024;
constexpr Error kNoFile = {
    Code::kIo, "the file of verification codes cannot be written: check the data directory"};

bool is_code(std::string_view code) {
  return code.size() == 6 && code.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

Result<void> ConsoleGateway::send_code(std::string_view phone, std::string_view code) {
  const auto number = parse_phone(phone);
  if (!number) return fail(number.error());
  if (*number != phone) return fail(Code::kInvalid, "write the number in E.164: no punctuation");
  if (!is_code(code)) return fail(Code::kInvalid, "a verification code has six digits");
  const std::lock_guard lock(mutex_);
  out_ << "verification code for " << phone << ": " << code << std::endl;
  return append("{\"phone\":\"" + *number + "\",\"code\":\"" + std::string(code) + "\"}\n");
}

Result<void> ConsoleGateway::append(const std::string& line) const {
  const int flags = O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW;
  const int file = open(codes_file_.c_str(), flags, 0600);
  if (file < 0) return fail(kNoFile);
  struct stat status{};
  const bool grown = fstat(file, &status) == 0 && status.st_size > kMaxFile;
  const bool written = (!grown || ftruncate(file, 0) == 0) &&
                       write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  const bool full = !written && errno == ENOSPC;
  close(file);
  if (full) return fail(Code::kFull, "the disk is full: free some space");
  if (!written) return fail(kNoFile);
  return {};
}

}  // namespace godwit::adapters
