#include "sim/checkers.h"

#include <algorithm>

namespace godwit::sim {

void NeverLost::reinstalled(std::uint32_t person) {
  for (auto& [id, fate] : texts_) {
    if (id.from == person && !fate.accepted) fate.forgiven = true;
    if (id.from == person && !fate.shown) fate.orphaned_by = 1;
    if (id.to == person) fate.forgiven = true;
  }
}

void NeverLost::replaced(std::uint32_t person) {
  for (auto& [id, fate] : texts_) {
    if (id.to == person) fate.forgiven = true;
  }
}

void NeverLost::addressed(const TextId& id, std::vector<std::uint32_t> readers) {
  readers_[id] = std::move(readers);
}

void NeverLost::came_or_went(std::uint32_t person, std::uint32_t group) {
  for (auto& [id, fate] : texts_) {
    if (id.group == group && (id.from == person || id.to == person)) fate.forgiven = true;
  }
}

void NeverLost::restored(std::uint32_t person, const std::vector<TextId>& kept) {
  const std::set<TextId> has(kept.begin(), kept.end());
  for (auto& [id, fate] : texts_) {
    // In a group nobody confirms: what a reader held that was not shown yet is gone.
    if (id.group != 0 && id.to == person && !fate.shown) fate.forgiven = true;
    if (id.from != person || fate.shown || has.contains(written(id))) continue;
    if (!fate.accepted) fate.forgiven = true;
    else if (fate.orphaned_by == 0) fate.orphaned_by = 2;  // this is one
  }
}

bool NeverLost::forgiven(const TextId& id) const {
  const auto at = texts_.find(id);
  return at != texts_.end() && forgiven(id, at->second);
}

bool NeverLost::complete() const {
  return std::ranges::all_of(texts_, [this](const auto& text) {
    return text.second.shown || forgiven(text.first, text.second);
  });
}

void NeverLost::check_at_end(Verdict& verdict) const {
  for (const auto& [id, fate] : texts_) {
    if (fate.shown || forgiven(id, fate)) continue;
    verdict.broken("never_lost", "text " + name_of(id) + " was " +
                                     (fate.accepted ? "accepted" : "composed") +
                                     " and is not shown");
  }
}

void ShownOnce::notified(const Viewer& viewer, const TextId& id, Verdict& verdict) {
  if (!notified_.insert({viewer, id}).second) {
    verdict.broken("shown_once", "text " + name_of(id) + " was told twice");
  }
}

void ShownOnce::history(const Viewer& viewer, const std::vector<TextId>& texts,
                        Verdict& verdict) const {
  std::set<TextId> seen;
  for (const TextId& id : texts) {
    if (!seen.insert(id).second) {
      verdict.broken("shown_once", "text " + name_of(id) + " is in the history twice");
    }
  }
  for (auto at = notified_.lower_bound({viewer, {}}); at != notified_.end() && at->first == viewer;
       ++at) {
    if (!seen.contains(at->second) && !taken_back_.contains(written(at->second))) {
      verdict.broken("shown_once", "text " + name_of(at->second) + " was told and is not stored");
    }
  }
}

void SenderOrder::follow(Last& last, const Viewer& viewer, const TextId& id,
                         Verdict& verdict) const {
  if (id.group != 0 && (damaged_ || restored_.contains(id.from))) return;
  std::uint32_t& before = last[{viewer, Viewer{id.from, id.generation}, id.group}];
  if (id.number < before) {
    verdict.broken("sender_order",
                   "text " + name_of(id) + " follows number " + std::to_string(before));
  }
  before = std::max(before, id.number);
}

void SenderOrder::notified(const Viewer& viewer, const TextId& id, Verdict& verdict) {
  follow(last_, viewer, id, verdict);
}

void SenderOrder::history(const Viewer& viewer, const std::vector<TextId>& texts,
                          Verdict& verdict) const {
  Last last;
  for (const TextId& id : texts) follow(last, viewer, id, verdict);
}

void ReceiptsForward::seen(const Viewer& viewer, MessageId id, UserId member, client::Status status,
                           Verdict& verdict) {
  const auto [at, fresh] = last_.try_emplace({viewer, id, member}, status);
  if (fresh) return;
  if (status < at->second || (status == at->second && member.is_nil())) {
    verdict.broken("receipts_forward", std::string(client::status_name(status)) + " after " +
                                           std::string(client::status_name(at->second)));
  }
  at->second = status;
}

void ReceiptsForward::stored(const Viewer& viewer, MessageId id, client::Status status,
                             Verdict& verdict) const {
  const auto at = last_.find({viewer, id, UserId{}});
  if (at == last_.end() || at->second <= status) return;
  verdict.broken("receipts_forward", "the history says " +
                                         std::string(client::status_name(status)) + " after " +
                                         std::string(client::status_name(at->second)));
}

void ForwardsCounted::seen(MessageId id, std::uint32_t times, Verdict& verdict) const {
  const auto at = times_.find(id);
  if (at == times_.end() || at->second == times) return;
  verdict.broken("forwards_counted", "passed on " + std::to_string(at->second) +
                                         " times, it says " + std::to_string(times));
}

void PrekeyOnce::handed_out(const proto::Bundle& bundle, Verdict& verdict) {
  const proto::KemPrekey& kem = bundle.kem_prekey;
  if (!last_resort_.contains(kem.key) && !keys_.insert(kem.key).second) {
    verdict.broken("prekey_once", "KEM prekey " + std::to_string(kem.id) + " was handed out twice");
  }
  if (!bundle.one_time_prekey) return;
  if (!keys_.insert(bundle.one_time_prekey->key).second) {
    verdict.broken("prekey_once", "one-time prekey " + std::to_string(bundle.one_time_prekey->id) +
                                      " was handed out twice");
  }
}

void SequencesIncrease::delivered(std::uint64_t connection, const Mailbox& mailbox,
                                  const proto::Delivery& delivery, Verdict& verdict) {
  const EnvelopeId id = delivery.envelope.id;
  const auto [at, fresh] = envelopes_.try_emplace({mailbox, delivery.sequence}, id);
  if (!fresh && at->second != id) {
    verdict.broken("sequences_increase",
                   "sequence " + std::to_string(delivery.sequence.value) + " names two envelopes");
  }
  Sequence& last = last_[connection];
  if (delivery.sequence <= last) {
    verdict.broken("sequences_increase", "sequence " + std::to_string(delivery.sequence.value) +
                                             " follows " + std::to_string(last.value));
  }
  last = delivery.sequence;
  if (delivery.sequence <= cursor_[mailbox]) acknowledged_.insert(id);
}

void SequencesIncrease::acknowledged(const Mailbox& mailbox, Sequence up_to) {
  Sequence& cursor = cursor_[mailbox];
  if (up_to <= cursor) return;
  for (auto at = envelopes_.upper_bound({mailbox, cursor});
       at != envelopes_.end() && at->first <= std::pair(mailbox, up_to); ++at) {
    acknowledged_.insert(at->second);
  }
  cursor = up_to;
}

void check_accepted_is_stored(const proto::Submit& submit, const ports::MemoryStore& rows,
                              const SequencesIncrease& mailboxes, Verdict& verdict) {
  std::set<EnvelopeId> missing;
  for (const proto::Outgoing& message : submit.messages) {
    for (const proto::Parcel& parcel : message.parcels) {
      if (!mailboxes.has(parcel.id)) missing.insert(parcel.id);
    }
  }
  if (missing.empty()) return;
  rows.each(ports::Space::kQueue, [&](ByteView, ByteView, ByteView value, Instant) {
    std::erase_if(missing, [&](const EnvelopeId& id) {
      return text_of(value).find(text_of(id.view())) != std::string_view::npos;
    });
  });
  if (!missing.empty()) {
    verdict.broken("accepted_is_stored", "an envelope is accepted that is nowhere");
  }
}

void KeyUsedOnce::restored(const Device& device) {
  std::erase_if(ciphertexts_,
                [&](const auto& entry) { return std::get<0>(entry.first) == device; });
}

void KeyUsedOnce::submitted(const Device& device, const proto::Parcel& parcel, Verdict& verdict) {
  ByteView wire = parcel.ciphertext;
  Result<e2e::PrekeyMessage> outer;
  if (parcel.type == proto::CiphertextType::kPrekey) {
    outer = e2e::PrekeyMessage::parse(wire);
    if (!outer) return;
    wire = outer->whisper;
  }
  const auto message = e2e::WhisperMessage::parse(wire);
  if (!message) return;
  const auto [at, fresh] =
      ciphertexts_.try_emplace(Key{device, to_bytes(message->ratchet.wire()), message->counter},
                               to_bytes(message->ciphertext));
  if (!fresh && !same(at->second, message->ciphertext)) {
    verdict.broken("key_used_once",
                   "message key " + std::to_string(message->counter) + " made two ciphertexts");
  }
}

void NoPlaintext::octets(ByteView seen, Verdict& verdict) const {
  for (const std::string& secret : secrets_) {
    if (text_of(seen).find(secret) != std::string_view::npos) {
      verdict.broken("no_plaintext", "the server can read what people write");
    }
  }
}

void NoPlaintext::row(const ports::Batch& batch, Verdict& verdict) const {
  const auto check = [&](ByteView part) {
    octets(part, verdict);
    for (const std::string& phone : phones_) {
      if (text_of(part).find(phone) != std::string_view::npos) {
        verdict.broken("no_plaintext", "a row of the server holds a phone number");
      }
    }
  };
  check(batch.partition);
  for (const ports::Mutation& mutation : batch.mutations) {
    check(mutation.row.key);
    check(mutation.row.value);
  }
}

void check_bounded_retention(const ports::Batch& batch, Instant now, Verdict& verdict) {
  for (const ports::Mutation& mutation : batch.mutations) {
    if (mutation.kind != ports::Mutation::Kind::kPut) continue;
    if (mutation.space != ports::Space::kQueue) continue;
    if (mutation.row.expires > now + limits::kMailboxRetention + hours(1)) {
      verdict.broken("bounded_retention", "an envelope is stored for longer than its retention");
    }
  }
}

}  // namespace godwit::sim
