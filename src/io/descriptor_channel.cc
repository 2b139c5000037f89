#include "io/descriptor_channel.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace godwit::io {

namespace {

constexpr Error kGone{Code::kIo, "the other process has ended"};
constexpr Error kNotYet{Code::kUnavailable, "the other process does not answer in time"};
constexpr Error kNoSocket{Code::kIo, "no descriptor left for a socket: raise ulimit -n"};

bool ready(int fd, short events, Duration wait) {
  pollfd one{.fd = fd, .events = events, .revents = 0};
  return poll(&one, 1, static_cast<int>(wait.ms)) > 0;
}

}  // namespace

DescriptorChannel& DescriptorChannel::operator=(DescriptorChannel&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void DescriptorChannel::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Result<std::pair<DescriptorChannel, DescriptorChannel>> DescriptorChannel::pair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    return fail(kNoSocket);
  }
  return std::pair(DescriptorChannel(ends[0]), DescriptorChannel(ends[1]));
}

Result<void> DescriptorChannel::send(ByteView octets, std::span<const int> descriptors,
                                     Duration wait) {
  CHECK(!octets.empty() && octets.size() <= kMaxMessage);
  CHECK(descriptors.size() <= kMaxDescriptors);
  iovec part{const_cast<std::uint8_t*>(octets.data()), octets.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxDescriptors * sizeof(int))] = {};
  if (!descriptors.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  for (bool waited = false;;) {
    if (sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return {};
    if (errno == EINTR) continue;
    // ETOOMANYREFS: too many descriptors are on their way, of whatever channel.
    if (errno == ETOOMANYREFS) return fail(kNotYet);
    if (errno != EAGAIN) return fail(kGone);
    if (waited || wait.ms == 0 || !ready(fd_, POLLOUT, wait)) return fail(kNotYet);
    waited = true;
  }
}

Result<DescriptorChannel::Message> DescriptorChannel::receive(Duration wait) {
  Message received;
  received.octets.resize(kMaxMessage);
  iovec part{received.octets.data(), received.octets.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxDescriptors * sizeof(int))];
  for (bool waited = false;;) {
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = recvmsg(fd_, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) {
      if (waited || wait.ms == 0 || !ready(fd_, POLLIN, wait)) return fail(kNotYet);
      waited = true;
      continue;
    }
    if (got <= 0) return fail(kGone);
    for (cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, at)) {
      if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) continue;
      received.descriptors.resize((at->cmsg_len - CMSG_LEN(0)) / sizeof(int));
      std::memcpy(received.descriptors.data(), CMSG_DATA(at),
                  received.descriptors.size() * sizeof(int));
    }
    if ((message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0) {
      for (const int fd : received.descriptors) ::close(fd);
      return fail(Code::kIo, "no room for more descriptors: raise ulimit -n");
    }
    received.octets.resize(static_cast<std::size_t>(got));
    return received;
  }
}

DescriptorListener::~DescriptorListener() {
  if (fd_ >= 0) ::close(fd_);
}

Result<DescriptorListener> DescriptorListener::create(int backlog) {
  DescriptorListener listener(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un any{.sun_family = AF_UNIX, .sun_path = {}};
  // Of this size the kernel picks a name that is no file's.
  if (listener.fd_ < 0 ||
      bind(listener.fd_, reinterpret_cast<sockaddr*>(&any), sizeof any.sun_family) != 0 ||
      listen(listener.fd_, backlog) != 0) {
    return fail(kNoSocket);
  }
  return listener;
}

std::string DescriptorListener::address() const {
  sockaddr_un name{};
  socklen_t size = sizeof name;
  if (getsockname(fd_, reinterpret_cast<sockaddr*>(&name), &size) != 0) return {};
  return {reinterpret_cast<const char*>(&name), size};
}

Result<DescriptorChannel> DescriptorListener::dial(const std::string& address) {
  DescriptorChannel channel(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!channel.open()) return fail(kNoSocket);
  sockaddr_un name{};
  CHECK(address.size() <= sizeof name);
  std::memcpy(&name, address.data(), address.size());
  if (connect(channel.descriptor(), reinterpret_cast<const sockaddr*>(&name),
              static_cast<socklen_t>(address.size())) != 0) {
    return fail(kGone);
  }
  return channel;
}

Result<DescriptorChannel> DescriptorListener::accept(int process, Duration wait) {
  while (ready(fd_, POLLIN, wait)) {
    DescriptorChannel channel(accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    ucred peer{};
    socklen_t size = sizeof peer;
    if (channel.open() &&
        getsockopt(channel.descriptor(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
        peer.pid == process && peer.uid == geteuid()) {
      return channel;
    }
  }
  return fail(kNotYet);
}

}  // namespace godwit::io
