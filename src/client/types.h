// The client's nouns as programs and people see them: profiles, contacts, messages, events.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/codec.h"
#include "base/id.h"
#include "base/limits.h"
#include "base/result.h"
#include "base/time.h"

namespace godwit::client {

using RequestId = std::uint64_t;

// Whom a chat is with: a person, or a group. The kind is part of the key, so that a group whose id
// was made equal to somebody's cannot take that chat's place.
struct ChatId {
  enum class Kind : std::uint8_t { kNone = 0, kPerson = 1, kGroup = 2 };
  Kind kind = Kind::kNone;
  ByteArray<16> octets{};

  ChatId() = default;
  ChatId(UserId user) : kind(user.is_nil() ? Kind::kNone : Kind::kPerson), octets(user.octets) {}
  ChatId(GroupId group) : kind(group.is_nil() ? Kind::kNone : Kind::kGroup), octets(group.octets) {}
  auto operator<=>(const ChatId&) const = default;
  bool is_nil() const { return kind == Kind::kNone; }
  bool is_group() const { return kind == Kind::kGroup; }
  // The person; nil when it is a group.
  UserId user() const { return kind == Kind::kPerson ? UserId{octets} : UserId{}; }
  GroupId group() const { return is_group() ? GroupId{octets} : GroupId{}; }
  static void fields(auto& m, auto& field) {
    field(1, m.kind);
    field(2, m.octets);
  }
};
// kind || octets: how a chat begins its rows' keys.
inline constexpr std::size_t kChatKey = 17;
Bytes chat_key(ChatId chat);
// The chat of a key that begins with one; nil when it does not.
ChatId chat_of(ByteView key);

struct Profile {
  std::string phone;  // E.164
  UserId user;
  DeviceId device;
  Instant registered;
};

struct Contact {
  UserId user;
  std::string phone;   // confirmed by the directory; empty while it is not
  Bytes identity_key;  // 33 octets; empty before the first session
  bool verified = false;
  // Another key was seen for this verified person. Messages to them wait, as kQueued, until
  // Engine::set_verified() accepts the new key; theirs are shown meanwhile.
  Bytes new_identity_key;
};

// True for E.164: '+' and 7 to 15 digits.
bool is_phone(std::string_view text);

struct SafetyNumber {
  std::string digits;  // 60, in groups of five separated by a space
  Bytes qr;            // scannable payload
  bool verified = false;
};

enum class Direction : std::uint8_t { kIn = 1, kOut = 2 };

// Only ever moves forward.
enum class Status : std::uint8_t {
  kQueued = 1,     // composed; the server does not have it
  kSent = 2,       // the server has stored it
  kDelivered = 3,  // a device of the recipient has stored it
  kRead = 4,
  kFailed = 9,     // refused for good; `failure` says why
};
std::string_view status_name(Status status);  // "queued" "sent" "delivered" "read" "failed"

// ---- what a message may carry besides its text

struct Quote {
  MessageId id;
  std::string snippet;  // of the quoted text, as the one who answers saw it
  static void fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.snippet, limits::kMaxSnippet);
  }
};
// Made by the sender: a receiver fetches nothing.
struct Preview {
  std::string url, title, description;
  static void fields(auto& m, auto& field) {
    field(1, m.url, limits::kMaxUrl);
    field(2, m.title, limits::kMaxSnippet);
    field(3, m.description, limits::kMaxSnippet);
  }
};
struct Poll {
  std::vector<std::string> options;
  bool multiple = false;
  static void fields(auto& m, auto& field) {
    field(1, m.options, limits::kPollOptions);
    field(2, m.multiple);
  }
};
struct Card {
  std::string name, phone;
  static void fields(auto& m, auto& field) {
    field(1, m.name, limits::kMaxName);
    field(2, m.phone, 16);
  }
};
struct Place {
  std::int64_t latitude = 0, longitude = 0;  // 10^-7 degrees
  std::string name;
  static void fields(auto& m, auto& field) {
    field(1, m.latitude);
    field(2, m.longitude);
    field(3, m.name, limits::kMaxName);
  }
};
struct Extras {
  std::optional<Quote> quote;
  std::vector<std::string> mentions;  // numbers
  std::uint32_t forwards = 0;         // how often it was passed on
  std::optional<Preview> preview;
  std::optional<Poll> poll;  // the text is its question
  std::optional<Card> card;
  std::optional<Place> place;
  Duration lifetime;           // it disappears so long after it was sent or read; 0: it stays
  bool sets_lifetime = false;  // it says that the chat's messages have this lifetime from now on
  bool view_once = false;
  static void fields(auto& m, auto& field) {
    field(1, m.quote);
    field(2, m.mentions, limits::kMentions);
    field(3, m.forwards);
    field(4, m.preview);
    field(5, m.poll);
    field(6, m.card);
    field(7, m.place);
    field(8, m.lifetime);
    field(9, m.sets_lifetime);
    field(10, m.view_once);
  }
};

