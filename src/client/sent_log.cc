#include "client/sent_log.h"

#include <algorithm>

#include "base/check.h"
#include "crypto/hash.h"

namespace godwit::client {
namespace {

using ports::Space;

std::size_t size_of(const Item& item) { return item.octets(); }

}  // namespace

EnvelopeId envelope_id(MessageId id, const proto::DeviceState& to, std::uint32_t repeat) {
  Bytes which{to.device.value};
  put_be32(which, to.registration_id);
  if (repeat != 0) put_be32(which, repeat);
  const auto digest = crypto::sha256({view_of("godwit envelope"), id.view(), ByteView(which)});
  return EnvelopeId{*to_array<16>(ByteView(digest).first(16))};
}

void SentLog::keep(Sent sent) {
  const UserId user = sent.item.to;
  const std::uint64_t order = sent.item.order;
  octets_ += size_of(sent.item);
  by_id_[sent.item.id] = order;
  by_user_[user].insert(order);
  if (sent.due) due_[user].insert(order);
  if (sent.item.is_notice()) notices_.insert(order);
  entries_[order] = std::move(sent);
}

void SentLog::store(std::uint64_t order, Turn& turn) const {
  turn.put(Space::kOutbox, row_key('R', order), encode(entries_.at(order)));
}

void SentLog::add(Sent sent, Turn& turn) {
  const UserId user = sent.item.to;
  const std::uint64_t order = sent.item.order;
  keep(std::move(sent));
  store(order, turn);
  trim(user, turn);
}

// Lets go what is too old, too far behind or too much, after an addition for `user`.
void SentLog::trim(UserId user, Turn& turn) {
  while (entries_.size() > limits::kSentItems || octets_ > limits::kSentBytes ||
         entries_.begin()->second.accepted + limits::kSentLifetime < turn.env.now) {
    const bool old = entries_.begin()->second.accepted + limits::kSentLifetime < turn.env.now;
    forget(old || notices_.empty() ? entries_.begin()->first : *notices_.begin(), turn);
    if (entries_.empty()) return;
  }
  const auto of_user = by_user_.find(user);
  if (of_user == by_user_.end()) return;
  const Sent& newest = entries_.at(*of_user->second.rbegin());
  const Sent& oldest = entries_.at(*of_user->second.begin());
  if (oldest.stream != newest.stream || oldest.number + limits::kRepeatHorizon < newest.number) {
    forget(*of_user->second.begin(), turn);
  }
  if (!newest.item.is_notice()) return;
  std::size_t receipts = 0;
  std::uint64_t first = 0;
  for (const std::uint64_t order : by_user_.at(user)) {
    if (entries_.at(order).item.is_notice() && receipts++ == 0) first = order;
  }
  if (receipts > limits::kSentReceipts) forget(first, turn);
}

void SentLog::confirm(UserId from, DeviceId device, MessageId id, Turn& turn) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  const std::uint64_t order = found->second;
  Sent& sent = entries_.at(order);
  if (sent.item.to != from || sent.item.receipt) return;
  const auto number = sent.number;
  const auto stream = sent.stream;
  std::erase_if(sent.devices, [&](const auto& state) { return state.device == device; });
  if (sent.devices.empty()) {
    forget(order, turn);
  } else {
    store(order, turn);
  }
  // They asked for the receipts before it that they could not read before they confirmed.
  std::vector<std::uint64_t> passed;
  const auto of_user = by_user_.find(from);
  if (of_user == by_user_.end()) return;
  for (const std::uint64_t each : of_user->second) {
    const Sent& other = entries_.at(each);
    if (other.item.is_notice() && !other.due && other.stream == stream && other.number < number) {
      passed.push_back(each);
    }
  }
  for (const std::uint64_t each : passed) forget(each, turn);
}

std::optional<std::uint64_t> SentLog::find(UserId user, DeviceId device,
                                           EnvelopeId envelope) const {
  const auto of_user = by_user_.find(user);
  if (of_user == by_user_.end()) return std::nullopt;
  for (const std::uint64_t order : of_user->second) {
    const Sent& sent = entries_.at(order);
    for (const proto::DeviceState& state : sent.devices) {
      if (state.device != device) continue;
      if (envelope_id(sent.item.id, state, sent.repeats) == envelope) return order;
    }
  }
  return std::nullopt;
}

