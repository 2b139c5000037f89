#include "client/healing.h"

#include <algorithm>

#include "base/check.h"

namespace godwit::client {
namespace {

using ports::Space;

e2e::DecryptionError error_about(const proto::Envelope& envelope, bool reused) {
  const bool first = envelope.type == proto::CiphertextType::kPrekey;
  e2e::DecryptionError error =
      first ? e2e::DecryptionError::about_prekey(envelope.ciphertext, envelope.accepted,
                                                 envelope.from_device)
            : e2e::DecryptionError::about_whisper(envelope.ciphertext, envelope.accepted,
                                                  envelope.from_device);
  error.envelope = envelope.id;
  error.reused = reused;
  return error;
}

}  // namespace

// Null: too many others are being counted.
Healing::Budget* Healing::budget(UserId user, Instant now) {
  const auto over = [&](const Budget& budget) {
    return now < budget.since || budget.since + limits::kHealingWindow <= now;
  };
  const auto known = budgets_.find(user);
  if (known != budgets_.end()) {
    if (over(known->second)) known->second = {.since = now};
    return &known->second;
  }
  if (budgets_.size() >= limits::kHealingPeers) {
    std::erase_if(budgets_, [&](const auto& entry) { return over(entry.second); });
    if (budgets_.size() >= limits::kHealingPeers) return nullptr;
  }
  return &(budgets_[user] = {.since = now});
}

bool Healing::reset_session(SessionKey key, Turn& turn) {
  const e2e::Session* session = parts_.sessions.find(key);
  if (!session || !session->has_current()) return true;
  Budget* spent = budget(key.user, turn.env.now);
  if (!spent || spent->resets >= limits::kSessionResets) return false;
  ++spent->resets;
  ++parts_.counters.sessions_reset;
  parts_.sessions.archive(key, turn);
  return true;
}

// ---- what this device could not read

void Healing::on_unreadable(const proto::Envelope& envelope, bool reused, Turn& turn) {
  const UserId user = envelope.from;
  // The sender and this device have fallen out of step: what is said next would not be read there
  // either. A message that starts a session says nothing about the present one.
  if (envelope.type == proto::CiphertextType::kWhisper) {
    (void)reset_session({user, envelope.from_device}, turn);
  }
  Budget* spent = budget(user, turn.env.now);
  if (!spent || spent->asked >= limits::kRetryRequests ||
      requests(user).size() >= limits::kRetryRequests || queued_ >= limits::kRetryRequestsQueued) {
    return;
  }
  ++spent->asked;
  ++parts_.counters.requested;
  const auto& waiting = requests(user);
  const std::uint64_t order = waiting.empty() ? 1 : waiting.back().order + 1;
  RetryRequest request{.order = order,
                       .device = envelope.from_device,
                       .about = envelope.id,
                       .body = e2e::encode_plaintext(error_about(envelope, reused))};
  turn.put(Space::kOutbox, row_key('H', user, order), encode(request));
  requests_[user].push_back(std::move(request));
  ++queued_;
  woken_.insert(user);
}

const Healing::Requests& Healing::requests(UserId user) const {
  static const Requests kNone;
  const auto found = requests_.find(user);
  return found == requests_.end() ? kNone : found->second;
}

void Healing::on_requested(UserId user, std::size_t count, Turn& turn) {
  if (count == 0) return;
  const auto found = requests_.find(user);
  CHECK(found != requests_.end() && count <= found->second.size());
  for (std::size_t i = 0; i < count; ++i) {
    turn.erase(Space::kOutbox, row_key('H', user, found->second.front().order));
    found->second.pop_front();
    --queued_;
  }
  if (found->second.empty()) requests_.erase(found);
}

// ---- what others could not read

std::optional<e2e::DecryptionError> Healing::on_request(const proto::Envelope& envelope,
                                                        Turn& turn) {
  const auto error = e2e::parse_plaintext(envelope.ciphertext);
  if (!error) {
    ++parts_.counters.undecryptable;
    return std::nullopt;
  }
  const UserId user = envelope.from;
  const DeviceId own = parts_.registration.profile().device;
  if (error->device != own) return std::nullopt;  // another one is meant
  const ContactRow* contact = parts_.contacts.find(user);
  if (!contact) return std::nullopt;
  Budget* spent = budget(user, turn.env.now);
  if (!spent || spent->answered >= limits::kRetryRequests) return std::nullopt;
  ++spent->answered;
  parts_.sent.keep_only(user, contact->contact.identity_key, turn);

  const SessionKey key{user, envelope.from_device};
  const auto order = parts_.sent.find(user, key.device, error->envelope.value_or(EnvelopeId{}));
  const e2e::Session* session = parts_.sessions.find(key);
  const bool present = session && error->ratchet_key && session->sends_with(*error->ratchet_key);
  // A message that was damaged on its way names no session, until it fails a second time.
  const bool again = order && parts_.sent.repeated(*order);
  if ((present || again) && !reset_session(key, turn)) return std::nullopt;
  // What fails again and again is left to on_alive(), which has more patience.
  if (order && parts_.sent.repeat(*order, SentLog::Why::kAsked, turn)) {
    ++parts_.counters.repeated;
    woken_.insert(user);
  }
  on_alive(user, turn);
  return order ? std::nullopt : std::optional(*error);
}

void Healing::on_alive(UserId user, Turn& turn) {
  const ContactRow* contact = parts_.contacts.find(user);
  CHECK(contact);
  parts_.sent.keep_only(user, contact->contact.identity_key, turn);
  if (suspicions_.contains(user) || parts_.sent.overdue(user, turn.env.now).empty()) return;
  suspicions_[user] = turn.env.now + limits::kReceiptGrace;
}

void Healing::on_tick(Turn& turn) {
  for (auto at = suspicions_.begin(); at != suspicions_.end();) {
    if (at->second > turn.env.now) {
      ++at;
      continue;
    }
    const UserId user = at->first;
    at = suspicions_.erase(at);
    if (const ContactRow* contact = parts_.contacts.find(user)) {
      parts_.sent.keep_only(user, contact->contact.identity_key, turn);
    }
    // Only what should have been confirmed before they showed that they are there.
    bool any = false;
    for (const std::uint64_t order :
         parts_.sent.overdue(user, Instant{turn.env.now.ms - limits::kReceiptGrace.ms})) {
      if (!parts_.sent.repeat(order, SentLog::Why::kOverdue, turn)) continue;
      for (const proto::DeviceState& state : parts_.sent.at(order).devices) {
        (void)reset_session({user, state.device}, turn);
      }
      any = true;
      ++parts_.counters.repeated;
    }
    if (any) woken_.insert(user);
  }
}

void Healing::on_clock_set_back(Instant now) {
  for (auto& [user, at] : suspicions_) at = std::min(at, now + limits::kReceiptGrace);
}

Instant Healing::deadline() const {
  Instant at = kNever;
  for (const auto& [user, when] : suspicions_) at = std::min(at, when);
  return at;
}

std::set<UserId> Healing::users() const {
  std::set<UserId> out;
  for (const auto& [user, requests] : requests_) out.insert(user);
  for (const UserId user : parts_.sent.users_due()) out.insert(user);
  return out;
}

Result<void> Healing::load(UserId user, RetryRequest request) {
  Requests& of_user = requests_[user];
  if (user.is_nil() || (!of_user.empty() && of_user.back().order >= request.order)) {
    return fail(Code::kCorrupt, "a retry request is not whole");
  }
  of_user.push_back(std::move(request));
  ++queued_;
  return {};
}

void Healing::store_all(ports::Batch& batch) const {
  for (const auto& [user, requests] : requests_) {
    for (const RetryRequest& request : requests) {
      batch.put(Space::kOutbox, row_key('H', user, request.order), encode(request));
    }
  }
}

}  // namespace godwit::client
