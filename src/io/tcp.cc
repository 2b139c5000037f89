#include "io/tcp.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/check.h"
#include "base/limits.h"

namespace godwit::io {

namespace {

constexpr std::uint32_t kListenerIndex = Loop::kMaxIndex;
constexpr int kAcceptsPerTurn = 64;             // so that a flood cannot starve the connections
constexpr Duration kAcceptPause = milliseconds(100);  // when descriptors ran out

bool set_option(int fd, int level, int option) {
  const int on = 1;
  return setsockopt(fd, level, option, &on, sizeof on) == 0;
}

std::unexpected<Error> listen_error(int error) {
  switch (error) {
    case EADDRINUSE:
      return fail(Code::kConflict, "the port is in use: stop the other program or pick a port");
    case EACCES:
      return fail(Code::kForbidden, "ports below 1024 need CAP_NET_BIND_SERVICE: pick another");
    case EADDRNOTAVAIL:
      return fail(Code::kIo, "this machine has no such address: use 127.0.0.1, 0.0.0.0 or its own");
    default: return fail(Code::kIo, "the operating system refuses to listen there");
  }
}

}  // namespace

Tcp::Tcp(Loop& loop, Owner& owner)
    : loop_(loop),
      owner_(owner),
      source_(loop.add_source(*this)),
      scratch_(limits::kInboundPerTurn) {}

Tcp::~Tcp() { close_all(); }

void Tcp::close_all() {
  stop_listening();
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].fd >= 0) ::close(std::exchange(slots_[i].fd, -1));
  }
}

Result<Address> Tcp::listen(const Address& address, std::uint32_t max_connections) {
  CHECK(listener_ < 0);
  const int fd = socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(Code::kIo, "the operating system has no socket for this kind of address");
  set_option(fd, SOL_SOCKET, SO_REUSEADDR);
  set_option(fd, SOL_SOCKET, SO_REUSEPORT);
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (bind(fd, address.data(), address.size()) != 0 || ::listen(fd, SOMAXCONN) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0 ||
      !loop_.watch(fd, source_, kListenerIndex, 0, EPOLLIN)) {
    const int error = errno;
    ::close(fd);
    return listen_error(error);
  }
  listener_ = fd;
  max_connections_ = std::min(max_connections, kListenerIndex);
  return Address::from(bound);
}

void Tcp::stop_listening() {
  if (listener_ < 0) return;
  loop_.unwatch(listener_);
  shutdown(listener_, SHUT_RDWR);  // though another table may still hold it
  ::close(std::exchange(listener_, -1));
}

Result<Conn> Tcp::connect(const Address& address, Duration timeout,
                          const std::optional<Address>& source) {
  const int fd = socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(Code::kIo, "no descriptor left for a connection: raise ulimit -n");
  set_option(fd, IPPROTO_TCP, TCP_NODELAY);
  set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);  // so that a port serves many destinations
  const bool bound = !source || bind(fd, source->data(), source->size()) == 0;
  const bool started =
      bound && (::connect(fd, address.data(), address.size()) == 0 || errno == EINPROGRESS);
  const auto conn = adopt(fd, State::kConnecting, EPOLLOUT);
  if (!conn) return conn;
  if (!started) {
    drop(*conn, slots_[conn->index], CloseReason::kRefused);
    loop_.post([] {});  // so that on_closed is told soon, whoever called
    return conn;
  }
  loop_.after(timeout, [this, conn = *conn] {
    Slot* slot = find(conn);
    if (slot != nullptr && slot->state == State::kConnecting) {
      drop(conn, *slot, CloseReason::kTimeout);
    }
  });
  return conn;
}

// Takes `fd` into the table, or closes it.
Result<Conn> Tcp::adopt(int fd, State state, std::uint32_t events) {
  if (free_.empty()) {
    if (slots_.size() >= kListenerIndex) {
      ::close(fd);
      return fail(Code::kFull, "this loop has its maximum of connections");
    }
    free_.push_back(slots_.size());
    slots_.grow(slots_.size() + 1);
  }
  const std::uint32_t index = free_.back();
  Slot& slot = slots_[index];
  if (!loop_.watch(fd, source_, index, slot.generation, events)) {
    ::close(fd);
    return fail(Code::kIo, "epoll refuses a descriptor: raise fs.epoll.max_user_watches");
  }
  free_.pop_back();
  ++live_;
  slot.fd = fd;
  slot.state = state;
  slot.watched = events;
  return Conn{index, slot.generation};
}

