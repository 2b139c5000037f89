#include "bench/peerload/crowd.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <sstream>

namespace peerload {

namespace {

constexpr std::uint32_t kOpening = 32;  // connections begun at once
constexpr std::uint32_t kMostMessages = 20'000'000;
constexpr double kPatience = 20;
constexpr std::size_t kRead = 256 * 1024;
constexpr std::size_t kNote = 8 + 8 + 16;  // run, number, due, in hexadecimal digits

std::int64_t now_us() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return std::int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000;
}

// Processor time of this thread.
double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// What this socket has sent so far.
std::uint64_t sent_octets(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size);
  return info.tcpi_bytes_sent;
}

double seconds_since(std::int64_t start) { return static_cast<double>(now_us() - start) / 1e6; }

}  // namespace

Crowd::Crowd(const CrowdOptions& options)
    : options_(options), epoll_(epoll_create1(EPOLL_CLOEXEC)), scratch_(kRead) {
  const DialectOptions how{false, options.persistent};
  if (options.dialect == "mqtt") dialect_ = make_mqtt(*this, how);
  else if (options.dialect == "xmpp") dialect_ = make_xmpp(*this, how);
  else dialect_ = make_nats(*this, options.dialect == "jetstream");
  if (options.tls) tls_ = SSL_CTX_new(TLS_client_method());  // nobody's certificate is checked
}

Crowd::~Crowd() {
  for (auto& peer : peers_) {
    if (peer) close(*peer);
  }
  SSL_CTX_free(tls_);
  ::close(epoll_);
}

// ---- connections

void Crowd::open(std::uint32_t user) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(options_.port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || ::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    if (fd >= 0) ::close(fd);
    ++cut_;
    return;
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (peers_.size() <= user) peers_.resize(user + 1);
  peers_[user] = std::make_unique<Peer>();
  Peer& peer = *peers_[user];
  peer.fd = fd;
  peer.user = user;
  ++opening_;
  epoll_event event{EPOLLIN, {}};
  event.data.u32 = user;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  dirty_.push_back(user);
  if (tls_ != nullptr && dialect_->tls_first()) {
    peer.tls = SSL_new(tls_);
    SSL_set_fd(peer.tls, fd);
    if (SSL_connect(peer.tls) != 1) return close(peer);  // the server answers from its own core
  }
  dialect_->begin(peer);
  flush(peer);
}

void Crowd::close(Peer& peer) {
  if (peer.ready) --ready_;
  else --opening_;
  SSL_free(peer.tls);
  ::close(peer.fd);
  const std::uint32_t user = peer.user;
  peers_[user].reset();
}

void Crowd::turn(int wait_ms) {
  epoll_event events[256];
  const int count = epoll_wait(epoll_, events, 256, dirty_.empty() ? wait_ms : 0);
  for (int i = 0; i < count; ++i) {
    const auto& peer = peers_[events[i].data.u32];
    if (peer && (events[i].events & EPOLLOUT) != 0) flush(*peer);
    if (peer && (events[i].events & ~EPOLLOUT) != 0) on_readable(*peer);
  }
  pace();
  std::vector<std::uint32_t> dirty;
  dirty.swap(dirty_);
  for (const std::uint32_t user : dirty) {
    if (peers_[user]) flush(*peers_[user]);
  }
  const std::uint32_t at_once = ready_ == 0 ? 1 : kOpening;  // the first one may set things up
  while (next_ < end_ && opening_ < at_once) open(next_++);
}

bool Crowd::run_until(const std::function<bool()>& done, double most_seconds) {
  const std::int64_t start = now_us();
  std::int64_t moved = start;
  for (std::uint64_t seen = moves_; !done();) {
    turn(plan_.rate > 0 && writing_ ? 1 : 20);
    if (seconds_since(start) > most_seconds) return false;
    if (moves_ != seen) moved = now_us();
    seen = moves_;
    if (seconds_since(moved) > kPatience) return false;
  }
  return true;
}

