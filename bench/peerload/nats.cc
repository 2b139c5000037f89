// The NATS text protocol: user N receives what is published to m.N. Core NATS acknowledges
// nothing, so a message counts as accepted when it leaves. With JetStream a stream keeps what is
// published until its receiver, a durable push consumer, has acknowledged it.
#include <charconv>

#include "bench/peerload/peer.h"

namespace peerload {

namespace {

constexpr std::string_view kEnd = "\r\n";
enum Step : std::uint8_t { kInfo, kPong, kStream, kConsumer, kDone };

class Nats final : public Dialect {
 public:
  Nats(Listener& listener, bool jetstream) : listener_(listener), jetstream_(jetstream) {}

  bool tls_first() const override { return false; }  // the server speaks first, in the clear
  void begin(Peer&) override {}

  std::size_t take(Peer& peer, std::string_view in) override {
    std::size_t used = 0;
    for (;;) {
      const std::string_view rest = in.substr(used);
      const std::size_t end = rest.find(kEnd);
      if (end == std::string_view::npos) return used;
      const std::string_view line = rest.substr(0, end);
      std::size_t size = end + kEnd.size();
      if (line.starts_with("MSG ")) {
        std::size_t length = 0;
        const std::size_t last = line.rfind(' ') + 1;
        std::from_chars(line.data() + last, line.data() + line.size(), length);
        if (rest.size() < size + length + kEnd.size()) return used;
        if (!message(peer, line.substr(0, last), rest.substr(size, length))) {
          return std::string_view::npos;
        }
        size += length + kEnd.size();
      } else if (line.starts_with("-ERR")) {
        return std::string_view::npos;
      } else if (line == "PING") {
        peer.out += "PONG\r\n";
      } else if (line.starts_with("INFO") && peer.step == kInfo) {
        peer.step = kPong;
        log_in(peer);
      } else if (line == "PONG" && peer.step == kPong) {
        welcome(peer);
      }
      used += size;
    }
  }

  void publish(Peer& peer, std::uint32_t to, std::uint32_t number,
               std::string_view payload) override {
    peer.out += "PUB m." + std::to_string(to);
    if (jetstream_) peer.out += " a." + std::to_string(peer.user) + "." + std::to_string(number);
    peer.out += " " + std::to_string(payload.size());
    peer.out.append(kEnd).append(payload).append(kEnd);
    if (!jetstream_) listener_.on_accepted(peer, number);
  }

 private:
  static void log_in(Peer& peer) {
    peer.out +=
        "CONNECT {\"verbose\":false,\"pedantic\":false,\"user\":\"bench\",\"pass\":\"secret\","
        "\"name\":\"peerload\",\"lang\":\"c++\",\"version\":\"1\"}\r\nPING\r\n";
  }

  void welcome(Peer& peer) {
    const std::string user = std::to_string(peer.user);
    peer.out += "SUB " + std::string(jetstream_ ? "d." : "m.") + user + " 1\r\n";
    if (!jetstream_) {
      peer.step = kDone;
      return listener_.on_ready(peer);
    }
    peer.out += "SUB a." + user + ".> 2\r\n";
    if (stream_stands_) return consume(peer);
    peer.step = kStream;
    ask(peer, "STREAM.CREATE.M",
        "{\"name\":\"M\",\"subjects\":[\"m.>\"],\"retention\":\"workqueue\",\"storage\":\"file\","
        "\"num_replicas\":1,\"max_consumers\":-1,\"max_msgs\":-1,\"max_bytes\":-1,\"max_age\":0}");
  }

  void consume(Peer& peer) {
    peer.step = kConsumer;
    const std::string user = std::to_string(peer.user);
    ask(peer, "CONSUMER.DURABLE.CREATE.M.c" + user,
        "{\"stream_name\":\"M\",\"config\":{\"durable_name\":\"c" + user +
            "\",\"deliver_subject\":\"d." + user + "\",\"filter_subject\":\"m." + user +
            "\",\"ack_policy\":\"explicit\",\"deliver_policy\":\"all\",\"max_ack_pending\":1000}}");
  }

  static void ask(Peer& peer, const std::string& what, const std::string& body) {
    peer.out += "PUB $JS.API." + what + " a." + std::to_string(peer.user) + ".x " +
                std::to_string(body.size());
    peer.out.append(kEnd).append(body).append(kEnd);
  }

  // `head`: "MSG subject sid [reply-to] ", with the space at its end.
  bool message(Peer& peer, std::string_view head, std::string_view payload) {
    const std::size_t subject_end = head.find(' ', 4);
    const std::string_view subject = head.substr(4, subject_end - 4);
    if (subject.starts_with("a.")) return answer(peer, subject, payload);
    const std::size_t reply = head.find(' ', subject_end + 1) + 1;
    if (reply < head.size()) {
      peer.out.append("PUB ").append(head.substr(reply)).append("4\r\n+ACK\r\n");
    }
    listener_.on_received(peer, payload);
    return true;
  }

  bool answer(Peer& peer, std::string_view subject, std::string_view payload) {
    if (payload.find("\"error\"") != std::string_view::npos) return false;
    if (peer.step == kStream) {
      stream_stands_ = true;
      consume(peer);
    } else if (peer.step == kConsumer) {
      peer.step = kDone;
      listener_.on_ready(peer);
    } else {
      std::uint32_t number = 0;
      const std::size_t at = subject.rfind('.') + 1;
      std::from_chars(subject.data() + at, subject.data() + subject.size(), number);
      listener_.on_accepted(peer, number);
    }
    return true;
  }

  Listener& listener_;
  const bool jetstream_;
  bool stream_stands_ = false;
};

}  // namespace

std::unique_ptr<Dialect> make_nats(Listener& listener, bool jetstream) {
  return std::make_unique<Nats>(listener, jetstream);
}

}  // namespace peerload
