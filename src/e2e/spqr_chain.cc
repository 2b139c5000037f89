#include "e2e/spqr_chain.h"

#include "base/check.h"
#include "base/limits.h"
#include "crypto/kdf.h"
#include "e2e/record.h"

namespace godwit::e2e {
namespace {

using crypto::Key;

constexpr ByteArray<32> kZeros{};
constexpr std::size_t kDirection = 32 + 4;  // key, index; then the skipped keys
// The newest may be one ahead of the one sent in, and one before that is kept.
constexpr std::size_t kMaxEpochs = 3;
// No session gets there: room for what follows, so that no record makes a number wrap.
constexpr std::uint64_t kLastEpoch = UINT64_MAX / 2;

}  // namespace

SpqrChain SpqrChain::start(const Key& seed, Role role) {
  SpqrChain chain;
  chain.epochs_.reserve(kMaxEpochs);
  chain.push(role, crypto::hkdf_sha256<96>(kZeros, seed.view(),
                                           view_of("Signal PQ Ratchet V1 Chain  Start")));
  return chain;
}

void SpqrChain::add_epoch(Role role, const Key& secret) {
  push(role, crypto::hkdf_sha256<96>(root_.view(), secret.view(),
                                     view_of("Signal PQ Ratchet V1 Chain Add Epoch")));
}

void SpqrChain::push(Role role, const crypto::Secret<96>& keys) {
  root_ = Key(keys.view().first<32>());
  Direction a{Key(keys.view().subspan<32, 32>()), 0, {}}, b{Key(keys.view().last<32>()), 0, {}};
  const bool initiator = role == Role::kInitiator;
  epochs_.push_back(
      {initiator ? std::move(a) : std::move(b), initiator ? std::move(b) : std::move(a)});
  if (epochs_.size() <= kMaxEpochs) return;
  epochs_.erase(epochs_.begin());
  ++first_epoch_;
}

Key SpqrChain::Direction::step() {
  Bytes info;
  put_be32(info, ++used);
  append(info, view_of("Signal PQ Ratchet V1 Chain Next"));
  const auto out = crypto::hkdf_sha256<64>(kZeros, next.view(), info);
  next = Key(out.view().first<32>());
  return Key(out.view().last<32>());
}

Result<SpqrChain::Numbered> SpqrChain::sending_key(std::uint64_t epoch) {
  CHECK(epoch >= first_epoch_ && epoch <= newest_epoch());
  while (first_epoch_ + 1 < epoch) {
    epochs_.erase(epochs_.begin());
    ++first_epoch_;
  }
  if (first_epoch_ < epoch) epochs_[0].sending = {};
  Direction& sending = epochs_[static_cast<std::size_t>(epoch - first_epoch_)].sending;
  if (sending.used == UINT32_MAX) return fail(Code::kExpired, "the epoch's chain is used up");
  Key key = sending.step();
  return Numbered{sending.used, std::move(key)};
}

Result<Key> SpqrChain::receiving_key(std::uint64_t epoch, std::uint32_t index, std::uint32_t jump) {
  if (epoch < first_epoch_ || epoch > newest_epoch()) {
    return fail(Code::kCorrupt, "the message is of an epoch that is gone or has not begun");
  }
  Direction& receiving = epochs_[static_cast<std::size_t>(epoch - first_epoch_)].receiving;
  if (index <= receiving.used) {
    auto key = receiving.skipped.take(index);
    if (!key) return fail(Code::kDuplicate, "this message was decrypted before");
    return std::move(*key);
  }
  if (index - receiving.used > jump) {
    return fail(Code::kCorrupt, "the message is too far ahead of the last one");
  }
  if (index > receiving.used + 1) {
    receiving.skipped.skip(receiving.used + 1, index, [&] { return receiving.step(); });
  }
  return receiving.step();
}

SpqrChain SpqrChain::clone() const {
  SpqrChain copy;
  copy.root_ = root_.clone();
  copy.first_epoch_ = first_epoch_;
  copy.epochs_.reserve(kMaxEpochs);
  for (const Epoch& epoch : epochs_) {
    copy.epochs_.push_back({epoch.sending.clone(), epoch.receiving.clone()});
  }
  return copy;
}

// {1 root, 2 first epoch, 3 each epoch's sending direction, 4 its receiving direction}
crypto::SecretBytes SpqrChain::serialize() const {
  std::size_t size = 48;
  for (const Epoch& epoch : epochs_) size += 2 * (kDirection + 8) + epoch.receiving.skipped.size();
  Bytes out;
  out.reserve(size);
  const auto put = [&](std::uint32_t number, const Direction& direction) {
    put_varint(out, number << 3 | static_cast<std::uint32_t>(WireType::kBytes));
    put_varint(out, kDirection + direction.skipped.size());
    append(out, direction.next.view());
    put_be32(out, direction.used);
    append(out, direction.skipped.view());
  };
  put_bytes_field(out, 1, root_.view());
  put_uint_field(out, 2, first_epoch_);
  for (const Epoch& epoch : epochs_) {
    put(3, epoch.sending);
    put(4, epoch.receiving);
  }
  return crypto::SecretBytes(std::move(out));
}

Result<SpqrChain> SpqrChain::parse(ByteView record) {
  SpqrChain chain;
  chain.epochs_.reserve(kMaxEpochs);
  const auto read = [](const Reader::Field& field, Direction& direction) {
    const ByteView in = field.bytes;
    if (in.size() < kDirection) return false;
    auto skipped = SkippedKeys::parse(in.subspan(kDirection));
    if (!skipped) return false;
    direction = {Key(in.first<32>()), get_be32(in.subspan<32, 4>()), std::move(*skipped)};
    return true;
  };
  GODWIT_TRY(read_record(record, require(1, 2, 3, 4), [&](const Reader::Field& field) {
    switch (field.number) {
      case 1: return read_octets(field, chain.root_);
      case 2: return read_uint(field, chain.first_epoch_) && chain.first_epoch_ <= kLastEpoch;
      case 3:
        if (chain.epochs_.size() == kMaxEpochs) return false;
        return read(field, chain.epochs_.emplace_back().sending);
      case 4: return !chain.epochs_.empty() && read(field, chain.epochs_.back().receiving);
      default: return true;
    }
  }));
  return chain;
}

}  // namespace godwit::e2e