// What changes a message that is there already.
struct Act {
  enum class Kind : std::uint8_t {
    kReaction = 1,  // text: the emoji, empty takes it back
    kEdit = 2,      // text: the new one
    kDeletion = 3,  // for everyone
    kVote = 4,      // choices: which options, counted from 0
    kPin = 5,       // on
    kOpened = 6,    // a view-once message was looked at
  };
  Kind kind{};
  MessageId target;
  // The composer's clock in milliseconds, but never the same or less than before: the later of two
  // acts of one person is the one with the higher revision, in whatever order they come.
  std::uint64_t revision = 0;
  std::string text;
  Bytes choices;
  bool on = false;
  static void fields(auto& m, auto& field) {
    field(1, m.kind);
    field(2, m.target);
    field(3, m.revision);
    field(4, m.text, limits::kMaxText);
    field(5, m.choices, limits::kPollOptions);
    field(6, m.on);
  }
};

// Whom something is sent to: a number (E.164), or a group.
using Recipient = std::variant<std::string, GroupId>;

struct Reaction {
  UserId from;  // nil: this account
  std::string emoji;
};
struct Vote {
  UserId from;
  Bytes choices;
};

// How far an own message came with one member of its group.
struct Arrival {
  UserId member;
  Instant delivered, read;  // 0: not yet
};

// A message of the history, as stored; what is below `from` is joined by the reader.
struct Message {
  MessageId id;
  ChatId chat;
  std::string phone;  // of the other person; in a group, of the writer
  Direction direction = Direction::kIn;
  Status status = Status::kQueued;
  Instant composed;  // the sender's clock
  Instant received;  // the server's clock (in) or when it was accepted (out)
  std::string text;
  std::string failure;
  Extras extras;
  bool deleted = false;  // for everyone: nothing of it is left
  bool opened = false;  // view once, and it was
  bool late = false;  // in: newer ones of its sender came before; shown where it arrived
  UserId from;  // who wrote it; nil: this account
  // Joined by the reader (history.h), not stored with it.
  std::uint64_t order = 0;
  bool edited = false;
  bool starred = false;
  Instant sent, delivered, read;  // own ones; 0: not yet
  std::vector<Reaction> reactions;
  std::vector<Vote> votes;
  std::vector<Arrival> arrivals;  // own ones in a group: of each member it was sent to
  static void fields(auto& m, auto& field) {
    field(1, m.id);
    field(2, m.chat);
    field(3, m.phone, 32);
    field(4, m.direction);
    field(5, m.status);
    field(6, m.composed);
    field(7, m.received);
    field(8, m.text, limits::kMaxText);
    field(9, m.failure, 256);
    field(10, m.late);
    field(11, m.from);
    field(12, m.extras);
    field(13, m.deleted);
    field(14, m.opened);
  }
};

