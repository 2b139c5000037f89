#include "server/effects.h"

namespace godwit::server {
namespace {

Message to_asker(const Message& asked, Verb verb) {
  Message m;
  m.verb = verb;
  m.session = asked.session;
  m.request = asked.request;
  return m;
}

}  // namespace

Post reply_to(const Message& asked, const proto::Frame& frame) {
  Message m = to_asker(asked, Verb::kReply);
  proto::put_frame(m.body, frame);
  return {std::move(m)};
}

Post refuse(const Message& asked, Error error, Duration retry_after) {
  return reply_to(asked, proto::error_frame(asked.request, error, retry_after));
}

Post kick(SessionAddress session, Error error, Duration retry_after) {
  Message m;
  m.verb = Verb::kKick;
  m.session = session;
  m.body = encode(proto::Closing{error.code, std::string(error.text), retry_after});
  return {std::move(m)};
}

}  // namespace godwit::server
