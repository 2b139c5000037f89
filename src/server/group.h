// Group: who is in a group, in which order it changes, and what its members are still to get. The
// entity of a group's partition.
//
// It knows members by opaque ids and the states of proto/group_state.h, never a name, and messages
// by their wrapping only. It orders transitions by their version and enforces the rules; a member
// who does not trust it verifies both.
//
// Fan-out: a message is one row and one buffer, whatever the number of members. It is accepted once
// the row is stored, then posted to each member's Account in order, one batch per account under
// way, until that answers; the row goes when all have answered. Accounts recognise repetitions, so
// a bus that loses, repeats and reorders, and a restart in between, cost time only.
//
// Invariants:
//   * what is accepted was encrypted for the state at that time: SubmitGroup names its version;
//   * a member gets what was accepted since they joined and until they left, in one order;
//   * a mailbox that is full for long, or gone, keeps nobody else from getting theirs.
//
// Rows (partition = the group's id):
//   kGroup   'B' the oldest state kept · 'C' a later one, to become it · 'S' the present state
//            'M' seats · 'T' version(8) a signed transition after the oldest state
//   kFanout  position(8) an envelope
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/backoff.h"
#include "proto/group_state.h"
#include "server/counters.h"
#include "server/effects.h"
#include "server/fifo.h"
#include "server/placement.h"

namespace godwit::server {

// What an account says about the envelopes of a group (Verb::kGroupTaken).
enum class Taken : std::uint8_t { kStored = 1, kFull = 2, kGone = 3 };

class Group final : public Entity {
 public:
  static std::vector<ports::Scan> load_scans(const EntityKey& group);
  Group(const EntityKey& group, const std::vector<std::vector<ports::Row>>& rows,
        SequenceSource& sequences, Counters& counters);

  void on_message(const Message& message, Env& env, Effects& out) override;
  void on_rows(std::vector<ports::Row> rows, Env& env, Effects& out) override;
  void on_lost(Effects& out) override;
  Loss loss(Instant now) const override;
  void on_tick(Env& env, Effects& out) override;
  Instant due() const override;

 private:
  // From when to when somebody is a member, in positions of the fan-out.
  struct Seat {
    UserId user;
    Sequence since;  // the last position that is not theirs
    Sequence until;  // the last one that is; zero: no end yet
    static void fields(auto& m, auto& field) {
      field(1, m.user);
      field(2, m.since);
      field(3, m.until);
    }
    bool gets(Sequence position) const {
      return since < position && (until.value == 0 || position <= until);
    }
  };
  struct Seats {
    // With more than kMost nobody comes or goes; a change adds fewer than as many again.
    static constexpr std::size_t kMost = 2 * limits::kGroupMembers;
    std::vector<Seat> seats;
    static void fields(auto& m, auto& field) { field(1, m.seats, 2 * kMost); }
  };
  struct Fanout {
    SharedBytes envelope;
    std::size_t missing = 0;  // seats that do not have it yet
  };
  // What one account is getting.
  struct Lane {
    // In their order; those that are over stay while something of their time may be on its way.
    std::vector<Seat> seats;
    Sequence taken;  // everything up to here
    Sequence asked;  // the batch under way ends here; zero: none
    Instant again;  // when to ask again
    Backoff backoff{limits::kFanoutRetry, limits::kFanoutLongest};
    std::uint32_t tries = 0;  // of a full mailbox
    bool sits() const { return !seats.empty() && seats.back().until.value == 0; }
    bool gets(Sequence position) const {
      return std::ranges::any_of(seats, [&](const Seat& seat) { return seat.gets(position); });
    }
  };

  void change(const Message& message, Env& env, Effects& out);
  void store(const proto::SignedTransition& accepted, const proto::GroupState& before,
             ports::Batch& commit);
  void reseat(const proto::GroupState& before, Sequence position, ports::Batch& commit);
  std::size_t seats() const;
  void fetch(const Message& message, Effects& out);
  void submit(const Message& message, Env& env, Effects& out);
  void taken(const Message& message, Effects& out);

  void read_next(Effects& out);
  bool remember(EnvelopeId id);
  void add(const proto::Envelope& envelope, Sequence position, ports::Batch& commit);
  void enqueue(Sequence position, SharedBytes envelope);
  void advance_to(Lane& lane, Sequence position, ports::Batch& commit);
  void pump(Env& env, Effects& out);
  void post(UserId user, Lane& lane, Env& env, Effects& out);
  ports::Batch batch() const { return {to_bytes(group_), {}}; }

  EntityKey group_;
  proto::GroupState state_;
  std::uint64_t base_version_ = 0;
  Bytes next_base_;  // a GroupState
  std::uint64_t next_base_version_ = 0;

  std::map<UserId, Lane> lanes_;  // of all who have a seat
  std::map<Sequence, Fanout> fanouts_;
  std::size_t fanout_bytes_ = 0;
  std::set<UserId> ready_;  // something is there for them, and nothing under way
  std::set<UserId> waiting_;  // for an answer, or for a full mailbox to empty
  std::set<EnvelopeId> recent_;  // accepted in this life, or waiting since before; bounded
  Fifo<EnvelopeId> recent_order_;

  Fifo<Message> fetches_;  // bounded; the first one is being read
  bool reading_ = false;
  SequenceSource& sequences_;
  Counters& counters_;
};

}  // namespace godwit::server
