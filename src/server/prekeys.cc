#include "server/prekeys.h"

namespace godwit::server {
namespace {

// Rows of KEM prekeys start with this, those of others with a device: 1 to 127.
constexpr std::uint8_t kKemKind = 0xff;
constexpr std::uint32_t kLastResort = UINT32_MAX;  // its position

Bytes kem_key(DeviceId device, std::uint32_t position) {
  Bytes key = {kKemKind, device.value};
  put_be32(key, position);
  return key;
}

Bytes prekey_key(DeviceId device, std::uint32_t id) {
  Bytes key = {device.value};
  put_be32(key, id);
  return key;
}

}  // namespace

void Prekeys::restore(const ports::Row& row) {
  if (row.key.size() != 5 || row.key[0] != device_.value) return;
  keys_[get_be32(ByteView(row.key).subspan(1))] = row.value;
}

void Prekeys::add(std::span<const proto::OneTimePrekey> keys, ports::Batch& commit) {
  for (const proto::OneTimePrekey& key : keys) {
    if (key.id < next_id_ || keys_.size() >= limits::kMaxOneTimePrekeys) continue;
    next_id_ = key.id + 1;
    keys_[key.id] = key.key;
    commit.put(ports::Space::kPrekey, prekey_key(device_, key.id), key.key);
  }
}

void Prekeys::clear(ports::Batch& commit) {
  for (const auto& [id, key] : keys_) {
    commit.erase(ports::Space::kPrekey, prekey_key(device_, id));
  }
  keys_.clear();
}

std::optional<proto::OneTimePrekey> Prekeys::take(ports::Batch& commit) {
  if (keys_.empty()) return std::nullopt;
  auto node = keys_.extract(keys_.begin());
  commit.erase(ports::Space::kPrekey, prekey_key(device_, node.key()));
  return proto::OneTimePrekey{node.key(), std::move(node.mapped())};
}

void KemPrekeys::set_last_resort(const proto::KemPrekey& key, ports::Batch& commit) {
  commit.put(ports::Space::kPrekey, kem_key(device_, kLastResort), encode(key));
}

void KemPrekeys::add(std::span<const proto::KemPrekey> keys, ports::Batch& commit) {
  for (const proto::KemPrekey& key : keys) {
    if (key.id < stock_.next_id || stock_.left >= limits::kMaxKemPrekeys ||
        stock_.next_position == kLastResort) {
      continue;
    }
    stock_.next_id = key.id + 1;
    ++stock_.left;
    commit.put(ports::Space::kPrekey, kem_key(device_, stock_.next_position++), encode(key));
  }
}

void KemPrekeys::clear(ports::Batch& commit) {
  commit.erase_range(ports::Space::kPrekey, kem_key(device_, 0),
                     kem_key(device_, stock_.next_position));
  stock_.left = 0;
}

ports::Scan KemPrekeys::next(Bytes partition, bool last_resort) const {
  const std::uint32_t first = last_resort ? kLastResort : stock_.next_position - stock_.left;
  return {std::move(partition),
          ports::Space::kPrekey,
          kem_key(device_, first),
          {kKemKind, static_cast<std::uint8_t>(device_.value + 1)},
          1};
}

std::optional<proto::KemPrekey> KemPrekeys::take(const ports::Row& row, ports::Batch& commit) {
  auto key = decode<proto::KemPrekey>(row.value);
  if (!key || row.key.size() != 6) return std::nullopt;
  if (get_be32(ByteView(row.key).subspan(2)) != kLastResort) {
    commit.erase(ports::Space::kPrekey, row.key);
    if (stock_.left > 0) --stock_.left;
  }
  return std::move(*key);
}

}  // namespace godwit::server
