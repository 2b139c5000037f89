#include "apps/godwit/front_end.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "apps/godwit/exit_code.h"

namespace godwit::cli {
namespace {

int signal_pipe[2] = {-1, -1};

void on_caught(int number) {
  const int saved = errno;
  const auto octet = static_cast<unsigned char>(number);
  [[maybe_unused]] const ssize_t wrote = ::write(signal_pipe[1], &octet, 1);
  errno = saved;
}

bool write_all(int fd, std::string_view octets) {
  while (!octets.empty()) {
    const ssize_t wrote = ::write(fd, octets.data(), octets.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0 && errno == EAGAIN) {
      pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
      ::poll(&ready, 1, -1);
      continue;
    }
    if (wrote <= 0) return false;
    octets.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return true;
}

}  // namespace

bool PlainScreen::out(std::string_view octets) { return write_all(1, octets); }

void PlainScreen::err(std::string_view octets) { write_all(2, octets); }

bool PlainScreen::read(std::string& input) {
  input.resize(kInputPiece);
  ssize_t got = 0;
  do {
    got = ::read(0, input.data(), input.size());
  } while (got < 0 && errno == EINTR);
  input.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return got > 0;
}

void FrontEnd::catch_signals() {
  if (::pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0) return;
  struct sigaction action{};
  action.sa_handler = on_caught;
  for (const int number : {SIGINT, SIGTERM, SIGWINCH}) ::sigaction(number, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

FrontEnd::~FrontEnd() { ::close(host_); }

void FrontEnd::put(PacketKind kind, ByteView body) {
  Bytes packet;
  put_packet(packet, kind, body);
  std::string_view rest = text_of(packet);
  while (!rest.empty() && !unheard_) {
    const ssize_t sent = ::send(host_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) unheard_ = true;
    else rest.remove_prefix(static_cast<std::size_t>(sent));
  }
}

Outcome FrontEnd::run(const Start& start) {
  put(PacketKind::kStart, encode(start));
  for (;;) {
    screen_.refresh();
    if (const std::string wishes = screen_.wishes(); !wishes.empty()) {
      put(PacketKind::kInput, view_of(wishes));
    }
    const bool read = !input_ended_ && (input_wanted_ || screen_.eager()) && taken_;
    pollfd waits[] = {{.fd = host_, .events = POLLIN, .revents = 0},
                      {.fd = signal_pipe[0], .events = POLLIN, .revents = 0},
                      {.fd = read ? screen_.input_fd() : -1, .events = POLLIN, .revents = 0}};
    if (::poll(waits, 3, -1) < 0 && errno != EINTR) return Outcome::kLost;
    if (waits[1].revents != 0) on_signal();
    if (interrupts_ > 1) {
      exit_code_ = kExitInterrupted;
      return Outcome::kEnded;
    }
    if (waits[0].revents != 0 && !on_host_readable()) return Outcome::kEnded;
    if (broken_) return taken_ ? Outcome::kLost : Outcome::kNotTaken;
    if (waits[2].revents != 0) read_input();
  }
}

bool FrontEnd::on_host_readable() {
  std::uint8_t octets[64 * 1024];
  const ssize_t got = ::recv(host_, octets, sizeof octets, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (got <= 0) {
    broken_ = true;
    return true;
  }
  reader_.feed({octets, static_cast<std::size_t>(got)});
  const std::uint64_t before = written_;
  bool goes_on = true;
  while (goes_on) {
    const auto packet = reader_.next();
    if (!packet) broken_ = true;
    if (!packet || !*packet) break;
    goes_on = on_packet(**packet);
  }
  if (written_ != before && goes_on) put(PacketKind::kWritten, encode(Written{written_}));
  return goes_on;
}

bool FrontEnd::on_packet(const Packet& packet) {
  switch (packet.kind) {
    case PacketKind::kHello: taken_ = true; break;
    case PacketKind::kOut:
      if (!screen_.out(text_of(packet.body))) {  // e.g. `| head`: nobody reads on
        exit_code_ = kExitOk;
        return false;
      }
      written_ += packet.body.size();
      break;
    case PacketKind::kErr: screen_.err(text_of(packet.body)); break;
    case PacketKind::kWantInput:
      input_wanted_ = true;
      if (input_ended_) put(PacketKind::kInputEnd);
      break;
    case PacketKind::kExit: {
      const auto ended = decode<Ended>(packet.body);
      exit_code_ = ended ? static_cast<int>(ended->exit_code) : kExitInternal;
      if (ended) refusal_ = ended->refusal;
      return false;
    }
    default: break;
  }
  return true;
}

void FrontEnd::on_signal() {
  unsigned char number = 0;
  while (::read(signal_pipe[0], &number, 1) == 1) {
    if (number == SIGWINCH) {
      screen_.on_resize();
    } else {
      ++interrupts_;
      put(PacketKind::kInterrupt);
    }
  }
}

void FrontEnd::read_input() {
  std::string input;
  const bool more = screen_.read(input);
  if (!input.empty()) {
    input_wanted_ = false;
    put(PacketKind::kInput, view_of(input));
  }
  if (!more) {
    input_ended_ = true;
    put(PacketKind::kInputEnd);
  }
}

}  // namespace godwit::cli