void Crowd::on_readable(Peer& peer) {
  for (;;) {
    const auto got = peer.tls != nullptr
                         ? SSL_read(peer.tls, scratch_.data(), static_cast<int>(scratch_.size()))
                         : recv(peer.fd, scratch_.data(), scratch_.size(), MSG_DONTWAIT);
    if (got <= 0) {
      if (peer.tls == nullptr && got < 0 && (errno == EAGAIN || errno == EINTR)) return;
      ++cut_;
      return close(peer);
    }
    const std::uint32_t user = peer.user;
    on_octets(peer, {scratch_.data(), static_cast<std::size_t>(got)});
    if (!peers_[user]) return;
    if (peer.tls == nullptr || SSL_pending(peer.tls) == 0) return;
  }
}

void Crowd::on_octets(Peer& peer, std::string_view octets) {
  if (!peer.in.empty()) {
    peer.in += octets;
    octets = peer.in;
  }
  const std::size_t had = peer.out.size();
  const std::size_t used = dialect_->take(peer, octets);
  if (used == std::string_view::npos) {
    ++cut_;
    return close(peer);
  }
  peer.in = std::string(octets.substr(used));
  if (peer.in.empty()) std::string().swap(peer.in);
  if (peer.out.size() > had) dirty_.push_back(peer.user);
}

void Crowd::flush(Peer& peer) {
  if (peer.out.empty()) return;
  if (tls_ != nullptr && peer.tls == nullptr) {  // NATS: now that the server has introduced itself
    peer.tls = SSL_new(tls_);
    SSL_set_fd(peer.tls, peer.fd);
    if (SSL_connect(peer.tls) != 1) return close(peer);
  }
  const auto sent =
      peer.tls != nullptr
          ? SSL_write(peer.tls, peer.out.data(), static_cast<int>(peer.out.size()))
          : send(peer.fd, peer.out.data(), peer.out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent > 0) peer.out.erase(0, static_cast<std::size_t>(sent));
  if (peer.out.empty()) std::string().swap(peer.out);
  const bool waits = !peer.out.empty();
  if (waits == peer.waits_to_write) return;
  peer.waits_to_write = waits;
  epoll_event event{waits ? EPOLLIN | EPOLLOUT : EPOLLIN, {}};
  event.data.u32 = peer.user;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, peer.fd, &event);
}

// ---- what the servers say

void Crowd::on_ready(Peer& peer) {
  ++moves_;
  if (peer.ready) return;
  peer.ready = true;
  --opening_;
  ++ready_;
  ++became_ready_;
}

void Crowd::on_accepted(Peer& peer, std::uint32_t number) {
  ++moves_;
  ++accepted_;
  if (!ledger_) return;
  const bool whole = ledger_->accepted(number);
  if (writing_ && plan_.rate == 0 && (whole || plan_.targets > 0)) {
    write_message(peer.user, now_us());
  }
}

void Crowd::on_received(Peer& peer, std::string_view payload) {
  ++moves_;
  if (payload.size() < kNote || !ledger_) return;
  const auto number_at = [&](std::size_t at, std::size_t digits) {
    return std::stoull(std::string(payload.substr(at, digits)), nullptr, 16);
  };
  if (number_at(0, 8) != run_) return;
  const auto number = static_cast<std::uint32_t>(number_at(8, 8));
  if (!in_room_ && !ledger_->delivered(number)) {
    ++duplicated_;
    return;
  }
  ++delivered_;
  latencies_.add(now_us() - static_cast<std::int64_t>(number_at(16, 16)));
  if (writing_ && plan_.rate == 0 && plan_.targets == 0 && ledger_->is_whole(number)) {
    write_message(peer.user - 1, now_us());
  }
}

void Crowd::on_joined(Peer&) {
  ++moves_;
  ++joined_;
}

// ---- messages