// Counted since the engine was loaded.
struct EngineCounters {
  std::uint64_t undecryptable = 0;  // deliveries that could not be read, acknowledged and dropped
  std::uint64_t duplicates = 0;  // deliveries that were repetitions
  std::uint64_t unknown = 0;  // contents of a kind that only a newer version knows
  std::uint64_t requested = 0;  // deliveries that their sender was asked to repeat
  std::uint64_t repeated = 0;  // own contents that were to be sent again
  std::uint64_t sessions_reset = 0;  // left because one side or the other lost its state
  std::uint64_t reconnects = 0;  // tries to connect after one that failed, or was lost
  std::uint64_t resubmissions = 0;  // of what the server had no room or no time for
};

// ---- events

struct MessageReceived {
  Message message;
};
// Something was done to a message: a reaction, an edit, a deletion. Also when I did it.
struct MessageChanged {
  ChatId chat;
  UserId from;  // who did it; nil: this account
  std::string phone;
  Act act;
};
// Its time was over, or it was deleted here: nothing of it is left.
struct MessageErased {
  ChatId chat;
  MessageId id;
};
// One of my messages advanced: accepted by the server, or a receipt of `from` came.
struct StatusChanged {
  MessageId id;
  ChatId chat;
  UserId from;  // whose receipt it was; nil: the server's answer
  std::string phone;
  Status status{};
  std::string failure;  // kFailed only
};
struct CodeRequested {
  RequestId request{};
};
struct Registered {
  RequestId request{};
};
// A command that waited for the server was refused.
struct Failed {
  RequestId request{};
  Code code{};
  std::string text;
  Duration retry_after;
};
// Somebody's identity key is another one than before: a new phone, or somebody in between.
struct IdentityChanged {
  UserId user;
  std::string phone;
};
// Somebody composes in this chat, or stopped. Unsaid after limits::kTypingFades.
struct TypingChanged {
  ChatId chat;
  UserId from;
  std::string phone;
  bool active = false;
};
// A group as its members see it.
struct GroupView {
  struct Member {
    UserId user;
    std::string phone;  // empty: not known here
    bool admin = false;
  };
  GroupId id;
  std::string name, description;
  Bytes picture;  // a JPEG, PNG or WebP file; empty: none
  std::uint64_t version = 0;  // 0: nothing is known of it yet
  bool announcements = false;  // only admins send
  bool all_edit = false;  // members may change name, description and picture
  bool all_add = false;  // members may add others
  bool member = false;  // this account is in it
  bool waits = false;  // to be let in by an admin
  ByteArray<32> digest{};  // equal for two members: they see the same group
  std::vector<Member> members;
  std::vector<Member> pending;  // who wait for an admin to let them in
  // By which people join, as long as there is one. The text is only where it was made.
  struct Link {
    std::string text;
    Instant expires;  // 0: never
    std::uint32_t uses = 0, used = 0;  // uses 0: any number
    bool approval = false;
  };
  std::optional<Link> link;
};
// What members say of a group; absent: as it is.
struct GroupEdit {
  std::optional<std::string> name, description;
  std::optional<Bytes> picture;  // empty: none
};
// Who may do what in it; absent: as it is.
struct GroupRules {
  std::optional<bool> announcements, all_edit, all_add;
};
struct LinkTerms {
  Duration lifetime;  // 0: for ever
  std::uint32_t uses = 0;  // 0: any number
  bool approval = false;  // an admin lets in each
};
struct GroupChanged {
  GroupView group;
  UserId actor;  // nil: several changes at once
};
// A change that this account asked for is made, or (`failure`) will not be.
struct GroupChangeDone {
  GroupId group;
  std::string failure;
};
// The server, or a member, claimed what does not verify. Nothing of it was believed.
struct GroupRefused {
  GroupId group;
  std::string text;
};
// A message claimed a sender and could not prove it. Nothing of it was believed.
struct SenderRefused {
  std::string text;
};
struct ConnectionChanged {
  bool online = false;
  std::string reason;  // why it went, in words; empty when online
};
using Event =
    std::variant<MessageReceived, MessageChanged, MessageErased, StatusChanged, CodeRequested,
                 Registered, Failed, IdentityChanged, TypingChanged, ConnectionChanged,
                 GroupChanged, GroupChangeDone, GroupRefused, SenderRefused>;

}  // namespace godwit::client