Tcp::Slot* Tcp::find(Conn conn) {
  if (conn.index >= slots_.size()) return nullptr;
  Slot& slot = slots_[conn.index];
  const bool present = slot.state != State::kFree && slot.generation == conn.generation;
  return present ? &slot : nullptr;
}

bool Tcp::is_open(Conn conn) const {
  const Slot* slot = find(conn);
  return slot != nullptr && slot->state == State::kOpen;
}

std::size_t Tcp::queued(Conn conn) const {
  const Slot* slot = find(conn);
  if (slot == nullptr || slot->buffers == nullptr) return 0;
  return slot->buffers->out.size() - slot->buffers->out_used;
}

void Tcp::on_ready(std::uint32_t index, std::uint32_t generation, std::uint32_t events) {
  if (index == kListenerIndex) return accept_some();
  const Conn conn{index, generation};
  Slot* slot = find(conn);
  if (slot == nullptr || slot->state == State::kDead) return;
  if (slot->state == State::kConnecting) return finish_connect(conn, *slot);
  if ((events & EPOLLOUT) != 0) flush(conn, *slot);
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0 && slot->state != State::kDead) {
    read_some(conn, *slot);
  }
}

void Tcp::accept_some() {
  for (int i = 0; i < kAcceptsPerTurn && listener_ >= 0; ++i) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        // The waiting connection would wake this loop for ever: look again a little later.
        ++refused_;
        loop_.rewatch(listener_, source_, kListenerIndex, 0, 0);
        loop_.after(kAcceptPause, [this] {
          if (listener_ >= 0) loop_.rewatch(listener_, source_, kListenerIndex, 0, EPOLLIN);
        });
      }
      return;
    }
    if (live_ >= max_connections_) {
      ++refused_;
      ::close(fd);
      continue;
    }
    set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    if (const auto conn = adopt(fd, State::kOpen, EPOLLIN)) {
      owner_.on_accepted(*conn);
    } else {
      ++refused_;
    }
  }
}

void Tcp::finish_connect(Conn conn, Slot& slot) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(slot.fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return drop(conn, slot, CloseReason::kRefused);
  slot.state = State::kOpen;
  watch(conn, slot, EPOLLIN);
  owner_.on_connected(conn);
}

void Tcp::read_some(Conn conn, Slot& slot) {
  const ssize_t got = recv(slot.fd, scratch_.data(), scratch_.size(), 0);
  if (got < 0) {
    if (errno != EAGAIN && errno != EINTR) drop(conn, slot, CloseReason::kBroken);
    return;
  }
  if (got == 0) {
    return drop(conn, slot, slot.state == State::kOpen ? CloseReason::kPeer : CloseReason::kLocal);
  }
  if (slot.state == State::kOpen) {
    offer(conn, slot, ByteView(scratch_).first(static_cast<std::size_t>(got)));
  }
}

// The owner may send and close in between: `slot` stays in place, its buffers may come and go.
void Tcp::offer(Conn conn, Slot& slot, ByteView fresh) {
  if (slot.buffers == nullptr || slot.buffers->in.empty()) {
    const std::size_t used = owner_.on_octets(conn, fresh);
    if (used == fresh.size() || slot.state != State::kOpen) return;
    if (slot.buffers == nullptr) slot.buffers = std::make_unique<Buffers>();
    slot.buffers->in = to_bytes(fresh.subspan(used));
    return;
  }
  Bytes waiting = std::move(slot.buffers->in);
  slot.buffers->in.clear();
  append(waiting, fresh);
  const std::size_t used = owner_.on_octets(conn, waiting);
  if (used < waiting.size() && slot.state == State::kOpen) {
    waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(used));
    if (slot.buffers == nullptr) slot.buffers = std::make_unique<Buffers>();
    slot.buffers->in = std::move(waiting);
  } else if (slot.buffers != nullptr && slot.buffers->empty()) {
    slot.buffers.reset();
  }
}

void Tcp::pause(Conn conn) {
  Slot* slot = find(conn);
  if (slot == nullptr || slot->state != State::kOpen) return;
  watch(conn, *slot, slot->watched & ~static_cast<std::uint32_t>(EPOLLIN));
}

void Tcp::resume(Conn conn) {
  Slot* slot = find(conn);
  if (slot == nullptr || slot->state != State::kOpen) return;
  watch(conn, *slot, slot->watched | EPOLLIN);
  offer(conn, *slot, {});
}

