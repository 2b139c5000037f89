// Mailbox: the sealed envelopes that one device has not acknowledged yet, oldest first.
//
// It never sees plaintext, and owns no socket, clock or disk: it is told what happened, and
// appends rows to the commit of its account and deliveries to what will be pushed.
//
// Invariants, checked by sim/ after every run:
//   * stored before acked: enqueue() puts the row into the commit that gates the sender's answer;
//   * delivered means deleted: what the device acknowledged is erased, here and in the store;
//   * a sequence is never used twice, not even by a mailbox that ran empty and was restored;
//   * pushed in ascending sequence, nothing skipped: the device's acknowledgement is cumulative.
//
// A device that is attached and has seen everything stored is "caught up": new envelopes are
// pushed from memory. Otherwise they wait in the store and are paged in as the window allows.
#pragma once

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "ports/store.h"
#include "proto/messages.h"
#include "server/dormant.h"
#include "server/fifo.h"
#include "server/handover.h"
#include "server/message.h"
#include "server/placement.h"

namespace godwit::server {

class Mailbox {
 public:
  // What is stored beside the envelopes. Rows that expired are still counted until the device
  // reads its mailbox to the end, which makes both figures exact again.
  struct Stock {
    std::uint64_t envelopes = 0;
    std::uint64_t bytes = 0;
    static void fields(auto& m, auto& field) {
      field(1, m.envelopes);
      field(2, m.bytes);
    }
  };

  Mailbox(DeviceId device, Stock stock) : device_(device), stock_(stock) {}

  // True when `envelopes` more of `bytes` in all fit: at most limits::kMailboxEnvelopes, and
  // limits::kMailboxBytes. Of a courtesy less fits: it displaces no message.
  bool has_room(std::size_t envelopes, std::size_t bytes, bool courtesy = false) const;

  // Stores `envelope` under a new sequence for limits::kMailboxRetention; if the device is caught
  // up, also appends it to `push`. An EnvelopeId among the recent ones is not stored again: the
  // sender repeats what it got no answer for. Returns false for such a repetition.
  bool enqueue(const proto::Envelope& envelope, SequenceSource& sequences, ports::Batch& commit,
               std::vector<proto::Delivery>& push);

  // A session of the device begins, and has everything up to `after`. Returns the one it replaces.
  std::optional<SessionAddress> attach(SessionAddress session, std::uint64_t attachment,
                                       Sequence after);
  void detach() { attachment_.reset(), unacked_.clear(), unacked_bytes_ = 0; }
  Attachment* attachment() { return attachment_ ? &*attachment_ : nullptr; }
  const Attachment* attachment() const { return attachment_ ? &*attachment_ : nullptr; }
  bool attached_by(const SessionAddress& session) const {
    return attachment_ && attachment_->session == session;
  }

  // Attached or not, it could be forgotten: all it knows is stored, or in its attachment.
  bool asleep() const { return !attachment_ || (caught_up_ && unacked_.empty()); }
  // Goes on as what was attached when it was asleep, and forgotten.
  void wake(const Attachment& attachment);
  // How far it is, for a mailbox of another process that goes on from there.
  void hand_over(AttachmentRecord& out) const;
  void resume(const AttachmentRecord& record);
  // An envelope that comes again now would be recognised.
  bool remembers() const { return !recent_.empty(); }

  // What was pushed since the last stored() is held (held.h): no row of it is to be erased.
  bool keeps_up() const { return attachment_ && caught_up_; }
  void stored() { held_ = false, first_held_ = {}; }
  // `first` and everything pushed after it is held, until stored().
  void hold(Sequence first) {
    if (!std::exchange(held_, true)) first_held_ = first;
  }
  // Is this the key of a row of the device, at or below `up_to`?
  static bool is_row_of(ByteView key, DeviceId device, Sequence up_to);

  // The device has stored everything up to `up_to`: erases it. Returns how many envelopes.
  std::size_t acknowledge(Sequence up_to, ports::Batch& commit);

  // The scan that continues reading, if there is something to read and the window has room.
  // Its rows must be read after the commits of everything enqueued so far.
  std::optional<ports::Scan> next_page();
  // The rows that next_page() asked for. Rows at or below the device's cursor are erased.
  void on_page(const std::vector<ports::Row>& rows, ports::Batch& commit,
               std::vector<proto::Delivery>& push);

  const Stock& stock() const { return stock_; }

 private:
  struct Sent {
    Sequence sequence;
    std::size_t bytes = 0;
  };
  bool window_open() const;
  void note_sent(Sequence sequence, std::size_t bytes);
  void remember(const EnvelopeId& id);
  void erase(Sequence sequence, std::size_t bytes, ports::Batch& commit);
  void uncount(std::size_t bytes);

  DeviceId device_;
  Stock stock_;
  std::optional<Attachment> attachment_;

  Fifo<Sent> unacked_;  // pushed in this attachment
  std::size_t unacked_bytes_ = 0;
  bool caught_up_ = false;
  Sequence acked_;  // the device's cursor when it attached
  Sequence read_;  // everything up to here was pushed or erased
  Sequence newest_;  // of this epoch
  bool held_ = false;
  Sequence first_held_;
  Sequence asked_;  // newest_ when the page under way was asked for

  std::map<EnvelopeId, Sequence> recent_;  // of this epoch; bounded
  Fifo<EnvelopeId> recent_order_;
};

}  // namespace godwit::server
