// What an entity asks for, in order.
//
// The commit rule: a Commit gates every later effect of its entity, those of later events
// included. "Acknowledged means stored" is therefore visible as line order. If the commit fails,
// the later effects are dropped (whoever waits for an answer gets an error) and the entity is
// forgotten; the next event loads it again.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/env.h"
#include "ports/store.h"
#include "proto/frame.h"
#include "server/message.h"

namespace godwit::server {

// Store this durably: all of it or nothing. The partition is the entity's own.
struct Commit {
  ports::Batch batch;
};
// Page rows of the own partition in; answered by Entity::on_rows.
struct Page {
  ports::Scan scan;
};
struct Post {
  Message message;
};
// Send a verification code, then answer the request that asked for it.
struct Dial {
  std::string phone;
  std::string code;
  SessionAddress session;
  std::uint64_t request = 0;
};
// Call Entity::on_wake after this time; not on an entity that was loaded since.
struct Wake {
  Duration after;
};
// A session's own: put a frame on its connection; end it.
struct Transmit {
  SharedBytes frame;
};
struct Hang {};

using Effect = std::variant<Commit, Page, Post, Dial, Wake, Transmit, Hang>;
using Effects = std::vector<Effect>;

// An answer to the request that `asked` carries.
Post reply_to(const Message& asked, const proto::Frame& frame);
Post refuse(const Message& asked, Error error, Duration retry_after = {});
// Ends a session with a reason that its client shows or acts on.
Post kick(SessionAddress session, Error error, Duration retry_after = {});

template <typename Body>
Post answer(const Message& asked, const Body& body) {
  return reply_to(asked, proto::make_frame(proto::Kind::kOk, asked.request, body));
}

// A state machine that owns one partition of the store.
class Entity {
 public:
  virtual ~Entity() = default;
  virtual void on_message(const Message& message, Env& env, Effects& out) = 0;
  // The rows of the Page that was asked for; at most one is under way.
  virtual void on_rows(std::vector<ports::Row> rows, Env& env, Effects& out) = 0;
  // The time of a Wake is over.
  virtual void on_wake(Env&, Effects&) {}
  // Nothing of it is kept from the store for a while.
  virtual bool rests() const { return true; }
  // The entity is about to be forgotten because a commit or a read failed: release the sessions
  // that count on it. Only Posts are performed.
  virtual void on_lost(Effects& out) = 0;
  // What would be lost by forgetting it: nothing that the store and the attachments of Dormant do
  // not keep; something that is worth keeping for a while; something that must not be lost.
  enum class Loss : std::uint8_t { kNothing, kMemory, kState };
  virtual Loss loss(Instant now) const = 0;
  // When on_tick() has something to do.
  virtual Instant due() const { return kNever; }
  virtual void on_tick(Env&, Effects&) {}
};

}  // namespace godwit::server