std::optional<Address> Tcp::remote(Conn conn) const {
  const Slot* slot = find(conn);
  sockaddr_storage raw{};
  socklen_t size = sizeof raw;
  if (slot == nullptr || slot->fd < 0 ||
      getpeername(slot->fd, reinterpret_cast<sockaddr*>(&raw), &size) != 0) {
    return std::nullopt;
  }
  return Address::from(raw);
}

void Tcp::send(Conn conn, ByteView octets) {
  Slot* slot = find(conn);
  if (slot == nullptr || slot->state != State::kOpen) return;
  if (slot->buffers == nullptr || slot->buffers->out.empty()) {
    octets = octets.subspan(write_some(conn, *slot, octets));
  }
  if (!octets.empty() && slot->state == State::kOpen) keep_out(conn, *slot, octets);
}

std::size_t Tcp::write_some(Conn conn, Slot& slot, ByteView octets) {
  std::size_t written = 0;
  while (written < octets.size()) {
    const ssize_t sent =
        ::send(slot.fd, octets.data() + written, octets.size() - written, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) drop(conn, slot, CloseReason::kBroken);
      break;
    }
    written += static_cast<std::size_t>(sent);
  }
  return written;
}

void Tcp::keep_out(Conn conn, Slot& slot, ByteView octets) {
  if (slot.buffers == nullptr) slot.buffers = std::make_unique<Buffers>();
  Buffers& buffers = *slot.buffers;
  if (buffers.out.size() - buffers.out_used + octets.size() > limits::kSendQueueBytes) {
    return drop(conn, slot, CloseReason::kSlowReader);
  }
  append(buffers.out, octets);
  watch(conn, slot, slot.watched | EPOLLOUT);
}

void Tcp::flush(Conn conn, Slot& slot) {
  if (slot.buffers != nullptr && !slot.buffers->out.empty()) {
    Buffers& buffers = *slot.buffers;
    buffers.out_used += write_some(conn, slot, ByteView(buffers.out).subspan(buffers.out_used));
    if (slot.state == State::kDead) return;
    if (buffers.out_used < buffers.out.size()) {
      // Moving the rest only when half is used keeps the work linear in what is sent.
      if (buffers.out_used > buffers.out.size() / 2) {
        buffers.out.erase(buffers.out.begin(),
                          buffers.out.begin() + static_cast<std::ptrdiff_t>(buffers.out_used));
        buffers.out_used = 0;
      }
      return;
    }
    Bytes().swap(buffers.out);
    buffers.out_used = 0;
    if (buffers.empty()) slot.buffers.reset();
  }
  watch(conn, slot, EPOLLIN);
  if (slot.state == State::kFlushing) {
    slot.state = State::kLingering;
    shutdown(slot.fd, SHUT_WR);
  }
}

void Tcp::close(Conn conn) {
  Slot* slot = find(conn);
  if (slot == nullptr) return;
  if (slot->state == State::kConnecting) return drop(conn, *slot, CloseReason::kLocal);
  if (slot->state != State::kOpen) return;
  slot->state = State::kFlushing;
  loop_.after(limits::kCloseGrace, [this, conn] { abort(conn); });
  flush(conn, *slot);
}

void Tcp::abort(Conn conn, CloseReason reason) {
  if (Slot* slot = find(conn); slot != nullptr) drop(conn, *slot, reason);
}

void Tcp::watch(Conn conn, Slot& slot, std::uint32_t events) {
  if (slot.watched == events) return;
  slot.watched = events;
  if (!loop_.rewatch(slot.fd, source_, conn.index, conn.generation, events)) {
    drop(conn, slot, CloseReason::kBroken);
  }
}

void Tcp::drop(Conn conn, Slot& slot, CloseReason reason) {
  if (slot.state == State::kDead) return;
  loop_.unwatch(slot.fd);
  if (shared_) shutdown(slot.fd, SHUT_RDWR);
  ::close(std::exchange(slot.fd, -1));
  slot.state = State::kDead;
  slot.reason = reason;
  dead_.push_back(conn);
}

void Tcp::reap(Conn conn) {
  Slot& slot = slots_[conn.index];
  const CloseReason reason = slot.reason;
  ++slot.generation;
  slot.state = State::kFree;
  slot.watched = 0;
  slot.buffers.reset();
  free_.push_back(conn.index);
  --live_;
  owner_.on_closed(conn, reason);
}

// Telling one end may lead to others, and to frames for third parties: until nothing is left.
void Tcp::on_turn_end() {
  owner_.on_turn_end();
  while (!dead_.empty()) {
    for (const Conn conn : std::exchange(dead_, {})) reap(conn);
    owner_.on_turn_end();
  }
}

}  // namespace godwit::io
