// MQTT 3.1.1, QoS 1: user N receives what is published to in/N.
#include "bench/peerload/peer.h"

namespace peerload {

namespace {

constexpr char kConnect = 0x10, kConnack = 0x20, kPublish = 0x32, kPuback = 0x40,
               kSubscribe = static_cast<char>(0x82), kSuback = static_cast<char>(0x90);

void put16(std::string& out, std::size_t value) {
  out.push_back(static_cast<char>(value >> 8));
  out.push_back(static_cast<char>(value));
}

void put_text(std::string& out, std::string_view text) {
  put16(out, text.size());
  out += text;
}

std::uint16_t get16(std::string_view in) {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(in[0]) << 8 |
                                    static_cast<unsigned char>(in[1]));
}

void put_packet(std::string& out, char type, std::string_view body) {
  out.push_back(type);
  std::size_t size = body.size();
  do {
    out.push_back(static_cast<char>(size % 128 + (size >= 128 ? 128 : 0)));
    size /= 128;
  } while (size > 0);
  out += body;
}

class Mqtt final : public Dialect {
 public:
  Mqtt(Listener& listener, const DialectOptions& options)
      : listener_(listener), persistent_(options.persistent) {}

  void begin(Peer& peer) override {
    std::string body;
    put_text(body, "MQTT");
    body.push_back(4);                                            // 3.1.1
    body.push_back(static_cast<char>(persistent_ ? 0xc0 : 0xc2));  // user, password, clean session
    put16(body, 0);  // no keep-alive
    put_text(body, (persistent_ ? "p" : "u") + std::to_string(peer.user));
    put_text(body, "bench");
    put_text(body, "secret");
    put_packet(peer.out, kConnect, body);
  }

  std::size_t take(Peer& peer, std::string_view in) override {
    std::size_t used = 0;
    for (;;) {
      const std::string_view rest = in.substr(used);
      std::size_t size = 0, at = 1;
      for (int shift = 0;; shift += 7, ++at) {
        if (at >= rest.size()) return used;
        size |= static_cast<std::size_t>(rest[at] & 0x7f) << shift;
        if ((rest[at] & 0x80) == 0) break;
      }
      ++at;
      if (rest.size() < at + size) return used;
      if (!packet(peer, rest[0], rest.substr(at, size))) return std::string_view::npos;
      used += at + size;
    }
  }

  void publish(Peer& peer, std::uint32_t to, std::uint32_t number,
               std::string_view payload) override {
    body_.clear();
    put_text(body_, "in/" + std::to_string(to));
    if (++peer.packet == 0) ++peer.packet;
    put16(body_, peer.packet);
    body_ += payload;
    put_packet(peer.out, kPublish, body_);
    peer.unconfirmed.push_back(number);
  }

 private:
  bool packet(Peer& peer, char head, std::string_view body) {
    switch (static_cast<char>(head & 0xf0)) {
      case kConnack: {
        if (body.size() < 2 || body[1] != 0) return false;
        std::string subscription;
        put16(subscription, 1);
        put_text(subscription, "in/" + std::to_string(peer.user));
        subscription.push_back(1);
        put_packet(peer.out, kSubscribe, subscription);
        return true;
      }
      case kSuback: listener_.on_ready(peer); return true;
      case kPuback: {  // this server answers in order
        if (peer.unconfirmed.empty()) return false;
        const std::uint32_t number = peer.unconfirmed.front();
        peer.unconfirmed.pop_front();
        listener_.on_accepted(peer, number);
        return true;
      }
      case static_cast<char>(kPublish & 0xf0): {
        const std::size_t topic = 2 + get16(body);
        if ((head & 0x06) == 0x02) {
          put_packet(peer.out, kPuback, body.substr(topic, 2));
          listener_.on_received(peer, body.substr(topic + 2));
        } else {
          listener_.on_received(peer, body.substr(topic));
        }
        return true;
      }
      default: return true;
    }
  }

  Listener& listener_;
  const bool persistent_;
  std::string body_;
};

}  // namespace

std::unique_ptr<Dialect> make_mqtt(Listener& listener, const DialectOptions& options) {
  return std::make_unique<Mqtt>(listener, options);
}

}  // namespace peerload
