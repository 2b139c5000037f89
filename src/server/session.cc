#include "server/session.h"

#include <algorithm>
#include <utility>

#include "crypto/hash.h"

namespace godwit::server {
namespace {

using proto::Kind;

constexpr std::uint8_t kCodesPerConnection = 10;

// Pings are answered without asking the account for so long. It counts pushes, so that the one
// after that notices a push that was lost with none to follow, or an attachment that is gone.
constexpr std::uint16_t kPingsAnswered = 90;  // seconds

constexpr Error kMalformed{Code::kInvalid, "the request is malformed: update the client"};
constexpr Error kNotAttached{Code::kUnauthenticated, "attach a registered device first"};
constexpr Error kBadNumber{Code::kInvalid, "not a number in international form: +, then digits"};

// The shape of E.164. Whether such a number exists is for the Gateway to say.
bool is_e164(std::string_view phone) {
  if (phone.size() < 8 || phone.size() > 16 || phone[0] != '+' || phone[1] == '0') return false;
  return std::ranges::all_of(phone.substr(1), [](char c) { return c >= '0' && c <= '9'; });
}

EntityKey handle_of(ByteView pepper, std::string_view phone) {
  const auto mac = crypto::hmac_sha256(pepper, view_of(phone));
  EntityKey handle;
  std::copy_n(mac.view().begin(), handle.size(), handle.begin());
  return handle;
}

// The first field of requests about somebody else, or about a group: the id of an entity. The rest
// is for that to read.
struct Addressee {
  EntityKey key{};
  static void fields(auto& m, auto& field) { field(1, m.key); }
};

// What a Submit or a Hint without a name has to show, too.
struct Shown {
  EntityKey key{};
  proto::AccessKey access{};
  static void fields(auto& m, auto& field) {
    field(1, m.key);
    field(3, m.access);
  }
};

}  // namespace

Session::Session(ShardId shard, const SessionRecord& record)
    : self_{shard, record.id},
      peer_(record.peer),
      user_(record.user),
      device_(record.device),
      codes_requested_(record.codes_requested),
      attachment_(record.attachment),
      pushes_(record.pushes) {}

SessionRecord Session::record() const {
  return {self_.id, peer_, user_, device_, codes_requested_, attachment_, pushes_};
}

void Session::end(Error error, Effects& out) const {
  Bytes frame;
  const proto::Closing closing{error.code, std::string(error.text), {}};
  proto::put_frame(frame, proto::make_frame(Kind::kClosing, 0, closing));
  out.push_back(Transmit{share(std::move(frame))});
  out.push_back(Hang{});
}

void Session::refuse_frame(const proto::Frame& frame, Error error, Effects& out) const {
  Bytes octets;
  proto::put_frame(octets, proto::error_frame(frame.id, error));
  out.push_back(Transmit{share(std::move(octets))});
}

Message Session::request(Verb verb, proto::Frame& frame) const {
  Message m;
  m.verb = verb;
  m.session = self_;
  m.request = frame.id;
  m.from = user_;
  m.from_device = device_;
  m.peer = peer_;
  m.body = std::move(frame.body);
  return m;
}

void Session::on_frame(proto::Frame frame, ByteView pepper, Instant now, Effects& out) {
  const bool notice = frame.kind == Kind::kAck || frame.kind == Kind::kHint;
  if (!notice && frame.id == 0) return refuse_frame(frame, kMalformed, out);
  switch (frame.kind) {
    case Kind::kRequestCode: return request_code(frame, pepper, out);
    case Kind::kRegister: return register_device(frame, pepper, out);
    case Kind::kAttach: return attach(frame, out);
    default: break;
  }
  if (!attached() && frame.kind == Kind::kSubmit) return nameless(Verb::kSubmit, frame, now, out);
  if (!attached() && frame.kind == Kind::kHint) return nameless(Verb::kHint, frame, now, out);
  if (!attached()) return refuse_frame(frame, kNotAttached, out);
  switch (frame.kind) {
    case Kind::kLookup: return lookup(frame, pepper, out);
    case Kind::kFetchBundles: return to_addressee(Verb::kFetchBundles, frame, out);
    case Kind::kUploadPrekeys: return to_own_account(Verb::kUploadPrekeys, frame, out);
    case Kind::kCertify: return to_own_account(Verb::kCertify, frame, out);
    case Kind::kSubmit: return to_addressee(Verb::kSubmit, frame, out);
    case Kind::kHint: return to_addressee(Verb::kHint, frame, out);
    case Kind::kChangeGroup: return to_addressee(Verb::kGroupChange, frame, out);
    case Kind::kFetchGroup: return to_addressee(Verb::kGroupFetch, frame, out);
    case Kind::kSubmitGroup: return to_addressee(Verb::kGroupSubmit, frame, out);
    case Kind::kAck: return cursor(Verb::kAck, frame, now, out);
    case Kind::kPing: return cursor(Verb::kPing, frame, now, out);
    default: break;
  }
  refuse_frame(frame, {Code::kUnsupported, "this server does not know the request"}, out);
}

void Session::request_code(proto::Frame& frame, ByteView pepper, Effects& out) {
  const auto body = decode<proto::RequestCode>(frame.body);
  if (!body || !is_e164(body->phone)) return refuse_frame(frame, kBadNumber, out);
  if (codes_requested_ >= kCodesPerConnection) {
    static constexpr Error kTooMany{Code::kRateLimited, "too many codes requested: try later"};
    refuse_frame(frame, kTooMany, out);
    return end(kTooMany, out);  // the connection's allowance never comes back
  }
  ++codes_requested_;
  Message m = request(Verb::kRequestCode, frame);
  m.to = handle_of(pepper, body->phone);
  out.push_back(Post{std::move(m)});
}

void Session::register_device(proto::Frame& frame, ByteView pepper, Effects& out) {
  const auto body = decode<proto::Register>(frame.body);
  if (!body) return refuse_frame(frame, kMalformed, out);
  if (!is_e164(body->phone)) return refuse_frame(frame, kBadNumber, out);
  Message m = request(Verb::kVerify, frame);
  m.to = handle_of(pepper, body->phone);
  out.push_back(Post{std::move(m)});
}

void Session::attach(proto::Frame& frame, Effects& out) {
  const auto body = decode<proto::Attach>(frame.body);
  if (!body || attached()) return refuse_frame(frame, kMalformed, out);
  Message m = request(Verb::kAttach, frame);
  m.to = body->user.octets;
  m.from_device = body->device;
  m.number = body->after.value;
  m.body.clear();
  out.push_back(Post{std::move(m)});
}

void Session::lookup(proto::Frame& frame, ByteView pepper, Effects& out) {
  const auto body = decode<proto::Lookup>(frame.body);
  if (!body || !is_e164(body->phone)) return refuse_frame(frame, kBadNumber, out);
  frame.body = to_bytes(handle_of(pepper, body->phone));
  to_own_account(Verb::kLookup, frame, out);
}

void Session::to_own_account(Verb verb, proto::Frame& frame, Effects& out) {
  Message m = request(verb, frame);
  m.to = user_.octets;
  out.push_back(Post{std::move(m)});
}

void Session::to_addressee(Verb verb, proto::Frame& frame, Effects& out) {
  const auto addressee = decode<Addressee>(frame.body);
  if (!addressee) return refuse_frame(frame, kMalformed, out);
  Message m = request(verb, frame);
  m.to = addressee->key;
  out.push_back(Post{std::move(m)});
}

void Session::nameless(Verb verb, proto::Frame& frame, Instant now, Effects& out) {
  const auto shown = decode<Shown>(frame.body);
  if (!shown) return refuse_frame(frame, kMalformed, out);
  if (shown->access == proto::AccessKey{}) return refuse_frame(frame, kNotAttached, out);
  const auto minute = static_cast<std::uint32_t>(now.ms / limits::kSealedWindow.ms);
  if (std::exchange(nameless_minute_, minute) != minute) nameless_ = 0;
  if (nameless_ >= limits::kSealedRequests) {
    static constexpr Error kTooFast{Code::kRateLimited, "too much on one connection: try later"};
    Message m = request(verb, frame);
    return out.push_back(refuse(m, kTooFast, limits::kSealedWindow));
  }
  ++nameless_;
  Message m = request(verb, frame);
  m.to = shown->key;
  out.push_back(Post{std::move(m)});
}

void Session::cursor(Verb verb, proto::Frame& frame, Instant now, Effects& out) {
  const auto body = decode<proto::Ack>(frame.body);  // Ping has the same field
  if (!body) return refuse_frame(frame, kMalformed, out);
  const auto acknowledged = static_cast<std::uint32_t>(body->up_to.value);
  const bool news = acknowledged != acknowledged_;
  const auto second = static_cast<std::uint16_t>(now.ms / 1000);
  const auto since = static_cast<std::uint16_t>(second - account_asked_);
  if (verb == Verb::kPing && !news && since < kPingsAnswered) {
    Bytes octets;
    proto::put_frame(octets, proto::ok_frame(frame.id));
    return out.push_back(Transmit{share(std::move(octets))});
  }
  account_asked_ = second;
  acknowledged_ = acknowledged;
  frame.body.clear();
  Message m = request(verb, frame);
  m.to = user_.octets;
  m.number = body->up_to.value;
  out.push_back(Post{std::move(m)});
}

void Session::on_message(Message message, Effects& out) {
  static constexpr Error kGap{Code::kUnavailable, "the connection lost its place: reconnect"};
  switch (message.verb) {
    case Verb::kKick: {
      Bytes octets;
      proto::put_frame(octets, {Kind::kClosing, 0, std::move(message.body)});
      out.push_back(Transmit{share(std::move(octets))});
      out.push_back(Hang{});
      return;
    }
    case Verb::kAttached:
      if (attached()) {
        if (message.number != attachment_) end(kGap, out);
        return;
      }
      attachment_ = message.number;
      user_ = message.from;
      device_ = message.from_device;
      break;
    case Verb::kPush:
      if (message.request == attachment_ && message.number <= pushes_) return;  // repeated
      if (message.request != attachment_ || message.number != pushes_ + 1) return end(kGap, out);
      pushes_ = message.number;
      break;
    case Verb::kReply:
      if (message.number > pushes_) return end(kGap, out);
      break;
    default: break;
  }
  out.push_back(Transmit{share(std::move(message.body))});
}

void Session::on_closed(Effects& out) {
  if (!attached()) return;
  proto::Frame none;
  Message m = request(Verb::kDetach, none);
  m.to = user_.octets;
  out.push_back(Post{std::move(m)});
}

}  // namespace godwit::server
