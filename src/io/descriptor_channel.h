// DescriptorChannel: one end of a connection between two processes of one machine that carries
// messages with open descriptors in them.
//
// A message arrives whole or not at all, in order, and its descriptors with it, under new numbers
// of the receiving thread's table. The kernel bounds how many are on their way; who sends many
// waits for the receiver's word now and then.
//
// Lives in one thread's table of descriptors: not for any other thread.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"

namespace godwit::io {

class DescriptorChannel {
 public:
  static constexpr std::size_t kMaxDescriptors = 253;  // of a message: the kernel's own bound
  static constexpr std::size_t kMaxMessage = 64 * 1024;

  struct Message {
    Bytes octets;
    std::vector<int> descriptors;  // the receiver's to close
  };

  DescriptorChannel() = default;
  explicit DescriptorChannel(int fd) : fd_(fd) {}
  DescriptorChannel(DescriptorChannel&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  DescriptorChannel& operator=(DescriptorChannel&& other) noexcept;
  ~DescriptorChannel() { close(); }

  static Result<std::pair<DescriptorChannel, DescriptorChannel>> pair();
  bool open() const { return fd_ >= 0; }
  int descriptor() const { return fd_; }
  void close();

  // kUnavailable: not within `wait`; nothing was sent. kIo: the other end is gone.
  Result<void> send(ByteView octets, std::span<const int> descriptors, Duration wait);
  // kUnavailable: nothing came within `wait`. kIo: the other end is gone.
  Result<Message> receive(Duration wait);

 private:
  int fd_ = -1;
};

// Where threads of one process, each with a table of its own, reach another process: the owner of
// this program opens it, its successor inherits it and accepts.
class DescriptorListener {
 public:
  DescriptorListener() = default;
  explicit DescriptorListener(int fd) : fd_(fd) {}
  DescriptorListener(DescriptorListener&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  DescriptorListener& operator=(DescriptorListener&&) = delete;
  ~DescriptorListener();

  static Result<DescriptorListener> create(int backlog);
  int descriptor() const { return fd_; }
  // Connects the calling thread to the listener of this address.
  std::string address() const;
  static Result<DescriptorChannel> dial(const std::string& address);
  // The next connection from `process`; those of others are dropped.
  Result<DescriptorChannel> accept(int process, Duration wait);

 private:
  int fd_ = -1;
};

}  // namespace godwit::io
