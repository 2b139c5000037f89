// Checkers: the promises, each one small enough to be believed. They are told what was observed,
// know nothing of how it came about, and report the first promise that was broken.
#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>

#include "client/types.h"
#include "e2e/message.h"
#include "ports/memory_store.h"
#include "proto/messages.h"
#include "sim/canary.h"
#include "sim/group_watch.h"
#include "sim/verdict.h"

namespace godwit::sim {

// One device of one person.
struct Viewer {
  std::uint32_t person = 0;
  std::uint32_t generation = 0;
  auto operator<=>(const Viewer&) const = default;
};

// What a person composed, and what the server accepted, is shown to whom it was written for.
class NeverLost {
 public:
  // Who are to read a text of a group, as its writer has it; before it is composed.
  void addressed(const TextId& id, std::vector<std::uint32_t> readers);
  // A text as its writer has it.
  void composed(const TextId& id) {
    of_all(id, [](Fate&) {});
  }
  void accepted(const TextId& id) {
    of_all(id, [](Fate& fate) { fate.accepted = true; });
  }
  // As its reader has it.
  void shown(const TextId& id) { texts_[id].shown = true; }
  // The person's device is gone: what only it held, and what waited for it, may be lost.
  void reinstalled(std::uint32_t person);
  // The person's device was restored from a backup that holds the texts `kept`. What it wrote after
  // and the server has not taken is gone. What the server has taken is shown, unless another injury
  // makes it unreadable: nobody is left who could repeat it.
  void restored(std::uint32_t person, const std::vector<TextId>& kept);
  void injured() { ++injuries_; }
  // Its writer deleted it for everyone.
  void taken_back(const TextId& id) {
    of_all(id, [](Fate& fate) { fate.forgiven = true; });
  }
  // It disappears after a while, also from where it would be repeated.
  void fades(const TextId& id) { fading_.insert(id); }
  // The person was not in the group all the time: what was said to it so far by them or to them may
  // have missed somebody.
  void came_or_went(std::uint32_t person, std::uint32_t group);
  // What waits for the person is gone: past its retention, or meant for an earlier device.
  void replaced(std::uint32_t person);
  // Members of a group ask for what they miss, by when it may have disappeared where it was
  // written.
  void asked_for() { asked_for_ = true; }
  bool forgiven(const TextId& id) const;
  bool complete() const;
  void check_at_end(Verdict& verdict) const;

 private:
  struct Fate {
    bool accepted = false;
    bool shown = false;
    bool forgiven = false;
    // On its way, and its sender has forgotten it: as many injuries may have made it unreadable.
    std::uint64_t orphaned_by = 0;
  };
  bool forgiven(const TextId& id, const Fate& fate) const {
    const bool repeated = injuries_ != 0 || (asked_for_ && id.group != 0);
    return fate.forgiven || (repeated && fading_.contains(written(id))) ||
           (fate.orphaned_by != 0 && injuries_ >= fate.orphaned_by);
  }
  template <typename Each>
  void of_all(const TextId& id, Each each);
  std::map<TextId, Fate> texts_;  // as their readers have them
  std::map<TextId, std::vector<std::uint32_t>> readers_;  // of what is said to groups
  std::set<TextId> fading_;  // as their writers have them
  std::uint64_t injuries_ = 0;
  bool asked_for_ = false;
};

template <typename Each>
void NeverLost::of_all(const TextId& id, Each each) {
  if (id.group == 0) return each(texts_[id]);
  TextId one = id;
  for (const std::uint32_t reader : readers_[id]) {
    one.to = reader;
    each(texts_[one]);
  }
}

// A device tells of a message once, and its history holds it once.
class ShownOnce {
 public:
  void notified(const Viewer& viewer, const TextId& id, Verdict& verdict);
  // Nobody need have it any more. As its writer has it.
  void taken_back(const TextId& id) { taken_back_.insert(id); }
  void history(const Viewer& viewer, const std::vector<TextId>& texts, Verdict& verdict) const;

 private:
  std::set<std::pair<Viewer, TextId>> notified_;
  std::set<TextId> taken_back_;
};

// What one device wrote to a person is shown in the order in which it was written, but for what is
// marked as late.
class SenderOrder {
 public:
  void notified(const Viewer& viewer, const TextId& id, Verdict& verdict);
  void history(const Viewer& viewer, const std::vector<TextId>& texts, Verdict& verdict) const;
  // The person's device was restored from a backup in which texts wait that it has sent since. Who
  // has come to a group meanwhile gets them after newer ones, and has no number to tell it by.
  void restored(std::uint32_t person) { restored_.insert(person); }
  // Nor what was said to a group, came damaged, and is delivered once more as it was.
  void damaged() { damaged_ = true; }

