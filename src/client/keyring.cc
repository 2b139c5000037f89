#include "client/keyring.h"

namespace godwit::client {
namespace {

using ports::Space;

constexpr std::uint32_t kLastKeyId = (1u << 24) - 1;

proto::OneTimePrekey public_half(const e2e::OneTimePrekey& key) {
  return {key.id.value, to_bytes(key.public_key().wire())};
}

proto::SignedPrekey public_half(const e2e::SignedPrekey& key) {
  return {key.id.value, to_bytes(key.public_key().wire()), to_bytes(key.signature)};
}

Bytes row_of(const e2e::SignedPrekey& key, Instant made, bool uploaded) {
  return encode(SignedPrekeyRow{key.serialize().release(), made, uploaded});
}

}  // namespace

void Keyring::generate(Turn& turn) {
  turn.batch.erase_range(Space::kProfile, row_key('O'), row_key('P'));
  turn.batch.erase_range(Space::kProfile, row_key('S'), row_key('T'));
  signed_.clear();
  one_time_.clear();
  identity_ = e2e::LocalIdentity::generate(turn.env.entropy);
  turn.put(Space::kProfile, row_key('I'), identity_->serialize().release());
  make_signed(turn);
  make_one_time(turn);
}

Keyring::Offer Keyring::registration() const {
  Offer offer{.signed_prekey = public_half(signed_.rbegin()->second.key)};
  for (const auto& [id, key] : one_time_) {
    if (offer.one_time_prekeys.size() == limits::kPrekeyBatch) break;
    offer.one_time_prekeys.push_back(public_half(key));
  }
  return offer;
}

std::optional<proto::UploadPrekeys> Keyring::top_up(std::uint32_t left, Turn& turn) {
  proto::UploadPrekeys upload;
  if (rotation_due() <= turn.env.now) make_signed(turn);
  const Signed& present = signed_.rbegin()->second;
  if (!present.uploaded) upload.signed_prekey = public_half(present.key);
  if (left < limits::kPrekeyLowWater) upload.one_time_prekeys = make_one_time(turn);
  if (!upload.signed_prekey && upload.one_time_prekeys.empty()) return std::nullopt;
  return upload;
}

void Keyring::on_uploaded(Turn& turn) {
  Signed& present = signed_.rbegin()->second;
  if (present.uploaded) return;
  present.uploaded = true;
  turn.put(Space::kProfile, row_key('S', present.key.id.value),
           row_of(present.key, present.made, true));
}

Instant Keyring::rotation_due() const {
  if (counters_.next_signed > kLastKeyId) return kNever;
  return signed_.rbegin()->second.made + limits::kSignedPrekeyLifetime;
}

void Keyring::make_signed(Turn& turn) {
  const e2e::SignedPrekeyId id{counters_.next_signed++};
  Signed made{e2e::SignedPrekey::make(id, *identity_, turn.env.entropy), turn.env.now};
  turn.put(Space::kProfile, row_key('S', id.value), row_of(made.key, made.made, false));
  turn.put(Space::kProfile, row_key('K'), encode(counters_));
  signed_.emplace(id.value, std::move(made));
  retire(turn);
}

// Forgets signed prekeys whose grace is over.
void Keyring::retire(Turn& turn) {
  const Duration keep = limits::kSignedPrekeyLifetime + limits::kSignedPrekeyGrace;
  while (signed_.size() > 1 && signed_.begin()->second.made + keep <= turn.env.now) {
    turn.erase(Space::kProfile, row_key('S', signed_.begin()->first));
    signed_.erase(signed_.begin());
  }
}

std::vector<proto::OneTimePrekey> Keyring::make_one_time(Turn& turn) {
  std::vector<proto::OneTimePrekey> made;
  if (counters_.next_one_time + limits::kPrekeyBatch > kLastKeyId) return made;
  const e2e::OneTimePrekeyId first{counters_.next_one_time};
  counters_.next_one_time += limits::kPrekeyBatch;
  for (auto& key : e2e::make_one_time_prekeys(first, limits::kPrekeyBatch, turn.env.entropy)) {
    made.push_back(public_half(key));
    turn.put(Space::kProfile, row_key('O', key.id.value), key.serialize().release());
    one_time_.emplace(key.id.value, std::move(key));
  }
  turn.put(Space::kProfile, row_key('K'), encode(counters_));
  while (one_time_.size() > limits::kPrivatePrekeys) {
    turn.erase(Space::kProfile, row_key('O', one_time_.begin()->first));
    one_time_.erase(one_time_.begin());
  }
  return made;
}

const e2e::SignedPrekey* Keyring::find_signed(e2e::SignedPrekeyId id) const {
  const auto found = signed_.find(id.value);
  return found == signed_.end() ? nullptr : &found->second.key;
}

const e2e::OneTimePrekey* Keyring::find_one_time(e2e::OneTimePrekeyId id) const {
  const auto found = one_time_.find(id.value);
  return found == one_time_.end() ? nullptr : &found->second;
}

void Keyring::erase_one_time(e2e::OneTimePrekeyId id, Turn& turn) {
  if (one_time_.erase(id.value) != 0) turn.erase(Space::kProfile, row_key('O', id.value));
}

Result<void> Keyring::load(const ports::Row& row) {
  const auto id = [&] { return row.key.size() == 5 ? get_be32(ByteView(row.key).subspan(1)) : 0; };
  switch (row.key.empty() ? 0 : row.key[0]) {
    case 'I': {
      auto identity = e2e::LocalIdentity::parse(row.value);
      if (!identity) return fail(identity.error());
      identity_ = std::move(*identity);
      return {};
    }
    case 'K': {
      const auto counters = decode<KeyCounters>(row.value);
      if (!counters) return fail(counters.error());
      counters_ = *counters;
      return {};
    }
    case 'S': {
      const auto stored = decode<SignedPrekeyRow>(row.value);
      if (!stored) return fail(stored.error());
      auto key = e2e::SignedPrekey::parse(stored->record);
      if (!key) return fail(key.error());
      signed_.emplace(id(), Signed{std::move(*key), stored->made, stored->uploaded});
      return {};
    }
    case 'O': {
      auto key = e2e::OneTimePrekey::parse(row.value);
      if (!key) return fail(key.error());
      one_time_.emplace(id(), std::move(*key));
      return {};
    }
    default: return fail(Code::kCorrupt, "the profile holds a row of an unknown kind");
  }
}

void Keyring::store_all(ports::Batch& batch) const {
  if (!ready()) return;
  batch.put(Space::kProfile, row_key('I'), identity_->serialize().release());
  batch.put(Space::kProfile, row_key('K'), encode(counters_));
  for (const auto& [id, key] : signed_) {
    batch.put(Space::kProfile, row_key('S', id), row_of(key.key, key.made, key.uploaded));
  }
  for (const auto& [id, key] : one_time_) {
    batch.put(Space::kProfile, row_key('O', id), key.serialize().release());
  }
}

}  // namespace godwit::client
