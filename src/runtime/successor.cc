#include "runtime/successor.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "crypto/secret.h"

extern char** environ;  // what POSIX names it

namespace godwit::runtime {

namespace {

constexpr const char* kVariable = "GODWIT_SUCCEEDS";  // set: the numbers below are inherited
constexpr int kControlFd = 3, kListenerFd = 4, kProgramFd = 5;
constexpr Duration kPatience = seconds(20);
constexpr int kBacklog = 256;  // the loops' channels

pid_t spawn(const Program& program, int control, int listener) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  // Copies that lie above the fixed numbers, so that none takes another's place.
  std::vector<int> copies;
  const auto inherit = [&](int from, int to) {
    copies.push_back(fcntl(from, F_DUPFD_CLOEXEC, kProgramFd + 1));
    posix_spawn_file_actions_adddup2(&actions, copies.back(), to);
  };
  inherit(control, kControlFd);
  inherit(listener, kListenerFd);
  std::string path = program.path;
  if (program.descriptor >= 0) {
    inherit(program.descriptor, kProgramFd);
    path = "/proc/self/fd/" + std::to_string(kProgramFd);
  }
  posix_spawn_file_actions_addclosefrom_np(&actions,
                                           program.descriptor >= 0 ? kProgramFd + 1 : kProgramFd);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  std::vector<char*> arguments, environment;
  for (const std::string& argument : program.arguments) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  for (char** at = environ; *at != nullptr; ++at) environment.push_back(*at);
  std::string variable = std::string(kVariable) + "=1";
  environment.push_back(variable.data());
  environment.push_back(nullptr);
  pid_t pid = -1;
  const int error =
      posix_spawn(&pid, path.c_str(), &actions, &attributes, arguments.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  for (const int fd : copies) close(fd);
  errno = error;
  return error == 0 ? pid : -1;
}

}  // namespace

ports::Opened<Successor> Successor::start(const Program& program) {
  auto control = io::DescriptorChannel::pair();
  auto listener = io::DescriptorListener::create(kBacklog);
  if (!control || !listener) {
    return ports::cannot_open(Code::kIo, "no descriptor left for an upgrade: raise ulimit -n");
  }
  const pid_t pid = spawn(program, control->second.descriptor(), listener->descriptor());
  if (pid < 0) {
    return ports::cannot_open(Code::kNotFound,
                              "cannot run " + program.path + ": " + std::strerror(errno));
  }
  return Successor(pid, std::move(control->first), listener->address());
}

Successor::Successor(Successor&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      control_(std::move(other.control_)),
      address_(std::move(other.address_)) {}

Successor::~Successor() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Result<void> Successor::say(const Word& word, std::span<const int> descriptors) {
  Bytes octets = encode(word);
  const auto sent = control_.send(octets, descriptors, kPatience);
  crypto::wipe(octets);
  return sent;
}

ports::Opened<Word> Successor::hear(Word::Kind kind, Duration wait) {
  const auto message = control_.receive(wait);
  if (!message && message.error().code == Code::kUnavailable) {
    return ports::cannot_open(Code::kUnavailable, "the new program does not answer in time");
  }
  if (!message) return ports::cannot_open(Code::kIo, last_words());
  for (const int fd : message->descriptors) close(fd);
  const auto word = decode<Word>(message->octets);
  if (!word) return ports::cannot_open(Code::kCorrupt, "the new program is not a godwitd");
  if (word->kind == Word::Kind::kRefused) {
    return ports::cannot_open(Code::kUnsupported, "the new program refuses: " + word->text);
  }
  if (word->kind != kind) {
    return ports::cannot_open(Code::kCorrupt, "the new program speaks out of turn");
  }
  return *word;
}

// It closed its channel: it has ended, or is about to.
std::string Successor::last_words() {
  int status = 0;
  for (int i = 0; i < 100; ++i) {
    const pid_t ended = waitpid(pid_, &status, WNOHANG);
    if (ended == pid_) {
      pid_ = -1;
      if (WIFEXITED(status)) {
        return "the new program ended with exit code " + std::to_string(WEXITSTATUS(status)) +
               ": see its log";
      }
      return "the new program was ended by signal " + std::to_string(WTERMSIG(status));
    }
    usleep(10'000);
  }
  return "the new program does not speak any more";
}

std::optional<Predecessor> Predecessor::from_environment() {
  if (std::getenv(kVariable) == nullptr) return std::nullopt;
  unsetenv(kVariable);
  close(kProgramFd);
  return Predecessor(io::DescriptorChannel(kControlFd), io::DescriptorListener(kListenerFd));
}

Result<void> Predecessor::meet() {
  Word hello{.kind = Word::Kind::kHello, .layout = kHandoverLayout, .text = GODWIT_VERSION};
  GODWIT_TRY(say(hello));
  auto message = control_.receive(kPatience);
  if (!message) return fail(message.error());
  auto offer = decode<Word>(message->octets);
  crypto::wipe(message->octets);
  descriptors_ = std::move(message->descriptors);
  if (!offer || offer->kind != Word::Kind::kOffer || offer->loops == 0 ||
      descriptors_.size() <= kExecutableFd) {
    return fail(Code::kCorrupt, "the old process does not offer a handover");
  }
  if (offer->layout != kHandoverLayout) {
    return fail(Code::kUnsupported, "the old process hands over in another layout: restart");
  }
  offer_ = std::move(*offer);
  return {};
}

int Predecessor::take(OfferedDescriptor which) {
  return which < descriptors_.size() ? std::exchange(descriptors_[which], -1) : -1;
}

Result<std::vector<io::DescriptorChannel>> Predecessor::accept_loops() {
  std::vector<io::DescriptorChannel> channels(offer_.loops);
  for (std::uint16_t i = 0; i < offer_.loops; ++i) {
    auto channel = listener_.accept(getppid(), kPatience);
    if (!channel) return fail(channel.error());
    const auto number = channel->receive(kPatience);
    if (!number) return fail(number.error());
    const std::size_t loop = number->octets.size() == 2 ? get_be16(number->octets) : SIZE_MAX;
    if (loop >= channels.size() || channels[loop].open()) {
      return fail(Code::kCorrupt, "the old process's loops cannot be told apart");
    }
    channels[loop] = std::move(*channel);
  }
  return channels;
}

Result<void> Predecessor::say(const Word& word) {
  return control_.send(encode(word), {}, kPatience);
}

Result<Word> Predecessor::hear(Word::Kind kind) {
  const auto message = control_.receive(seconds(60));
  if (!message) return fail(message.error());
  const auto word = decode<Word>(message->octets);
  if (!word || word->kind != kind) return fail(Code::kCorrupt, "the old process is out of turn");
  return *word;
}

void Predecessor::refuse(std::string_view why) {
  Word word{.kind = Word::Kind::kRefused, .text = std::string(why.substr(0, 1000))};
  [[maybe_unused]] const auto sent = say(word);  // if it is gone, nobody needs to know
}

}  // namespace godwit::runtime
