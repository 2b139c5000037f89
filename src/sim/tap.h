// Tap: listens at the server's edge, understands the frames that pass, and tells the checkers.
#pragma once

#include <map>

#include "sim/life.h"

namespace godwit::sim {

class Tap {
 public:
  Tap(Life& life, const ports::MemoryStore& rows) : life_(life), rows_(rows) {}

  void opened(ConnectionId id, const ByteArray<32>& peer) { open_[id].peer = peer; }
  void to_server(ConnectionId id, const proto::Frame& frame);
  void to_client(ConnectionId id, const proto::Frame& frame);
  void closed(ConnectionId id) { open_.erase(id); }

 private:
  struct Asked {
    proto::Kind kind{};
    Bytes body;
    Bytes owner;  // kSubmit: of the recipient's account then
    bool answered = false;
  };
  struct Open {
    ByteArray<32> peer{};
    std::map<std::uint64_t, Asked> asked;
  };
  // The stored registration of this account. Another takes it over, with all that waits for it.
  Bytes owner_of(UserId user) const;
  void answered(const Asked& asked, const proto::Frame& frame);
  void submitted(const ByteArray<32>& peer, UserId to, const proto::Parcel& parcel);

  Life& life_;
  const ports::MemoryStore& rows_;
  std::map<ConnectionId, Open> open_;
};

}  // namespace godwit::sim
