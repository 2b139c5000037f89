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

#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "ports/store.h"
#include "proto/messages.h"
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
  // limits::kMailboxBytes.
  bool has_room(std::size_t envelopes, std::size_t bytes) const;

  // Stores `envelope` under a new sequence for limits::kMailboxRetention; if the device is caught
  // up, also appends it to `push`. An EnvelopeId among the recent ones is not stored again: the
  // sender repeats what it got no answer for. Returns false for such a repetition.
  bool enqueue(const proto::Envelope& envelope, SequenceSource& sequences, ports::Batch& commit,
               std::vector<proto::Delivery>& push);

  // A session of the device begins, and has everything up to `after`. Returns the one it replaces.
  // `attachment` is random: pushes carry it, so that none of an earlier attachment is taken for
  // one of this.
  std::optional<SessionAddress> attach(SessionAddress session, std::uint64_t attachment,
                                       Sequence after);
  void detach() { session_.reset(), unacked_.clear(), unacked_bytes_ = 0; }
  const std::optional<SessionAddress>& session() const { return session_; }
  std::uint64_t attachment() const { return attachment_; }

  // The device has stored everything up to `up_to`: erases it. Returns how many envelopes.
  std::size_t acknowledge(Sequence up_to, ports::Batch& commit);

  // The scan that continues reading, if there is something to read and the window has room.
  // Its rows must be read after the commits of everything enqueued so far.
  std::optional<ports::Scan> next_page();
  // The rows that next_page() asked for. Rows at or below the device's cursor are erased.
  void on_page(const std::vector<ports::Row>& rows, ports::Batch& commit,
               std::vector<proto::Delivery>& push);

  // The session has seen `seen` pushes by now. True: one that left before the last such report has
  // not arrived, so it is lost; if no other follows, nobody else notices.
  bool push_is_lost(std::uint64_t seen);
  // Position of the next push within the attachment, counted from 1 (Message::number).
  std::uint64_t next_push() { return ++pushes_; }
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

  DeviceId device_;
  Stock stock_;
  std::optional<SessionAddress> session_;
  std::uint64_t attachment_ = 0;
  std::uint64_t pushes_ = 0;
  std::uint64_t pushes_reported_ = 0;  // pushes_ when the session last told what it has seen

  std::deque<Sent> unacked_;  // pushed in this attachment
  std::size_t unacked_bytes_ = 0;
  bool caught_up_ = false;
  Sequence acked_;  // the device's cursor when it attached
  Sequence read_;  // everything up to here was pushed or erased
  Sequence newest_;  // of this epoch
  Sequence asked_;  // newest_ when the page under way was asked for

  std::map<EnvelopeId, Sequence> recent_;  // of this epoch; bounded
  std::deque<EnvelopeId> recent_order_;
};

}  // namespace godwit::server
