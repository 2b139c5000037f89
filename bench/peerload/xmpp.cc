// XMPP with SASL PLAIN and stream management (XEP-0198): user N is uN@localhost, and asks for an
// acknowledgement after every message.
#include <openssl/evp.h>

#include <charconv>
#include <iostream>

#include "bench/peerload/peer.h"

namespace peerload {

namespace {

constexpr std::string_view kStream =
    "<?xml version='1.0'?><stream:stream to='localhost' xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";
enum Step : std::uint8_t { kFeatures, kRegistered, kLogin, kBindable, kBound, kManaged, kDone };

std::string base64(std::string_view plain) {
  std::string out(4 * ((plain.size() + 2) / 3) + 1, 0);
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(plain.data()),
                                   static_cast<int>(plain.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

// The size of the tag at the start of `in`, 0 when it is not whole.
std::size_t tag_size(std::string_view in) {
  char quote = 0;
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (quote != 0) {
      if (in[i] == quote) quote = 0;
    } else if (in[i] == '\'' || in[i] == '"') {
      quote = in[i];
    } else if (in[i] == '>') {
      return i + 1;
    }
  }
  return 0;
}

// The size of the element at the start of `in`, 0 when it is not whole. A stream's head and a
// declaration count as whole.
std::size_t element_size(std::string_view in) {
  int depth = 0;
  for (std::size_t at = 0; at < in.size();) {
    const std::size_t size = tag_size(in.substr(at));
    if (size == 0) return 0;
    const std::string_view tag = in.substr(at, size);
    at += size;
    if (tag.starts_with("<?") || tag.starts_with("<stream:stream")) return at;
    if (tag.starts_with("</")) --depth;
    else if (!tag.ends_with("/>")) ++depth;
    if (depth <= 0) return at;
    at = in.find('<', at);
    if (at == std::string_view::npos) return 0;
  }
  return 0;
}

class Xmpp final : public Dialect {
 public:
  Xmpp(Listener& listener, const DialectOptions& options)
      : listener_(listener), registers_(options.registers) {}

  void begin(Peer& peer) override { peer.out += kStream; }

  std::size_t take(Peer& peer, std::string_view in) override {
    std::size_t used = 0;
    for (;;) {
      const std::size_t start = in.find('<', used);
      if (start == std::string_view::npos) return in.size();
      const std::size_t size = element_size(in.substr(start));
      if (size == 0) return start;
      const std::string_view element = in.substr(start, size);
      if (!(peer.step == kDone ? talk(peer, element) : introduce(peer, element))) {
        return std::string_view::npos;
      }
      used = start + size;
    }
  }

  void publish(Peer& peer, std::uint32_t to, std::uint32_t number,
               std::string_view payload) override {
    peer.out.append("<message type='chat' to='u").append(std::to_string(to));
    peer.out.append("@localhost'><body>").append(payload);
    peer.out.append("</body></message><r xmlns='urn:xmpp:sm:3'/>");
    peer.unconfirmed.push_back(number);
  }

  // XEP-0045. Who comes first makes the room.
  void join(Peer& peer, std::string_view room) override {
    peer.out.append("<presence to='").append(room).append("@conference.localhost/u");
    peer.out.append(std::to_string(peer.user));
    peer.out.append("'><x xmlns='http://jabber.org/protocol/muc'/></presence>");
    peer.unconfirmed.push_back(kNoMessage);
  }

  void say(Peer& peer, std::string_view room, std::uint32_t number,
           std::string_view payload) override {
    peer.out.append("<message type='groupchat' to='").append(room);
    peer.out.append("@conference.localhost'><body>").append(payload);
    peer.out.append("</body></message><r xmlns='urn:xmpp:sm:3'/>");
    peer.unconfirmed.push_back(number);
  }

 private:
  // The way to an established session.
  bool introduce(Peer& peer, std::string_view element) {
    const bool features = element.starts_with("<stream:features");
    const std::string user = "u" + std::to_string(peer.user);
    if (element.starts_with("<stream:error") || element.starts_with("<failure")) {
      std::cerr << "the server refuses u" << peer.user << ": " << element << "\n";
      return false;
    }
    switch (peer.step) {
      case kFeatures:
        if (!features) return true;
        if (registers_) {
          peer.step = kRegistered;
          peer.out += "<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>" + user +
                      "</username><password>secret</password></query></iq>";
          return true;
        }
        peer.step = kLogin;
        peer.out += "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" +
                    base64(std::string(1, 0) + user + std::string(1, 0) + "secret") + "</auth>";
        return true;
      case kRegistered:
        if (!element.starts_with("<iq")) return true;
        if (element.find("type='error'") != std::string_view::npos) {
          std::cerr << "the server registers nobody: " << element << "\n";
          return false;
        }
        listener_.on_ready(peer);
        return false;  // nothing more to do here
      case kLogin:
        if (!element.starts_with("<success")) return true;
        peer.step = kBindable;
        peer.out += kStream;
        return true;
      case kBindable:
        if (!features) return true;
        peer.step = kBound;
        peer.out +=
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            "<resource>r</resource></bind></iq>";
        return true;
      case kBound:
        if (!element.starts_with("<iq")) return true;
        peer.step = kManaged;
        peer.out += "<enable xmlns='urn:xmpp:sm:3'/>";
        return true;
      default:
        if (!element.starts_with("<enabled")) return true;
        peer.step = kDone;
        peer.out += "<presence/>";
        listener_.on_ready(peer);
        return true;
    }
  }

  bool talk(Peer& peer, std::string_view element) {
    if (element.starts_with("<r ") || element.starts_with("<r/")) {
      peer.out += "<a xmlns='urn:xmpp:sm:3' h='" + std::to_string(peer.handled) + "'/>";
      return true;
    }
    if (element.starts_with("<a ")) {
      confirm(peer, element);
      return true;
    }
    ++peer.handled;
    const bool own = element.find("code='110'") != std::string_view::npos;
    if (own && element.starts_with("<presence")) listener_.on_joined(peer);
    if (!element.starts_with("<message")) return !element.starts_with("<stream:error");
    const std::size_t body = element.find("<body>");
    if (body == std::string_view::npos) return true;
    const std::size_t start = body + 6;
    listener_.on_received(peer, element.substr(start, element.find('<', start) - start));
    return true;
  }

  // The first stanza was the presence.
  void confirm(Peer& peer, std::string_view element) {
    const std::size_t at = element.find(" h=") + 4;
    std::uint32_t count = 0;
    std::from_chars(element.data() + at, element.data() + element.size(), count);
    for (; peer.confirmed < count; ++peer.confirmed) {
      if (peer.confirmed == 0 || peer.unconfirmed.empty()) continue;
      const std::uint32_t number = peer.unconfirmed.front();
      peer.unconfirmed.pop_front();
      listener_.on_accepted(peer, number);
    }
  }

  Listener& listener_;
  const bool registers_;
};

}  // namespace

std::unique_ptr<Dialect> make_xmpp(Listener& listener, const DialectOptions& options) {
  return std::make_unique<Xmpp>(listener, options);
}

}  // namespace peerload