 private:
  using Chat = std::tuple<Viewer, Viewer, std::uint32_t>;  // reader, writer, group
  using Last = std::map<Chat, std::uint32_t>;
  void follow(Last& last, const Viewer& viewer, const TextId& id, Verdict& verdict) const;
  Last last_;
  std::set<std::uint32_t> restored_;
  bool damaged_ = false;
};

// sent, delivered, read; never back. A refusal is final.
class ReceiptsForward {
 public:
  // `member`: of a group, with whom it came so far, by the history, which is read again and again;
  // nil otherwise.
  void seen(const Viewer& viewer, MessageId id, UserId member, client::Status status,
            Verdict& verdict);
  // A history may tell a status that was seen before, but not an earlier one.
  void stored(const Viewer& viewer, MessageId id, client::Status status, Verdict& verdict) const;

 private:
  std::map<std::tuple<Viewer, MessageId, UserId>, client::Status> last_;
};

// Whatever is passed on says how often that was done, where it was written and where it is read.
class ForwardsCounted {
 public:
  void passed_on(MessageId id, std::uint32_t times) { times_[id] = times; }
  void seen(MessageId id, std::uint32_t times, Verdict& verdict) const;

 private:
  std::map<MessageId, std::uint32_t> times_;
};

// A one-time prekey is handed out to one requester, once. Not so a last-resort one.
class PrekeyOnce {
 public:
  void offered_for_good(const proto::KemPrekey& last_resort) {
    last_resort_.insert(last_resort.key);
  }
  void handed_out(const proto::Bundle& bundle, Verdict& verdict);

 private:
  std::set<Bytes> keys_, last_resort_;
};

// The sequences of a mailbox ascend within a connection, and each names one envelope for ever.
class SequencesIncrease {
 public:
  using Mailbox = ByteArray<32>;  // the device's credential
  void delivered(std::uint64_t connection, const Mailbox& mailbox, const proto::Delivery& delivery,
                 Verdict& verdict);
  // The envelopes up to here are on the device.
  void acknowledged(const Mailbox& mailbox, Sequence up_to);
  bool has(EnvelopeId id) const { return acknowledged_.contains(id); }

 private:
  std::map<std::pair<Mailbox, Sequence>, EnvelopeId> envelopes_;
  std::map<std::uint64_t, Sequence> last_;  // by connection
  std::map<Mailbox, Sequence> cursor_;
  std::set<EnvelopeId> acknowledged_;
};

// A sender hears "accepted" when the envelope is on disk, or on the device that it is for.
void check_accepted_is_stored(const proto::Submit& submit, const ports::MemoryStore& rows,
                              const SequencesIncrease& mailboxes, Verdict& verdict);

// One message key makes one ciphertext: a ratchet that was not stored is not used.
class KeyUsedOnce {
 public:
  using Device = ByteArray<32>;  // its credential
  void submitted(const Device& device, const proto::Parcel& parcel, Verdict& verdict);
  // It was restored from a backup: nothing can keep it from using keys again, once.
  void restored(const Device& device);

 private:
  using Key = std::tuple<Device, Bytes, std::uint32_t>;  // ratchet key, counter
  std::map<Key, Bytes> ciphertexts_;
};

// No octet that a server stores, sends, receives or passes on shows what people write; no row shows
// who they are.
class NoPlaintext {
 public:
  void secret(std::string text) { secrets_.push_back(std::move(text)); }
  void person(std::string phone) { phones_.push_back(std::move(phone)); }
  void octets(ByteView seen, Verdict& verdict) const;
  void row(const ports::Batch& batch, Verdict& verdict) const;

 private:
  std::vector<std::string> secrets_ = {std::string(kCanary)};
  std::vector<std::string> phones_;
};

// An envelope's row names the end of its retention when it is written.
void check_bounded_retention(const ports::Batch& batch, Instant now, Verdict& verdict);

struct Checkers {
  NeverLost never_lost;
  ShownOnce shown_once;
  SenderOrder sender_order;
  ReceiptsForward receipts_forward;
  ForwardsCounted forwards_counted;
  PrekeyOnce prekey_once;
  SequencesIncrease sequences_increase;
  KeyUsedOnce key_used_once;
  NoPlaintext no_plaintext;
  GroupWatch groups;
};

}  // namespace godwit::sim
