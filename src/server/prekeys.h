// Prekeys: what one device left for people who want to write to it while it is away.
//
// Invariants, checked by sim/:
//   * a one-time prekey is handed out at most once: its row is erased by the commit that gates the
//     answer, and an upload never brings back an id that was there before;
//   * when they run out the signed prekey alone is given, as X3DH section 3.3 provides.
#pragma once

#include <map>
#include <optional>
#include <span>

#include "ports/store.h"
#include "proto/messages.h"

namespace godwit::server {

class Prekeys {
 public:
  // `next_id`: the lowest one-time id that was never uploaded.
  Prekeys(DeviceId device, std::uint32_t next_id) : device_(device), next_id_(next_id) {}

  // A stored row, while loading.
  void restore(const ports::Row& row);
  // Takes the ids that are new, up to limits::kMaxOneTimePrekeys in stock; ignores the others.
  void add(std::span<const proto::OneTimePrekey> keys, ports::Batch& commit);
  // The oldest one-time prekey, gone for good.
  std::optional<proto::OneTimePrekey> take(ports::Batch& commit);

  std::size_t count() const { return keys_.size(); }
  std::uint32_t next_id() const { return next_id_; }

 private:
  DeviceId device_;
  std::uint32_t next_id_;
  std::map<std::uint32_t, Bytes> keys_;
};

}  // namespace godwit::server
