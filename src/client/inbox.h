// Inbox: deliveries, strictly in sequence: decrypt, recognise repetitions, store, show, answer.
//
// All changes of a Deliver frame are in one Commit, the cursor included; the acknowledgement comes
// after it. Nothing that is delivered can wedge the queue: what cannot be read is counted,
// acknowledged and passed over, and its sender is asked to repeat it (healing.h). It is shown late
// then, where it arrives: what came before it is never moved.
//
// The first message of a stranger claims a number. It is parked, with all behind it, until the
// directory has said whose number that is; then it is processed from scratch.
#pragma once

#include <deque>
#include <set>
#include <utility>

#include "client/engine.h"
#include "client/groups.h"
#include "client/healing.h"
#include "client/keyring.h"
#include "client/lookups.h"
#include "client/outbox.h"
#include "client/recent_contents.h"
#include "client/registration.h"
#include "client/sealing.h"
#include "client/sessions.h"

namespace godwit::client {

class Inbox {
 public:
  struct Parts {
    const Registration& registration;
    Keyring& keyring;
    Contacts& contacts;
    Sessions& sessions;
    Chats& chats;
    Journal& journal;
    const SettingsRow& settings;
    Outbox& outbox;
    Lookups& lookups;
    Connection& connection;
    Healing& healing;
    RecentContents& recent;
    Groups& groups;
    Ledger& ledger;
    EngineCounters& counters;
    Sealing& sealing;
  };
  explicit Inbox(Parts parts) : parts_(parts) {}

  void on_deliver(proto::Deliver deliver, Turn& turn);
  // Something of the moment, of somebody known. Whatever else it says is not believed here: only
  // what has a number and a place in the queue is shown once and in order.
  void on_hint(proto::Envelope envelope, Turn& turn);
  // The directory's answer about a number, nil when nobody has it.
  void on_lookup(const std::string& phone, UserId user, Turn& turn);
  // It could not answer now.
  void on_lookup_failed(const std::string& phone, Code code, Turn& turn);
  bool waits_for(const std::string& phone) const { return question_ && question_->phone == phone; }
  // The server delivers again what was not acknowledged.
  void on_disconnected();

  // The server has answered who it is that vouches for senders.
  void on_sealing(Turn& turn);

  // What waited for a group's state is read, now that there is one.
  void on_released(std::vector<HeldRow> messages, Turn& turn);

  bool busy() const { return !parked_.empty(); }
  // Whose outbox grew while processing; emptied by the call.
  std::set<UserId> take_answered() { return std::exchange(answered_, {}); }

 private:
  // What the delivery at the front of parked_ waits for.
  struct Question {
    std::string phone;
    std::uint32_t tries = 0;
    bool answered = false;
    bool unanswerable = false;
    UserId user;
  };
  // What one frame brought.
  struct Arrived {
    // To be confirmed, to whom and about which group; also what was shown before.
    std::map<std::pair<UserId, GroupId>, std::vector<MessageId>> ids;
    std::map<ChatId, std::vector<Unread>> unread;
  };

  void work(Turn& turn);
  // Takes the seal off the delivery at the front.
  enum class Seal : std::uint8_t { kOpen, kRefused, kLater };
  Seal unseal(proto::Envelope& envelope, Turn& turn);
  // The directory is being asked about the delivery at the front.
  bool waiting() const { return question_ && !question_->answered; }
  void process(const proto::Envelope& envelope, Arrived& arrived, Turn& turn);
  void tell_arrived(Arrived& arrived, Turn& turn);
  void process_group(const HeldRow& message, Arrived& arrived, Turn& turn);
  bool was_read(EnvelopeId envelope) const;
  void note_read(EnvelopeId envelope);
  std::optional<Content> open(const proto::Envelope& envelope, bool& readable, Turn& turn);
  ContactRow* introduce(UserId from, const Content& content, Turn& turn);
  void take(ContactRow& contact, const proto::Envelope& envelope, Content content, bool late,
            Arrived& arrived, Turn& turn);
  void take_text(ChatId chat, const ContactRow& contact, const proto::Envelope& envelope,
                 Content& content, bool late, Arrived& arrived, Turn& turn);

  Parts parts_;
  std::deque<proto::Delivery> parked_;
  std::size_t parked_octets_ = 0;
  std::optional<Question> question_;
  std::set<UserId> answered_;
  struct Damaged {
    EnvelopeId id;
    std::uint32_t tries = 0;
  } damaged_;  // what could not be opened, and is delivered again
  std::deque<EnvelopeId> read_;  // the last ones, since the engine was loaded
};

}  // namespace godwit::client
