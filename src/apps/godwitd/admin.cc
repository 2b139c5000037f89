#include "apps/godwitd/admin.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace godwit::godwitd {

namespace {

constexpr const char* kName = "/admin.sock";
constexpr std::size_t kMaxLine = 8192;

// Names the socket by its directory's descriptor: a path may be longer than an address of a socket.
class Place {
 public:
  explicit Place(const std::string& data)
      : directory_(::open(data.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    const std::string path = "/proc/self/fd/" + std::to_string(directory_) + kName;
    std::memcpy(address_.sun_path, path.c_str(), path.size() + 1);
  }
  ~Place() {
    if (directory_ >= 0) close(directory_);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  const sockaddr* address() const { return reinterpret_cast<const sockaddr*>(&address_); }
  const char* path() const { return address_.sun_path; }

 private:
  int directory_;
  sockaddr_un address_{.sun_family = AF_UNIX, .sun_path = {}};
};

std::string read_line(int connection) {
  std::string line;
  char octet = 0;
  while (line.size() < kMaxLine && recv(connection, &octet, 1, 0) == 1 && octet != '\n') {
    line += octet;
  }
  return line;
}

void write_line(int connection, std::string line) {
  line += '\n';
  for (std::size_t at = 0; at < line.size();) {
    const ssize_t sent = send(connection, line.data() + at, line.size() - at, MSG_NOSIGNAL);
    if (sent <= 0) return;
    at += static_cast<std::size_t>(sent);
  }
}

void set_patience(int connection, int seconds) {
  const timeval time{.tv_sec = seconds, .tv_usec = 0};
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
}

}  // namespace

ports::Opened<std::unique_ptr<Admin>> Admin::open(const std::string& data, Answer answer) {
  const Place place(data);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  unlink(place.path());
  if (fd < 0 || bind(fd, place.address(), sizeof(sockaddr_un)) != 0 ||
      chmod(place.path(), 0600) != 0 || listen(fd, 4) != 0) {
    const int error = errno;
    if (fd >= 0) close(fd);
    return ports::cannot_open(Code::kIo, data + kName + ": " + std::strerror(error));
  }
  return std::unique_ptr<Admin>(new Admin(fd, std::move(answer)));
}

Admin::Admin(int socket, Answer answer)
    : socket_(socket), answer_(std::move(answer)), thread_([this] {
        for (;;) {
          const int connection = accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
          if (connection < 0 && errno != EINTR && errno != ECONNABORTED) return;
          if (connection >= 0) serve(connection);
        }
      }) {}

Admin::~Admin() {
  shutdown(socket_, SHUT_RDWR);
  thread_.join();
  close(socket_);
}

void Admin::serve(int connection) {
  set_patience(connection, 5);
  const std::string request = read_line(connection);
  if (!request.empty()) {
    const Reply reply = answer_(request);
    write_line(connection, reply.line);
    if (reply.last) _exit(0);
  }
  close(connection);
}

ports::Opened<std::string> Admin::ask(const std::string& data, const std::string& request) {
  const Place place(data);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, place.address(), sizeof(sockaddr_un)) != 0) {
    if (fd >= 0) close(fd);
    return ports::cannot_open(Code::kNotFound, "no server of yours runs on " + data);
  }
  set_patience(fd, 300);
  write_line(fd, request);
  std::string answer = read_line(fd);
  close(fd);
  if (answer.empty()) {
    return ports::cannot_open(Code::kIo, "the server ended without an answer: see its log");
  }
  return answer;
}

}  // namespace godwit::godwitd