std::string Crowd::payload_of(std::uint32_t number, std::int64_t due) const {
  char note[kNote + 1];
  std::snprintf(note, sizeof note, "%08x%08x%016llx", run_, number,
                static_cast<unsigned long long>(due));
  std::string payload(note);
  payload.resize(std::max(plan_.size, kNote), 'x');
  return payload;
}

bool Crowd::write_message(std::uint32_t writer, std::int64_t due) {
  if (writer >= peers_.size() || !peers_[writer] || !peers_[writer]->ready) return false;
  std::uint32_t number = 0;
  if (plan_.messages > 0 && written_ >= plan_.messages) return false;
  if (!ledger_->next(number)) return false;
  ++written_;
  const std::uint32_t to = plan_.targets > 0 ? plan_.first + number % plan_.targets : writer + 1;
  const std::string payload = payload_of(number, due);
  Peer& peer = *peers_[writer];
  if (peer.out.empty()) dirty_.push_back(writer);
  dialect_->publish(peer, to, number, payload);
  return true;
}

void Crowd::pace() {
  if (!writing_ || plan_.rate == 0) return;
  for (const std::int64_t now = now_us();;) {
    const auto due =
        began_ + static_cast<std::int64_t>(static_cast<double>(written_) / plan_.rate * 1e6);
    const auto writer = static_cast<std::uint32_t>(written_ % plan_.writers) * plan_.stride;
    if (due > now || !write_message(writer, due)) return;
  }
}

std::string Crowd::write(const Plan& plan, double seconds) {
  plan_ = plan;
  ++run_;
  const double most = plan.messages > 0 ? plan.messages
                      : plan.rate > 0   ? plan.rate * seconds + 1000
                                        : 200'000 * seconds;
  ledger_ = std::make_shared<godwit::loadgen::Ledger>(
      static_cast<std::uint32_t>(std::min<double>(most, kMostMessages)));
  latencies_ = {};
  delivered_ = accepted_ = duplicated_ = written_ = 0;
  began_ = now_us();
  writing_ = true;
  if (plan.rate == 0) {
    for (std::uint32_t i = 0; i < plan.writers * plan.window; ++i) {
      write_message(i % plan.writers * plan.stride, now_us());
    }
  }
  if (plan.messages > 0) run_until([&] { return accepted_ >= plan.messages; });
  else run_until([] { return false; }, seconds);
  const double took = seconds_since(began_);
  const std::uint64_t in_time = plan.targets > 0 ? accepted_ : delivered_;
  writing_ = false;
  run_until([&] { return accepted_ >= written_ && (plan_.targets > 0 || delivered_ >= written_); });
  return fates(took, in_time);
}

std::string Crowd::fates(double seconds, std::uint64_t in_time) const {
  const auto sum = ledger_->sum();
  std::ostringstream out;
  out << "{\"messages_per_second\": " << static_cast<double>(in_time) / seconds
      << ", \"seconds\": " << seconds << ", \"sent\": " << written_
      << ", \"accepted\": " << sum.accepted << ", \"delivered\": " << sum.delivered
      << ", \"lost\": " << sum.lost << ", \"duplicated\": " << duplicated_ << ", \"cut\": " << cut_
      << ", \"latency_ms\": {";
  const char* separator = "";
  for (const char* share : {"0.5", "0.9", "0.99", "0.999", "1"}) {
    out << separator << "\"" << share
        << "\": " << static_cast<double>(latencies_.quantile(std::stod(share))) / 1000;
    separator = ", ";
  }
  return out.str() + "}}";
}

// ---- commands

std::string Crowd::register_users(std::uint32_t count) {
  const std::int64_t start = now_us();
  dialect_ = make_xmpp(*this, {.registers = true});
  next_ = 0;
  end_ = count;
  run_until([&] { return next_ >= end_ && ready_ + opening_ == 0; });
  dialect_ = make_xmpp(*this, {});
  cut_ = 0;
  if (became_ready_ < count) return "error: the server did not register everybody";
  std::ostringstream out;
  out << "{\"registered\": " << count << ", \"seconds\": " << seconds_since(start) << "}";
  return out.str();
}

