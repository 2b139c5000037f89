// Prekeys: what one device left for people who want to write to it while it is away.
//
// Invariants, checked by sim/:
//   * a one-time prekey is handed out at most once: its row is erased by the commit that gates the
//     answer, and an upload never brings back an id that was there before;
//   * when they run out the signed prekey, and the last-resort KEM prekey, are given alone, as
//     PQXDH section 3.3 provides.
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
  // Gives up what is in stock.
  void clear(ports::Batch& commit);
  // The oldest one-time prekey, gone for good.
  std::optional<proto::OneTimePrekey> take(ports::Batch& commit);

  std::size_t count() const { return keys_.size(); }
  std::uint32_t next_id() const { return next_id_; }

 private:
  DeviceId device_;
  std::uint32_t next_id_;
  std::map<std::uint32_t, Bytes> keys_;
};

// The KEM prekeys, fifty times as large: in memory is only how many there are.
//
// Their rows lie in the order of their upload, the last-resort one behind them all: the first row
// is what to hand out.
class KemPrekeys {
 public:
  struct Stock {
    std::uint32_t next_id = 0;        // the lowest one-time id that was never uploaded
    std::uint32_t next_position = 0;  // of the next row
    std::uint32_t left = 0;           // one-time ones
    static void fields(auto& m, auto& field) {
      field(1, m.next_id);
      field(2, m.next_position);
      field(3, m.left);
    }
  };

  KemPrekeys(DeviceId device, Stock stock) : device_(device), stock_(stock) {}

  void set_last_resort(const proto::KemPrekey& key, ports::Batch& commit);
  // As Prekeys::add(), up to limits::kMaxKemPrekeys.
  void add(std::span<const proto::KemPrekey> keys, ports::Batch& commit);
  // Gives up the one-time ones.
  void clear(ports::Batch& commit);
  // Reads the key to hand out: the oldest, or the last-resort one. To be read after the commits of
  // what was added and taken so far.
  ports::Scan next(Bytes partition, bool last_resort) const;
  // What next() has read; a one-time one is gone for good. nullopt: there is none.
  std::optional<proto::KemPrekey> take(const ports::Row& row, ports::Batch& commit);

  const Stock& stock() const { return stock_; }

 private:
  DeviceId device_;
  Stock stock_;
};

}  // namespace godwit::server
