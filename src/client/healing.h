// Healing: what happens when a message cannot be decrypted, on both sides. Nobody ever sees it.
//
// The side that could not read it asks the sender to repeat it: unencrypted, for the session that
// would encrypt it is the one that broke. So anybody in between can ask in another's name, and all
// it can cause is ciphertext of the same message, for the same devices, under the same identity.
//
// The side that is asked leaves the broken session and repeats the message on a new one. It does so
// by itself for messages that a person who is there does not confirm, as happens when either side
// was restored from an old backup.
//
// Bounded: each unreadable envelope is asked for once, each message repeated in
// limits::kRepeatRounds; requests, answers and sessions given up are counted per person and
// limits::kHealingWindow. A request is never answered by a request.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <utility>

#include "client/contacts.h"
#include "client/registration.h"
#include "client/sent_log.h"
#include "client/sessions.h"
#include "e2e/resend.h"

namespace godwit::client {

class Healing {
 public:
  struct Parts {
    const Registration& registration;
    Contacts& contacts;
    Sessions& sessions;
    SentLog& sent;
    EngineCounters& counters;
  };
  explicit Healing(Parts parts) : parts_(parts) {}

  // ---- what this device could not read

  // `reused`: its key was used before, by a sender that was restored from a backup.
  void on_unreadable(const proto::Envelope& envelope, bool reused, Turn& turn);
  // What `user` is to be asked for, oldest first.
  using Requests = std::deque<RetryRequest>;
  const Requests& requests(UserId user) const;
  // The server took the first `count` of them, or will never.
  void on_requested(UserId user, std::size_t count, Turn& turn);

  // ---- what others could not read

  // A request (CiphertextType::kPlain) came. Given back when it is about nothing that was said to
  // this person alone.
  std::optional<e2e::DecryptionError> on_request(const proto::Envelope& envelope, Turn& turn);
  // Something of `user` was read: they are there, and should confirm what they got.
  void on_alive(UserId user, Turn& turn);
  // Repeats what is overdue.
  void on_tick(Turn& turn);
  void on_clock_set_back(Instant now);
  Instant deadline() const;

  bool busy() const { return queued_ != 0 || parts_.sent.any_due(); }
  // Everybody to whom something is to be sent.
  std::set<UserId> users() const;
  // The same, since the last call.
  std::set<UserId> take_woken() { return std::exchange(woken_, {}); }

  Result<void> load(UserId user, RetryRequest request);
  void store_all(ports::Batch& batch) const;

 private:
  // What one person has cost in this window.
  struct Budget {
    Instant since;
    std::uint32_t asked = 0;
    std::uint32_t answered = 0;
    std::uint32_t resets = 0;
  };
  Budget* budget(UserId user, Instant now);
  // Leaves the current session with the device, so that what is sent next starts a new one.
  bool reset_session(SessionKey key, Turn& turn);

  Parts parts_;
  std::map<UserId, Requests> requests_;  // never an empty one
  std::size_t queued_ = 0;
  std::map<UserId, Budget> budgets_;
  std::map<UserId, Instant> suspicions_;  // when to look for overdue messages
  std::set<UserId> woken_;
};

}  // namespace godwit::client