std::string Crowd::connect(std::uint32_t first, std::uint32_t end) {
  const std::int64_t start = now_us();
  const std::uint32_t before = ready_;
  next_ = first;
  end_ = end;
  run_until([&] { return ready_ + cut_ >= before + end - first; });
  std::ostringstream out;
  out << "{\"connections\": " << ready_ << ", \"seconds\": " << seconds_since(start)
      << ", \"failed\": " << cut_ << "}";
  return out.str();
}

std::string Crowd::leave(std::uint32_t first, std::uint32_t end) {
  for (std::uint32_t user = first; user < end && user < peers_.size(); ++user) {
    if (peers_[user]) close(*peers_[user]);
  }
  return "{\"connections\": " + std::to_string(ready_) + "}";
}

std::string Crowd::idle(double seconds) {
  for (const std::int64_t start = now_us(); seconds_since(start) < seconds;) turn(20);
  return "{\"connections\": " + std::to_string(ready_) + "}";
}

std::string Crowd::drain(std::uint32_t first, std::uint32_t end) {
  if (!ledger_) return "error: nothing was stored";
  const std::int64_t start = now_us();
  next_ = first;
  end_ = end;
  run_until([&] { return delivered_ >= written_; });
  const double took = seconds_since(start);
  idle(1);  // for duplicates, and the last acknowledgements
  return fates(took, delivered_);
}

// ---- rooms

std::string Crowd::join(const std::string& room, std::uint32_t members) {
  const std::int64_t start = now_us();
  joined_ = 0;
  for (std::uint32_t user = 0; user < members; ++user) {
    if (user >= peers_.size() || !peers_[user]) return "error: connect them first";
    dialect_->join(*peers_[user], room);
    dirty_.push_back(user);
    if (user == 0) run_until([&] { return joined_ > 0; });  // who makes the room is there first
    turn(0);
  }
  run_until([&] { return joined_ >= members; });
  std::ostringstream out;
  out << "{\"joined\": " << joined_ << ", \"seconds\": " << seconds_since(start) << "}";
  return out.str();
}

std::string Crowd::speak(const std::string& room, const Plan& plan) {
  if (peers_.empty() || !peers_[0]) return "error: connect somebody first";
  plan_ = plan;
  ++run_;
  ledger_ = std::make_shared<godwit::loadgen::Ledger>(plan.messages);
  latencies_ = {};
  delivered_ = 0;
  in_room_ = true;
  began_ = now_us();
  double cpu = 0;
  const std::uint64_t sent_before = sent_octets(peers_[0]->fd);
  for (std::uint32_t number = 0; number < plan.messages; ++number) {
    const auto due =
        began_ + static_cast<std::int64_t>(static_cast<double>(number) / plan.rate * 1e6);
    while (now_us() < due) turn(1);
    const double before = thread_seconds();
    Peer& peer = *peers_[0];
    dialect_->say(peer, room, number, payload_of(number, due));
    flush(peer);
    cpu += thread_seconds() - before;
    if (!peers_[0]) return "error: the server hung up";
  }
  const std::uint64_t wanted = std::uint64_t{plan.messages} * plan.writers;
  run_until([&] { return delivered_ >= wanted; });
  const double took = seconds_since(began_);
  idle(0.2);  // for duplicates
  in_room_ = false;
  const auto ms = [&](double share) {
    return static_cast<double>(latencies_.quantile(share)) / 1000;
  };
  std::ostringstream out;
  out << "{\"messages\": " << plan.messages << ", \"deliveries\": " << delivered_
      << ", \"wanted\": " << wanted << ", \"seconds\": " << took
      << ", \"sender_us\": " << cpu / plan.messages * 1e6 << ", \"upload_octets\": "
      << static_cast<double>(sent_octets(peers_[0]->fd) - sent_before) / plan.messages
      << ", \"p50_ms\": " << ms(0.5) << ", \"p99_ms\": " << ms(0.99) << "}";
  return out.str();
}

}  // namespace peerload
