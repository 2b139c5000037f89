#include "apps/godwit/attach.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "adapters/sqlite/sqlite_store.h"
#include "apps/godwit/host.h"
#include "crypto/system_entropy.h"

namespace godwit::cli {
namespace {

constexpr int kBacklog = 64;
constexpr int kSeeOffMs = 100;
constexpr int kFrontEnd = 3;  // the descriptor of the first front-end, in the host

// Unix socket addresses are short; the path goes by a descriptor of the home, so that any home
// fits.
class SocketAddress {
 public:
  explicit SocketAddress(const Home& home)
      : directory_(::open(home.directory().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    address_.sun_family = AF_UNIX;
    std::snprintf(address_.sun_path, sizeof address_.sun_path, "/proc/self/fd/%d/%s", directory_,
                  home.socket().filename().c_str());
  }
  ~SocketAddress() {
    if (directory_ >= 0) ::close(directory_);
  }
  SocketAddress(const SocketAddress&) = delete;
  SocketAddress& operator=(const SocketAddress&) = delete;
  const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&address_); }
  socklen_t size() const { return sizeof address_; }

 private:
  int directory_;
  sockaddr_un address_{};
};

int listen_on(const Home& home) {
  const SocketAddress address(home);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  ::unlink(home.socket().c_str());
  const mode_t mask = ::umask(0177);
  const bool bound = ::bind(fd, address.data(), address.size()) == 0;
  ::umask(mask);
  if (bound && ::listen(fd, kBacklog) == 0) return fd;
  ::close(fd);
  return -1;
}

// The host keeps nothing of the terminal that it was started from: only `fd`, which becomes 3.
void leave_terminal(const Home& home, int fd) {
  ::setsid();
  for (const int number : {SIGINT, SIGTERM, SIGWINCH}) ::signal(number, SIG_DFL);
  ::signal(SIGPIPE, SIG_IGN);
  const int null = ::open("/dev/null", O_RDWR);
  // Empty, unless a broken invariant left its last words.
  const int log = ::open(home.log().c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (fd != kFrontEnd) ::dup2(fd, kFrontEnd);
  ::dup2(null, 0);
  ::dup2(null, 1);
  ::dup2(log >= 0 ? log : null, 2);
  ::closefrom(kFrontEnd + 1);  // pipes of the shell would stay open
}

void send_refusal(int fd, Code code, std::string text) {
  Bytes stream;
  put_packet(stream, PacketKind::kHello);
  put_packet(stream, PacketKind::kExit,
             encode(Ended{static_cast<std::uint32_t>(exit_of(code)), std::move(text)}));
  [[maybe_unused]] const ssize_t sent = ::send(fd, stream.data(), stream.size(), MSG_NOSIGNAL);
}

}  // namespace

int Attachment::connect_socket() const {
  const SocketAddress address(home_);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && ::connect(fd, address.data(), address.size()) == 0) return fd;
  if (fd >= 0) ::close(fd);
  return -1;
}

Result<int> Attachment::connect() {
  const int fd = connect_socket();
  if (fd >= 0) return fd;
  return fork_host();
}

Result<int> Attachment::fork_host() {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    return fail(Code::kIo, "no descriptor left: raise the limit (ulimit -n)");
  }
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) {
    ::close(pair[0]);
    ::close(pair[1]);
    return fail(Code::kIo, "no process can be started: raise the limit (ulimit -u)");
  }
  if (child == 0) {
    ::close(pair[0]);
    serve(home_, key_, pair[1]);
    ::_exit(0);
  }
  ::close(pair[1]);
  if (host_ >= 0) ::close(host_);
  host_ = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  return pair[0];
}

Attachment::~Attachment() {
  if (host_ >= 0) ::close(host_);
}

void Attachment::see_off() {
  if (host_ < 0) return;
  pollfd ended{.fd = host_, .events = POLLIN, .revents = 0};
  if (::poll(&ended, 1, kSeeOffMs) != 1) return;
  siginfo_t how{};
  ::waitid(P_PIDFD, static_cast<id_t>(host_), &how, WEXITED);
}

void serve(const Home& home, const crypto::Key& key, int fd) {
  leave_terminal(home, fd);
  const int lock = ::open(home.lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) {
    send_refusal(kFrontEnd, Code::kIo, "the home directory cannot be written");
    return;
  }
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) return;
  auto store = adapters::open_sqlite_store(home.store().string(), key.view());
  if (!store) {
    send_refusal(kFrontEnd, store.error().code, store.error().text);
    return;
  }
  crypto::SystemEntropy entropy;
  auto loop = io::Loop::create();
  if (!loop) {
    send_refusal(kFrontEnd, loop.error().code, std::string(loop.error().text));
    return;
  }
  auto host = Host::create(**loop, **store, entropy, home.directory().string(), listen_on(home));
  if (!host) {
    send_refusal(kFrontEnd, host.error().code, std::string(host.error().text));
    return;
  }
  (*host)->adopt(kFrontEnd);
  (*host)->run();
  ::unlink(home.socket().c_str());
}

}  // namespace godwit::cli
