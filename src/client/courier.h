// Courier: carries the outbox to the server. Finds people's devices, starts sessions, encrypts,
// submits; keeps at most one submission per person under way, which is all it takes to keep a
// sender's order through every failure. What heals a broken session goes before what is queued.
//
// All ratchet steps of a batch are in the Commit before its SendFrame. Nothing of its own is
// stored: after a disconnection it starts over from the outbox.
#pragma once

#include <deque>
#include <map>
#include <set>

#include "client/connection.h"
#include "client/healing.h"
#include "client/keyring.h"
#include "client/outbox.h"
#include "client/registration.h"
#include "client/sealing.h"
#include "client/sessions.h"

namespace godwit::client {

class Courier {
 public:
  struct Parts {
    const Registration& registration;
    const Keyring& keyring;
    Contacts& contacts;
    Sessions& sessions;
    Outbox& outbox;
    SentLog& sent;
    Healing& healing;
    Connection& connection;
    Connection& nameless;
    const Sealing& sealing;
  };
  explicit Courier(Parts parts) : parts_(parts) {}

  // Something is queued for `user`, or what kept it back has gone.
  void wake(UserId user);
  void wake_all();
  // Sends what may be sent now.
  void pump(Turn& turn);

  // Learns the person's identity and starts sessions, if there are none.
  void meet(UserId user, Turn& turn);
  // What this account says to `user` about the group is still on its way, and moving.
  bool carries_key(UserId user, GroupId group) const;

  // Sends `content` as a hint, if it can go at once, or as soon as there is a line without a name.
  // Nothing is stored, fetched or repeated.
  void hint(const Content& content, ContactRow& contact, Turn& turn);

  void on_bundles(UserId user, const proto::Bundles& bundles, Turn& turn);
  void on_accepted(UserId user, Turn& turn);
  // A FetchBundles or Submit was refused.
  void on_refused(const Request& request, const proto::ErrorBody& error, Turn& turn);
  void on_disconnected();
  // What was submitted without a name gets no answer any more.
  void on_nameless_lost();

  // Lets the postponed ones try again whose time has come.
  void on_tick(Turn& turn);
  void on_clock_set_back();
  Instant deadline() const;
  std::uint64_t resubmissions() const { return resubmissions_; }

 private:
  enum class Cargo : std::uint8_t { kQueue, kRepeats, kRequests };
  // What is going on with one person's queue.
  struct Lane {
    Cargo cargo = Cargo::kQueue;
    std::size_t submitted = 0;  // items of the batch under way
    std::vector<std::uint64_t> repeats;  // kRepeats: which ones
    std::vector<proto::DeviceState> devices;  // that the batch is for
    Bytes identity;  // that it is encrypted for
    std::vector<proto::DeviceState> present;  // that the server says there are, for kRequests
    bool asked = false;  // a request is under way
    bool sealed = false;  // the batch is, and goes without a name
    bool courtesy = false;  // it holds nothing but receipts about groups
    std::set<DeviceId> fetch;  // devices that need a session
    bool targeted = false;  // the request under way names devices
    std::size_t batch = limits::kMaxBatchMessages;
    std::uint32_t conflicts = 0;  // in a row
    bool postponed = false;
    bool ready = false;  // in ready_
    Backoff backoff{limits::kBackoffFirst, limits::kBackoffMax};
  };

  bool has_work(UserId user) const;
  // How a batch to this person goes: with a name, without, or not before something else happens.
  enum class Way : std::uint8_t { kNamed, kSealed, kLater };
  Way way(const ContactRow* contact, Turn& turn);
  void serve(UserId user, Lane& lane, Turn& turn);
  void request_retries(UserId user, Lane& lane, Turn& turn);
  bool load_repeats(ContactRow& contact, Lane& lane, proto::Submit& submit, Turn& turn);
  bool load_queue(ContactRow& contact, Lane& lane, proto::Submit& submit, Turn& turn);
  void submit(UserId user, Lane& lane, proto::Submit batch, Turn& turn);
  void send_hints(Turn& turn);
  void hide(proto::Parcel& parcel, const ContactRow& to, Turn& turn);
  void on_stranger(UserId user, Turn& turn);
  void fetch(UserId user, Lane& lane, Turn& turn);
  bool start_session(ContactRow& contact, const proto::Bundle& bundle, Turn& turn);
  Content content_of(const Item& item, ByteView identity, std::uint32_t stream,
                     std::uint64_t number) const;
  Result<proto::Outgoing> seal(const Content& content, std::uint32_t repeat,
                               const ContactRow& contact,
                               std::span<const proto::DeviceState> devices, bool sealed,
                               std::set<DeviceId>& run_out, Turn& turn);
  std::vector<proto::DeviceState> devices_of(const ContactRow& contact, Turn& turn);
  void on_conflict(UserId user, Lane& lane, const proto::ErrorBody& error, Turn& turn);
  void on_permanent(UserId user, Lane& lane, const proto::ErrorBody& error, Turn& turn);
  void postpone(UserId user, Lane& lane, Duration at_least, Turn& turn);

  Parts parts_;
  std::map<UserId, Lane> lanes_;
  std::deque<UserId> ready_;  // in the order they became so; each once
  std::set<std::pair<Instant, UserId>> postponed_;
  std::map<UserId, Content> hints_;  // the newest to each, while there is no line to take it
  std::size_t in_flight_ = 0;
  std::uint64_t resubmissions_ = 0;
};

}  // namespace godwit::client
