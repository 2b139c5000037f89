#include "server/prekeys.h"

namespace godwit::server {
namespace {

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

std::optional<proto::OneTimePrekey> Prekeys::take(ports::Batch& commit) {
  if (keys_.empty()) return std::nullopt;
  auto node = keys_.extract(keys_.begin());
  commit.erase(ports::Space::kPrekey, prekey_key(device_, node.key()));
  return proto::OneTimePrekey{node.key(), std::move(node.mapped())};
}

}  // namespace godwit::server
