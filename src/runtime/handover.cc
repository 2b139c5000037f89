#include "runtime/handover.h"

#include <sys/mman.h>
#include <unistd.h>

#include <utility>

namespace godwit::runtime {

static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

Result<Ownership> Ownership::create() {
  const int fd = memfd_create("godwit-ownership", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, sizeof(std::uint32_t)) != 0) {
    if (fd >= 0) close(fd);
    return fail(Code::kIo, "no descriptor left for an upgrade: raise ulimit -n");
  }
  return adopt(fd);
}

Result<Ownership> Ownership::adopt(int fd) {
  void* page = mmap(nullptr, sizeof(std::uint32_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (page == MAP_FAILED) {
    close(fd);
    return fail(Code::kIo, "no memory for an upgrade");
  }
  return Ownership(fd, static_cast<std::atomic<std::uint32_t>*>(page));
}

Ownership::Ownership(Ownership&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), word_(std::exchange(other.word_, nullptr)) {}

Ownership::~Ownership() {
  if (word_ != nullptr) munmap(word_, sizeof(std::uint32_t));
  if (fd_ >= 0) close(fd_);
}

bool Ownership::take(Side side) {
  std::uint32_t nobody = 0;
  const auto wanted = static_cast<std::uint32_t>(side);
  return word_->compare_exchange_strong(nobody, wanted) || nobody == wanted;
}

}  // namespace godwit::runtime
