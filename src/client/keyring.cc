#include "client/keyring.h"

#include <utility>

namespace godwit::client {
namespace {

using ports::Space;

constexpr std::uint32_t kLastKeyId = (1u << 24) - 1;
// Ids that are left out by a device that lost count: more than a year's, and then some at random.
constexpr std::uint32_t kSkipped = 4096;
constexpr std::uint32_t kSkippedAtMost = 65536;

proto::OneTimePrekey public_half(const e2e::OneTimePrekey& key) {
  return {key.id.value, to_bytes(key.public_key().wire())};
}

proto::SignedPrekey public_half(const e2e::SignedPrekey& key) {
  return {key.id.value, to_bytes(key.public_key().wire()), to_bytes(key.signature)};
}

proto::KemPrekey public_half(const e2e::KyberPrekey& key) {
  return {key.id.value, to_bytes(key.public_key().wire()), to_bytes(key.signature)};
}

// 'U', then the Kyber prekey's id, the signed prekey's, their base key.
Bytes use_key(const e2e::KyberUse& use) {
  Bytes key = row_key('U', use.prekey.value);
  put_be32(key, use.signed_prekey.value);
  append(key, use.base_key.u);
  return key;
}

std::optional<e2e::KyberUse> parse_use(ByteView key) {
  if (key.size() != 1 + 4 + 4 + 32) return std::nullopt;
  return e2e::KyberUse{
      {get_be32(key.subspan(1))}, {get_be32(key.subspan(5))}, {*to_array<32>(key.subspan(9))}};
}

}  // namespace

void Keyring::generate(Turn& turn) {
  turn.batch.erase_range(Space::kProfile, row_key('O'), row_key('P'));
  turn.batch.erase_range(Space::kProfile, row_key('Q'), row_key('R'));
  turn.batch.erase_range(Space::kProfile, row_key('S'), row_key('T'));
  turn.batch.erase_range(Space::kProfile, row_key('U'), row_key('V'));
  signed_.clear();
  one_time_.clear();
  kyber_.clear();
  uses_.clear();
  identity_ = e2e::LocalIdentity::generate(turn.env.entropy);
  turn.put(Space::kProfile, row_key('I'), identity_->serialize().release());
  make_signed(turn);
  make_one_time(turn);
  make_kyber(turn);
}

Keyring::Offer Keyring::registration() const {
  const Signed& present = signed_.rbegin()->second;
  Offer offer{.signed_prekey = public_half(present.key),
              .last_resort_prekey = public_half(present.last_resort)};
  for (const auto& [id, key] : one_time_) {
    if (offer.one_time_prekeys.size() == limits::kPrekeyBatch) break;
    offer.one_time_prekeys.push_back(public_half(key));
  }
  for (const auto& [id, key] : kyber_) {
    if (offer.kem_prekeys.size() == limits::kKemPrekeyBatch) break;
    offer.kem_prekeys.push_back(public_half(key));
  }
  return offer;
}

std::optional<proto::UploadPrekeys> Keyring::top_up(const proto::PrekeyStock& left, Turn& turn) {
  proto::UploadPrekeys upload{.replace = std::exchange(doubted_, false)};
  if (upload.replace) skip_ids(turn.env.entropy);
  if (upload.replace || rotation_due() <= turn.env.now) make_signed(turn);
  const Signed& present = signed_.rbegin()->second;
  if (!present.uploaded) {
    upload.signed_prekey = public_half(present.key);
    upload.last_resort_prekey = public_half(present.last_resort);
  }
  if (upload.replace || left.left < limits::kPrekeyLowWater) {
    upload.one_time_prekeys = make_one_time(turn);
  }
  if (upload.replace || left.kem_left < limits::kKemPrekeyLowWater) {
    upload.kem_prekeys = make_kyber(turn);
  }
  const bool nothing =
      !upload.signed_prekey && upload.one_time_prekeys.empty() && upload.kem_prekeys.empty();
  if (nothing) return std::nullopt;
  return upload;
}

void Keyring::on_uploaded(Turn& turn) {
  Signed& present = signed_.rbegin()->second;
  if (present.uploaded) return;
  present.uploaded = true;
  turn.put(Space::kProfile, row_key('S', present.key.id.value), present.row());
}

void Keyring::doubt(Instant now, std::size_t most) {
  std::erase_if(renewals_,
                [&](Instant at) { return now < at || at + limits::kHealingWindow <= now; });
  const std::uint32_t last =
      std::max({counters_.next_signed, counters_.next_one_time, counters_.next_kyber});
  if (renewals_.size() >= most || last + kSkippedAtMost > kLastKeyId) return;
  renewals_.push_back(now);
  doubted_ = true;
}

// Ids that were used after the backup are not used again: servers ignore what they have seen.
// Whoever is restored twice from one backup skips by another number the second time, or the same
// ids would name other keys.
void Keyring::skip_ids(Entropy& entropy) {
  const auto by = kSkipped + static_cast<std::uint32_t>(entropy.below(kSkippedAtMost - kSkipped));
  counters_.next_signed += by;
  counters_.next_one_time += by;
  counters_.next_kyber += by;
}

Instant Keyring::rotation_due() const {
  if (std::max(counters_.next_signed, counters_.next_kyber) > kLastKeyId) return kNever;
  return signed_.rbegin()->second.made + limits::kSignedPrekeyLifetime;
}

void Keyring::make_signed(Turn& turn) {
  const e2e::SignedPrekeyId id{counters_.next_signed++};
  const e2e::KyberPrekeyId last_resort{counters_.next_kyber++};
  Signed made{e2e::SignedPrekey::make(id, *identity_, turn.env.entropy),
              e2e::KyberPrekey::make(last_resort, *identity_, turn.env.entropy), turn.env.now};
  turn.put(Space::kProfile, row_key('S', id.value), made.row());
  turn.put(Space::kProfile, row_key('K'), encode(counters_));
  signed_.emplace(id.value, std::move(made));
  retire(turn);
}

// Forgets signed prekeys whose grace is over, and who used the last-resort ones.
void Keyring::retire(Turn& turn) {
  const Duration keep = limits::kSignedPrekeyLifetime + limits::kSignedPrekeyGrace;
  while (signed_.size() > 1 && signed_.begin()->second.made + keep <= turn.env.now) {
    const std::uint32_t last_resort = signed_.begin()->second.last_resort.id.value;
    turn.batch.erase_range(Space::kProfile, row_key('U', last_resort),
                           row_key('U', last_resort + 1));
    std::erase_if(uses_, [&](const auto& use) { return use.prekey.value == last_resort; });
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

std::vector<proto::KemPrekey> Keyring::make_kyber(Turn& turn) {
  std::vector<proto::KemPrekey> made;
  if (counters_.next_kyber + limits::kKemPrekeyBatch > kLastKeyId) return made;
  while (made.size() < limits::kKemPrekeyBatch) {
    const e2e::KyberPrekeyId id{counters_.next_kyber++};
    auto key = e2e::KyberPrekey::make(id, *identity_, turn.env.entropy);
    made.push_back(public_half(key));
    turn.put(Space::kProfile, row_key('Q', id.value), key.serialize().release());
    kyber_.emplace(id.value, std::move(key));
  }
  turn.put(Space::kProfile, row_key('K'), encode(counters_));
  while (kyber_.size() > limits::kPrivatePrekeys) {
    turn.erase(Space::kProfile, row_key('Q', kyber_.begin()->first));
    kyber_.erase(kyber_.begin());
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

std::optional<crypto::Kem1024SecretKey> Keyring::find_kyber(e2e::KyberPrekeyId id) const {
  if (const auto found = kyber_.find(id.value); found != kyber_.end()) {
    return found->second.secret_key();
  }
  for (const auto& [signed_id, present] : signed_) {
    if (present.last_resort.id == id) return present.last_resort.secret_key();
  }
  return std::nullopt;
}

void Keyring::consume(const e2e::Decrypted& decrypted, Turn& turn) {
  if (const auto& id = decrypted.consumed_prekey; id && one_time_.erase(id->value) != 0) {
    turn.erase(Space::kProfile, row_key('O', id->value));
  }
  if (!decrypted.kyber_use) return;
  const std::uint32_t id = decrypted.kyber_use->prekey.value;
  if (kyber_.erase(id) != 0) turn.erase(Space::kProfile, row_key('Q', id));
  else remember(*decrypted.kyber_use, turn);
}

void Keyring::remember(const e2e::KyberUse& use, Turn& turn) {
  if (uses_.size() >= limits::kLastResortUses) {  // of the oldest prekey
    turn.erase(Space::kProfile, use_key(*uses_.begin()));
    uses_.erase(uses_.begin());
  }
  uses_.insert(use);
  turn.put(Space::kProfile, use_key(use), {1});
}

Bytes Keyring::Signed::row() const {
  return encode(SignedPrekeyRow{key.serialize().release(), last_resort.serialize().release(), made,
                                uploaded});
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
      auto last_resort = e2e::KyberPrekey::parse(stored->last_resort);
      if (!last_resort) return fail(last_resort.error());
      signed_.emplace(
          id(), Signed{std::move(*key), std::move(*last_resort), stored->made, stored->uploaded});
      return {};
    }
    case 'Q': {
      auto key = e2e::KyberPrekey::parse(row.value);
      if (!key) return fail(key.error());
      kyber_.emplace(id(), std::move(*key));
      return {};
    }
    case 'U': {
      const auto use = parse_use(row.key);
      if (!use) return fail(Code::kCorrupt, "the profile holds a malformed row");
      uses_.insert(*use);
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
    batch.put(Space::kProfile, row_key('S', id), key.row());
  }
  for (const auto& [id, key] : kyber_) {
    batch.put(Space::kProfile, row_key('Q', id), key.serialize().release());
  }
  for (const auto& use : uses_) batch.put(Space::kProfile, use_key(use), {1});
  for (const auto& [id, key] : one_time_) {
    batch.put(Space::kProfile, row_key('O', id), key.serialize().release());
  }
}

}  // namespace godwit::client