bool SentLog::repeat(std::uint64_t order, Why why, Turn& turn) {
  Sent& sent = entries_.at(order);
  if (sent.due) return false;
  if (why == Why::kAsked) {
    if (sent.asked >= limits::kRepeatsAtOnce) return false;
    ++sent.asked;
  } else {
    if (sent.rounds >= limits::kRepeatRounds) return false;
    ++sent.rounds;
    sent.asked = 0;
  }
  sent.due = true;
  ++sent.repeats;
  due_[sent.item.to].insert(order);
  store(order, turn);
  return true;
}

// Each round is given four times as long as the one before it, up to a bound: whoever loses what a
// repetition needs (a device that is restored makes new prekeys when it misses them) has it soon.
std::vector<std::uint64_t> SentLog::overdue(UserId user, Instant now) const {
  std::vector<std::uint64_t> out;
  const auto of_user = by_user_.find(user);
  if (of_user == by_user_.end()) return out;
  for (const std::uint64_t order : of_user->second) {
    const Sent& sent = entries_.at(order);
    if (sent.item.is_notice() || sent.due || sent.rounds >= limits::kRepeatRounds) continue;
    const Duration grace{
        std::min(limits::kReceiptGrace.ms << (2 * sent.rounds), limits::kLongestGrace.ms)};
    const bool clock_was_set_back = sent.accepted > now + limits::kReceiptGrace;
    if (sent.accepted + grace <= now || clock_was_set_back) out.push_back(order);
  }
  return out;
}

std::vector<std::uint64_t> SentLog::due(UserId user) const {
  const auto found = due_.find(user);
  if (found == due_.end()) return {};
  return {found->second.begin(), found->second.end()};
}

std::vector<UserId> SentLog::users_due() const {
  std::vector<UserId> out;
  for (const auto& [user, orders] : due_) out.push_back(user);
  return out;
}

std::vector<UserId> SentLog::users() const {
  std::vector<UserId> out;
  for (const auto& [user, orders] : by_user_) out.push_back(user);
  return out;
}

void SentLog::on_repeated(std::uint64_t order, const std::vector<proto::DeviceState>& devices,
                          Turn& turn) {
  const auto found = entries_.find(order);
  if (found == entries_.end() || !found->second.due) return;  // confirmed meanwhile
  Sent& sent = found->second;
  sent.due = false;
  sent.accepted = turn.env.now;
  sent.devices = devices;
  const auto of_user = due_.find(sent.item.to);
  of_user->second.erase(order);
  if (of_user->second.empty()) due_.erase(of_user);
  store(order, turn);
}

void SentLog::forget(std::uint64_t order, Turn& turn) {
  const auto found = entries_.find(order);
  if (found == entries_.end()) return;
  const Sent& sent = found->second;
  const UserId user = sent.item.to;
  octets_ -= size_of(sent.item);
  by_id_.erase(sent.item.id);
  notices_.erase(order);
  for (auto* index : {&by_user_, &due_}) {
    const auto of_user = index->find(user);
    if (of_user == index->end()) continue;
    of_user->second.erase(order);
    if (of_user->second.empty()) index->erase(of_user);
  }
  entries_.erase(found);
  turn.erase(Space::kOutbox, row_key('R', order));
}

void SentLog::forget(UserId user, Turn& turn) {
  const auto of_user = by_user_.find(user);
  if (of_user == by_user_.end()) return;
  for (const std::uint64_t order : std::set(of_user->second)) forget(order, turn);
}

void SentLog::keep_only(UserId user, ByteView identity, Turn& turn) {
  const auto of_user = by_user_.find(user);
  if (of_user == by_user_.end()) return;
  for (const std::uint64_t order : std::set(of_user->second)) {
    if (!same(entries_.at(order).identity, identity)) forget(order, turn);
  }
}

Result<void> SentLog::load(Sent sent) {
  if (sent.item.to.is_nil() || !sent.item.whole() || entries_.contains(sent.item.order) ||
      by_id_.contains(sent.item.id)) {
    return fail(Code::kCorrupt, "a sent content is not whole");
  }
  keep(std::move(sent));
  return {};
}

void SentLog::store_all(ports::Batch& batch) const {
  for (const auto& [order, sent] : entries_) {
    batch.put(Space::kOutbox, row_key('R', order), encode(sent));
  }
}

}  // namespace godwit::client
