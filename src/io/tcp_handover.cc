// Tcp's connections as they leave for another process, and as they arrive there.
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "io/tcp.h"

namespace godwit::io {

Tcp::Place Tcp::place(std::uint32_t index) const {
  const Slot& slot = slots_[index];
  Place place{.generation = slot.generation};
  if (slot.state != State::kOpen) return place;
  place.descriptor = slot.fd;
  if (slot.buffers != nullptr) {
    place.unread = slot.buffers->in;
    place.unsent = ByteView(slot.buffers->out).subspan(slot.buffers->out_used);
  }
  return place;
}

void Tcp::end_closing() {
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (slot.state == State::kFlushing || slot.state == State::kLingering) {
      drop({i, slot.generation}, slot, CloseReason::kLocal);
    }
  }
}

Result<void> Tcp::take_listener(int fd, std::uint32_t max_connections) {
  CHECK(listener_ < 0);
  if (!loop_.watch(fd, source_, Loop::kMaxIndex, 0, EPOLLIN)) {
    ::close(fd);
    return fail(Code::kIo, "epoll refuses a descriptor: raise fs.epoll.max_user_watches");
  }
  listener_ = fd;
  max_connections_ = std::min(max_connections, Loop::kMaxIndex);
  return {};
}

Result<void> Tcp::take(Conn conn, int fd) {
  if (conn.index >= Loop::kMaxIndex) {
    ::close(fd);
    return fail(Code::kCorrupt, "a connection out of bounds was handed over");
  }
  slots_.grow(conn.index + 1);
  Slot& slot = slots_[conn.index];
  if (slot.fd >= 0) free_place(conn.index);
  if (!loop_.watch(fd, source_, conn.index, conn.generation, EPOLLIN)) {
    ::close(fd);
    return fail(Code::kIo, "epoll refuses a descriptor: raise fs.epoll.max_user_watches");
  }
  slot.fd = fd;
  slot.generation = conn.generation;
  slot.state = State::kConnecting;  // until restore()
  slot.watched = EPOLLIN;
  ++live_;
  return {};
}

bool Tcp::restore(Conn conn, ByteView unread, ByteView unsent) {
  Slot* slot = find(conn);
  if (slot == nullptr || slot->state != State::kConnecting) return false;
  slot->state = State::kOpen;
  if (unread.empty() && unsent.empty()) return true;
  slot->buffers = std::make_unique<Buffers>();
  slot->buffers->in = to_bytes(unread);
  slot->buffers->out = to_bytes(unsent);
  if (!unsent.empty()) watch(conn, *slot, EPOLLIN | EPOLLOUT);
  return true;
}

void Tcp::end_taking(std::span<const std::uint32_t> generations) {
  slots_.grow(static_cast<std::uint32_t>(generations.size()));
  free_.clear();
  for (std::uint32_t i = slots_.size(); i > 0; --i) {  // small ones are used first
    Slot& slot = slots_[i - 1];
    if (slot.state == State::kConnecting) free_place(i - 1);
    if (slot.state != State::kFree) continue;
    if (i <= generations.size()) slot.generation = generations[i - 1];
    free_.push_back(i - 1);
  }
}

// The other process has ended this connection already: nobody here is told.
void Tcp::free_place(std::uint32_t index) {
  Slot& slot = slots_[index];
  loop_.unwatch(slot.fd);
  ::close(std::exchange(slot.fd, -1));
  slot.state = State::kFree;
  slot.watched = 0;
  slot.buffers.reset();
  --live_;
}

}  // namespace godwit::io
