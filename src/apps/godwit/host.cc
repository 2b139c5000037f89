#include "apps/godwit/host.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "apps/godwit/host_session.h"

namespace godwit::cli {
namespace {

constexpr Duration kLinger = seconds(2);          // for what the client owes the server
constexpr Duration kLingerCheck = milliseconds(20);
constexpr std::size_t kMaxSessions = 256;
constexpr std::size_t kPiece = 256 * 1024;  // of output in one packet

}  // namespace

// ---- one front-end

Host::Session::~Session() {
  command_.reset();
  host_.loop_.unwatch(fd_);
  ::close(fd_);
}

void Host::Session::on_ready(std::uint32_t events) {
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read_some();
}

void Host::Session::read_some() {
  std::uint8_t octets[64 * 1024];
  const ssize_t got = ::recv(fd_, octets, sizeof octets, MSG_DONTWAIT);
  if (got <= 0) {
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    gone_ = true;
    return;
  }
  reader_.feed({octets, static_cast<std::size_t>(got)});
  while (!gone_) {
    const auto packet = reader_.next();
    if (!packet) {
      gone_ = true;
      return;
    }
    if (!*packet) return;
    on_packet(**packet);
  }
}

void Host::Session::on_packet(const Packet& packet) {
  if (packet.kind == PacketKind::kStart) {
    const auto start = decode<Start>(packet.body);
    if (!start || command_) gone_ = true;
    else host_.begin(*this, *start);
    return;
  }
  Command* command = this->command();
  if (command == nullptr) return;
  switch (packet.kind) {
    case PacketKind::kInput: command->on_input(text_of(packet.body)); break;
    case PacketKind::kInputEnd: command->on_input_end(); break;
    case PacketKind::kInterrupt: command->on_interrupt(); break;
    case PacketKind::kWritten:
      if (const auto written = decode<Written>(packet.body); written) {
        written_ = std::min(written->octets, given_);
        command->on_written();
      }
      break;
    default: gone_ = true;
  }
}

void Host::Session::run(std::unique_ptr<Command> command) {
  command_ = std::move(command);
  command_->start();
}

void Host::Session::put(PacketKind kind, std::string_view octets) {
  if (ended_ || gone_) return;
  do {
    const std::string_view piece = octets.substr(0, kPiece);
    put_packet(out_, kind, view_of(piece));
    octets.remove_prefix(piece.size());
  } while (!octets.empty());
  host_.loop_.post([] {});  // a turn follows, and flushes
}

void Host::Session::out(std::string_view octets) {
  if (octets.empty()) return;
  put(PacketKind::kOut, octets);
  given_ += octets.size();
}

void Host::Session::err(std::string_view octets) {
  if (!octets.empty()) put(PacketKind::kErr, octets);
}

void Host::Session::want_input() { put(PacketKind::kWantInput, {}); }

void Host::Session::finish(int exit_code) {
  const Bytes ended = encode(Ended{.exit_code = static_cast<std::uint32_t>(exit_code)});
  put(PacketKind::kExit, text_of(ended));
  ended_ = true;
}

void Host::Session::flush() {
  while (out_used_ < out_.size() && !gone_) {
    const ssize_t sent =
        ::send(fd_, out_.data() + out_used_, out_.size() - out_used_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) break;
    if (sent <= 0) {
      gone_ = true;
      break;
    }
    out_used_ += static_cast<std::size_t>(sent);
  }
  if (out_used_ == out_.size()) {
    out_.clear();
    out_used_ = 0;
  }
  watch();
}

void Host::Session::watch() {
  const bool wants = !out_.empty();
  if (wants == write_watched_) return;
  write_watched_ = wants;
  host_.loop_.rewatch(fd_, host_.source_, index_, 0, wants ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

// ---- the host

Host::Host(io::Loop& loop, std::string home, int listener)
    : loop_(loop), listener_(listener), home_(std::move(home)) {}

Host::~Host() {
  sessions_.clear();
  if (listener_ >= 0) ::close(listener_);
}

Result<std::unique_ptr<Host>> Host::create(io::Loop& loop, ports::Store& store, Entropy& entropy,
                                           std::string home, int listener) {
  std::unique_ptr<Host> host(new Host(loop, std::move(home), listener));
  auto client = runtime::ClientRuntime::open(loop, store, entropy, *host);
  if (!client) return fail(client.error());
  host->client_ = std::move(*client);
  host->unshown_ = std::make_unique<Unshown>(store);
  // After the runtime's own source: what its turn end led to is flushed in the same turn.
  host->source_ = loop.add_source(*host);
  if (listener >= 0) loop.watch(listener, host->source_, 0, 0, EPOLLIN);
  host->idle_timer_ = std::make_unique<Timer>(loop);
  return host;
}

void Host::adopt(int fd) {
  const std::uint32_t index = next_index_++ % io::Loop::kMaxIndex + 1;
  auto session = std::make_unique<Session>(*this, fd, index);
  if (!loop_.watch(fd, source_, index, 0, EPOLLIN)) return;
  Bytes hello;
  put_packet(hello, PacketKind::kHello);
  if (::send(fd, hello.data(), hello.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) return;
  sessions_.emplace(index, std::move(session));
}

void Host::run() {
  loop_.post([] {});
  do {
    loop_.run();
  } while (!sessions_.empty());  // a front-end may come in the very turn that was to be the last
}

void Host::accept_all() {
  while (sessions_.size() < kMaxSessions) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    adopt(fd);
  }
}

void Host::on_ready(std::uint32_t index, std::uint32_t, std::uint32_t events) {
  if (index == 0) {
    accept_all();
    return;
  }
  if (const auto found = sessions_.find(index); found != sessions_.end()) {
    found->second->on_ready(events);
  }
}

void Host::begin(Session& session, const Start& start) {
  session.set_terminal(start.terminal);
  Parsed parsed = parse(start.args);
  if (!parsed.options) {
    session.out(parsed.out);
    session.err(parsed.err);
    session.finish(parsed.exit_code);
    return;
  }
  if (!start.server.empty()) client_->use_server(start.server);
  if (parsed.options->accept_server_key) client_->accept_server_key();
  Context context{*client_, session, *unshown_, home_, start.server, start.view};
  session.run(make_command(std::move(context), std::move(*parsed.options)));
}

void Host::on_turn_end() {
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    it->second->flush();
    it = it->second->over() ? sessions_.erase(it) : std::next(it);
  }
  leave_if_idle();
}

void Host::leave_if_idle() {
  if (!sessions_.empty()) {
    idle_since_.reset();
    return;
  }
  if (!idle_since_) idle_since_ = loop_.now();
  const bool owes = client_->link() == runtime::ClientRuntime::Link::kOnline &&
                    client_->engine().registered() && client_->engine().busy();
  if (!owes || loop_.now() - *idle_since_ >= kLinger) {
    loop_.stop();
  } else if (!idle_timer_->armed()) {
    idle_timer_->set(kLingerCheck, [] {});
  }
}

template <typename Visit>
void Host::each_command(Visit visit) {
  for (auto& [index, session] : sessions_) {
    if (Command* command = session->command()) visit(*command);
  }
}

void Host::on_event(const client::Event& event) {
  if (const auto* received = std::get_if<client::MessageReceived>(&event)) {
    unshown_->note(received->message.chat);
  }
  each_command([&](Command& command) { command.on_event(event); });
}

void Host::on_committed() {
  each_command([](Command& command) { command.on_committed(); });
}

void Host::on_commit_failed(Error error) {
  each_command([&](Command& command) { command.on_commit_failed(error); });
}

void Host::on_link_failed() {
  each_command([](Command& command) { command.on_link_failed(); });
}

void Host::on_store_lost(Error error) {
  each_command([&](Command& command) { command.on_commit_failed(error); });
  for (auto& [index, session] : sessions_) session->finish(kExitStore);
}

}  // namespace godwit::cli
