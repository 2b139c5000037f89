#include "server/group.h"

#include <algorithm>

namespace godwit::server {
namespace {

using ports::Space;

constexpr std::uint8_t kBaseRow = 'B';
constexpr std::uint8_t kNextBaseRow = 'C';
constexpr std::uint8_t kSeatsRow = 'M';
constexpr std::uint8_t kStateRow = 'S';
constexpr std::uint8_t kTransitionRow = 'T';
constexpr std::size_t kRecent = 4096;
constexpr std::size_t kWaitingFetches = 2 * limits::kGroupMembers;

constexpr Error kMalformed{Code::kInvalid, "the request is malformed: update the client"};
constexpr Error kNoGroup{Code::kNotFound, "there is no such group"};
constexpr Error kNotIn{Code::kForbidden, "you are not in the group"};
constexpr Error kChanged{Code::kConflict, "the group has changed since: it is tried again"};

Bytes transition_key(std::uint64_t version) {
  Bytes key{kTransitionRow};
  put_be64(key, version);
  return key;
}

Bytes fanout_key(Sequence position) {
  Bytes key;
  put_be64(key, position.value);
  return key;
}

std::uint64_t version_of(ByteView state) {
  return decode<proto::GroupState>(state).value_or(proto::GroupState{}).version;
}

}  // namespace

std::vector<ports::Scan> Group::load_scans(const EntityKey& group) {
  return {{to_bytes(group), Space::kGroup, {}, {kTransitionRow}},
          {to_bytes(group), Space::kFanout, {}, {}}};
}

Group::Group(const EntityKey& group, const std::vector<std::vector<ports::Row>>& rows,
             SequenceSource& sequences, Counters& counters)
    : group_(group), sequences_(sequences), counters_(counters) {
  for (const ports::Row& row : rows[0]) {
    if (row.key == Bytes{kBaseRow}) base_version_ = version_of(row.value);
    if (row.key == Bytes{kStateRow}) {
      state_ = decode<proto::GroupState>(row.value).value_or(proto::GroupState{});
    }
    if (row.key == Bytes{kNextBaseRow}) {
      next_base_ = row.value;
      next_base_version_ = version_of(row.value);
    }
    if (row.key != Bytes{kSeatsRow}) continue;
    for (const Seat& seat : decode<Seats>(row.value).value_or(Seats{}).seats) {
      lanes_[seat.user].seats.push_back(seat);
    }
  }
  for (const ports::Row& row : rows[1]) {
    if (row.key.size() != 8) continue;
    if (const auto envelope = decode<proto::Envelope>(row.value)) remember(envelope->id);
    enqueue({get_be64(row.key)}, share(row.value));
  }
}

void Group::on_message(const Message& message, Env& env, Effects& out) {
  switch (message.verb) {
    case Verb::kGroupChange: change(message, env, out); break;
    case Verb::kGroupFetch: return fetch(message, out);
    case Verb::kGroupSubmit: submit(message, env, out); break;
    case Verb::kGroupTaken: taken(message, out); break;
    default: break;  // kGroupWake: it was loaded, which is all
  }
  pump(env, out);
}

void Group::on_lost(Effects& out) {
  static constexpr Error kRetry{Code::kUnavailable, "the server could not read: it is retried"};
  for (const Message& message : fetches_) out.push_back(refuse(message, kRetry));
}

Entity::Loss Group::loss(Instant) const {
  if (!fanouts_.empty() || !fetches_.empty()) return Loss::kState;
  return recent_.empty() ? Loss::kNothing : Loss::kMemory;
}

// ---- its state

void Group::change(const Message& message, Env& env, Effects& out) {
  const auto request = decode<proto::ChangeGroup>(message.body);
  const auto accepted =
      request ? decode<proto::SignedTransition>(request->transition) : fail(kMalformed);
  const auto transition = accepted ? decode<proto::Transition>(accepted->body) : fail(kMalformed);
  if (!transition || transition->group.octets != group_ || transition->actor != message.from) {
    return out.push_back(refuse(message, kMalformed));
  }
  if (state_.version == 0 && transition->version != 1) {
    return out.push_back(refuse(message, kNoGroup));
  }
  const bool joins = transition->changes.size() == 1 &&
                     transition->changes[0].kind == proto::GroupChange::Kind::kJoin;
  if (joins && state_.link.expires != Instant{} && state_.link.expires <= env.now) {
    return out.push_back(
        refuse(message, {Code::kExpired, "the link has expired: ask for another"}));
  }
  auto next = proto::advance(state_, *accepted);
  if (!next) {
    // The answer to the last change may have been lost.
    const bool repeated = state_.version != 0 && transition->version == state_.version &&
                          proto::cause_of(accepted->body) == state_.cause;
    return out.push_back(repeated ? reply_to(message, proto::ok_frame(message.request))
                                  : refuse(message, next.error()));
  }
  if (fanouts_.size() >= limits::kFanouts || seats() > Seats::kMost) {
    static constexpr Error kFull{Code::kFull, "the group has too much to deliver: it is retried"};
    return out.push_back(refuse(message, kFull, limits::kFanoutRetry));
  }
  ports::Batch commit = batch();
  const Sequence position = sequences_.next();
  const proto::Envelope envelope{.id = EnvelopeId::random(env.entropy),
                                 .from = message.from,
                                 .from_device = message.from_device,
                                 .type = proto::CiphertextType::kGroupChange,
                                 .ciphertext = encode(*accepted),
                                 .accepted = env.now};
  const proto::GroupState before = std::exchange(state_, std::move(*next));
  store(*accepted, before, commit);
  reseat(before, position, commit);
  if (before.version != 0) add(envelope, position, commit);
  out.push_back(Commit{std::move(commit)});
  out.push_back(reply_to(message, proto::ok_frame(message.request)));
}

// The present state, and how it came to be.
void Group::store(const proto::SignedTransition& accepted, const proto::GroupState& before,
                  ports::Batch& commit) {
  Bytes present = encode(state_);
  commit.put(Space::kGroup, {kStateRow}, present);
  if (before.version == 0) {
    base_version_ = next_base_version_ = state_.version;
    next_base_ = present;
    commit.put(Space::kGroup, {kBaseRow}, present);
    return commit.put(Space::kGroup, {kNextBaseRow}, std::move(present));
  }
  commit.put(Space::kGroup, transition_key(state_.version), encode(accepted));
  if (state_.version - next_base_version_ < limits::kGroupHistory) return;
  commit.erase_range(Space::kGroup, transition_key(0), transition_key(next_base_version_ + 1));
  commit.put(Space::kGroup, {kBaseRow}, std::exchange(next_base_, present));
  base_version_ = std::exchange(next_base_version_, state_.version);
  commit.put(Space::kGroup, {kNextBaseRow}, std::move(present));
}

// Who joined gets what comes after `position`; who left, what came up to it. Who left and is back
// gets nothing of between, which nobody counts on their having.
void Group::reseat(const proto::GroupState& before, Sequence position, ports::Batch& commit) {
  bool changed = false;
  for (const proto::GroupMember& member : before.members) {
    Lane& lane = lanes_[member.user];
    if (state_.member(member.user) || !lane.sits()) continue;
    lane.seats.back().until = position;
    changed = true;
  }
  for (const proto::GroupMember& member : state_.members) {
    Lane& lane = lanes_[member.user];
    if (lane.sits()) continue;
    lane.seats.push_back({member.user, position, {}});
    changed = true;
  }
  if (!changed) return;
  const Sequence oldest = fanouts_.empty() ? position : fanouts_.begin()->first;
  Seats row;
  for (auto at = lanes_.begin(); at != lanes_.end();) {
    auto& [user, lane] = *at;
    std::erase_if(lane.seats,
                  [&](const Seat& seat) { return seat.until.value != 0 && seat.until < oldest; });
    row.seats.insert(row.seats.end(), lane.seats.begin(), lane.seats.end());
    const bool gone = lane.seats.empty() && !ready_.contains(user) && !waiting_.contains(user);
    at = gone ? lanes_.erase(at) : std::next(at);
  }
  commit.put(Space::kGroup, {kSeatsRow}, encode(row));
}

std::size_t Group::seats() const {
  std::size_t count = 0;
  for (const auto& [user, lane] : lanes_) count += lane.seats.size();
  return count;
}

void Group::fetch(const Message& message, Effects& out) {
  const auto request = decode<proto::FetchGroup>(message.body);
  if (!request) return out.push_back(refuse(message, kMalformed));
  if (state_.version == 0) return out.push_back(refuse(message, kNoGroup));
  if (!state_.member(message.from)) {
    if (const auto open = state_.link.admits(); !open) {
      return out.push_back(refuse(message, {Code::kForbidden, open.error().text}));
    }
    return out.push_back(
        answer(message, proto::GroupHistory{state_.version, digest(state_), {}, {}}));
  }
  if (request->after >= state_.version) {
    return out.push_back(
        answer(message, proto::GroupHistory{state_.version, digest(state_), {}, {}}));
  }
  if (fetches_.size() >= kWaitingFetches) {
    return out.push_back(refuse(message, {Code::kUnavailable, "too many ask: it is retried"}));
  }
  fetches_.push_back(message);
  read_next(out);
}

void Group::read_next(Effects& out) {
  if (reading_ || fetches_.empty()) return;
  const auto request = decode<proto::FetchGroup>(fetches_.front().body);
  const std::uint64_t after = std::max(request->after, base_version_);
  const bool rebased = request->after < base_version_;
  reading_ = true;
  ports::Scan scan{to_bytes(group_),
                   Space::kGroup,
                   transition_key(after + 1),
                   {kTransitionRow + 1},
                   limits::kGroupHistoryPage};
  if (rebased) {
    scan.first = {kBaseRow};
    scan.limit += 3;  // what lies between the base and the transitions
  }
  out.push_back(Page{std::move(scan)});
}

void Group::on_rows(std::vector<ports::Row> rows, Env&, Effects& out) {
  reading_ = false;
  if (fetches_.empty()) return;
  const Message message = std::move(fetches_.front());
  fetches_.pop_front();
  proto::GroupHistory history{state_.version, digest(state_), {}, {}};
  std::size_t octets = 0;
  for (ports::Row& row : rows) {
    if (row.key == Bytes{kBaseRow}) history.base = std::move(row.value);
    if (row.key.size() != 9 || row.key[0] != kTransitionRow) continue;
    if (history.transitions.size() >= limits::kGroupHistoryPage) break;
    octets += row.value.size();
    if (!history.transitions.empty() && octets > limits::kGroupHistoryBytes) break;
    history.transitions.push_back(std::move(row.value));
  }
  // Who was removed since they asked hears nothing more.
  out.push_back(state_.member(message.from) ? answer(message, history) : refuse(message, kNotIn));
  read_next(out);
}

// ---- what its members are to get

void Group::submit(const Message& message, Env& env, Effects& out) {
  auto request = decode<proto::SubmitGroup>(message.body);
  if (!request || request->messages.empty()) return out.push_back(refuse(message, kMalformed));
  if (state_.version == 0) return out.push_back(refuse(message, kNoGroup));
  if (!state_.member(message.from)) return out.push_back(refuse(message, kNotIn));
  // The answer may have been lost, and the group has changed since.
  const bool taken = std::ranges::all_of(
      request->messages, [&](const proto::GroupMessage& one) { return recent_.contains(one.id); });
  if (taken) return out.push_back(reply_to(message, proto::ok_frame(message.request)));
  if (request->version != state_.version) return out.push_back(refuse(message, kChanged));
  if (!state_.may_send(message.from)) {
    return out.push_back(refuse(message, {Code::kForbidden, "only admins send to this group"}));
  }
  if (fanouts_.size() + request->messages.size() > limits::kFanouts ||
      fanout_bytes_ > limits::kFanoutBytes) {
    static constexpr Error kFull{Code::kFull, "the group has too much to deliver: it is retried"};
    return out.push_back(refuse(message, kFull, limits::kFanoutRetry));
  }
  ports::Batch commit = batch();
  for (proto::GroupMessage& one : request->messages) {
    if (!remember(one.id)) continue;
    ++counters_.group_messages;
    add({.id = one.id,
         .from = message.from,
         .from_device = message.from_device,
         .type = proto::CiphertextType::kSenderKey,
         .ciphertext = std::move(one.ciphertext),
         .accepted = env.now},
        sequences_.next(), commit);
  }
  if (!commit.empty()) out.push_back(Commit{std::move(commit)});
  out.push_back(reply_to(message, proto::ok_frame(message.request)));
}

// False: it was accepted before.
bool Group::remember(EnvelopeId id) {
  if (!recent_.insert(id).second) return false;
  recent_order_.push_back(id);
  if (recent_order_.size() > kRecent) {
    recent_.erase(recent_order_.front());
    recent_order_.pop_front();
  }
  return true;
}

void Group::add(const proto::Envelope& envelope, Sequence position, ports::Batch& commit) {
  SharedBytes octets = share(encode(envelope));
  commit.put(Space::kFanout, fanout_key(position), *octets,
             envelope.accepted + limits::kMailboxRetention);
  enqueue(position, std::move(octets));
}

void Group::enqueue(Sequence position, SharedBytes envelope) {
  fanout_bytes_ += envelope->size();
  Fanout& fanout = fanouts_[position] = {std::move(envelope), 0};
  for (const auto& [user, lane] : lanes_) {
    if (!lane.gets(position)) continue;
    ++fanout.missing;
    if (!waiting_.contains(user)) ready_.insert(user);
  }
}

// Posts to as many accounts as may be served at a time.
void Group::pump(Env& env, Effects& out) {
  while (!ready_.empty() && waiting_.size() < limits::kFanoutsAtOnce) {
    const UserId user = *ready_.begin();
    ready_.erase(ready_.begin());
    post(user, lanes_.at(user), env, out);
  }
}

// The next envelopes for one account, if there are any.
void Group::post(UserId user, Lane& lane, Env& env, Effects& out) {
  Message m;
  m.verb = Verb::kGroupDeliver;
  m.to = user.octets;
  m.from = UserId{group_};
  std::size_t octets = 0;
  for (auto at = fanouts_.upper_bound(lane.taken);
       at != fanouts_.end() && m.shared.size() < limits::kFanoutBatch; ++at) {
    if (!lane.gets(at->first)) continue;
    octets += at->second.envelope->size();
    if (!m.shared.empty() && octets > limits::kFanoutBatchBytes) break;
    m.shared.push_back(at->second.envelope);
    lane.asked = at->first;
  }
  if (m.shared.empty()) return;
  m.number = lane.asked.value;
  if (lane.backoff.tries() != 0) ++counters_.fanout_retries;
  lane.again = env.now + lane.backoff.next(env.entropy);
  waiting_.insert(user);
  out.push_back(Post{std::move(m)});
}

void Group::taken(const Message& message, Effects& out) {
  const auto at = lanes_.find(message.from);
  if (at == lanes_.end() || message.body.size() != 1) return;
  Lane& lane = at->second;
  if (lane.asked.value == 0 || lane.asked.value != message.number) return;  // repeated
  const Taken how{message.body[0]};
  if (how == Taken::kFull && lane.tries < limits::kFanoutTries) {
    ++lane.tries;
    return;
  }
  lane.backoff.reset();
  if (how == Taken::kStored) lane.tries = 0;
  else ++counters_.fanout_dropped;
  ports::Batch commit = batch();
  advance_to(lane, lane.asked, commit);
  waiting_.erase(message.from);
  if (fanouts_.upper_bound(lane.taken) != fanouts_.end()) ready_.insert(message.from);
  if (!commit.empty()) out.push_back(Commit{std::move(commit)});
}

// The account has everything up to `position`; what all have is erased.
void Group::advance_to(Lane& lane, Sequence position, ports::Batch& commit) {
  auto at = fanouts_.upper_bound(lane.taken);
  while (at != fanouts_.end() && at->first <= position) {
    Fanout& fanout = at->second;
    if (!lane.gets(at->first) || --fanout.missing != 0) {
      ++at;
      continue;
    }
    commit.erase(Space::kFanout, fanout_key(at->first));
    fanout_bytes_ -= fanout.envelope->size();
    at = fanouts_.erase(at);
  }
  lane.taken = position;
  lane.asked = {};
}

void Group::on_tick(Env& env, Effects& out) {
  for (const UserId user : std::set(waiting_)) {
    Lane& lane = lanes_.at(user);
    if (lane.again <= env.now) post(user, lane, env, out);
  }
  pump(env, out);
}

Instant Group::due() const {
  Instant at = kNever;
  for (const UserId user : waiting_) at = std::min(at, lanes_.at(user).again);
  return at;
}

}  // namespace godwit::server
