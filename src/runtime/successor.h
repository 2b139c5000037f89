// Successor: the new process of a handover, as the old one sees it: started, spoken to, ended.
// Predecessor: the old one, as the new one sees it.
//
// The control channel and the listener for the loops' channels are inherited under fixed numbers;
// an environment variable says so. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "io/descriptor_channel.h"
#include "ports/opened.h"
#include "runtime/handover.h"

namespace godwit::runtime {

struct Program {
  std::string path;
  int descriptor = -1;  // of an executable, instead of the path
  std::vector<std::string> arguments;  // the first is its name
};

class Successor {
 public:
  // kNotFound: the program cannot be run. kIo: no descriptors.
  static ports::Opened<Successor> start(const Program& program);
  Successor(Successor&& other) noexcept;
  Successor& operator=(Successor&&) = delete;
  // Ends it, unless it was let go.
  ~Successor();

  Result<void> say(const Word& word, std::span<const int> descriptors = {});
  // The next word, which must be of this kind. The text says what it said instead, or how it ended.
  ports::Opened<Word> hear(Word::Kind kind, Duration wait);
  const std::string& loops_address() const { return address_; }
  pid_t pid() const { return pid_; }
  void let_go() { pid_ = -1; }

 private:
  Successor(pid_t pid, io::DescriptorChannel control, std::string address)
      : pid_(pid), control_(std::move(control)), address_(std::move(address)) {}
  std::string last_words();

  pid_t pid_;
  io::DescriptorChannel control_;
  std::string address_;
};

class Predecessor {
 public:
  // nullopt: nobody is to be succeeded. Call before any thread starts.
  static std::optional<Predecessor> from_environment();
  Predecessor(Predecessor&&) = default;

  // Says hello, hears the offer. kUnsupported: of another layout.
  Result<void> meet();
  const Word& offer() const { return offer_; }
  // The descriptor that came with the offer; -1: there was none. The caller's to close.
  int take(OfferedDescriptor which);
  // The old process's loops, by number.
  Result<std::vector<io::DescriptorChannel>> accept_loops();
  Result<void> say(const Word& word);
  Result<Word> hear(Word::Kind kind);
  // Why it does not go: the old process goes on, and shows this to whoever wanted the upgrade.
  void refuse(std::string_view why);

 private:
  Predecessor(io::DescriptorChannel control, io::DescriptorListener listener)
      : control_(std::move(control)), listener_(std::move(listener)) {}
  io::DescriptorChannel control_;
  io::DescriptorListener listener_;
  Word offer_;
  std::vector<int> descriptors_;
};

}  // namespace godwit::runtime
