// Turn: one event's work. What it changes, and what it says once that is stored.
//
// Every call of the engine is one turn, and ends in at most one Commit that holds all its changes,
// followed by its other effects. So the commit rule holds by construction: whatever leaves the
// engine leaves after the state that explains it.
#pragma once

#include <set>

#include "base/env.h"
#include "client/effects.h"
#include "client/rows.h"

namespace godwit::client {

struct Turn {
  Env& env;
  ports::Batch batch;  // rows that are written once per turn at most
  // Rows that may change often within a turn: noted here, encoded once at its end.
  std::set<SessionKey> sessions;
  std::set<UserId> contacts;
  bool ledger = false;
  Effects after;

  void put(ports::Space space, Bytes key, Bytes value) {
    batch.put(space, std::move(key), std::move(value));
  }
  void erase(ports::Space space, Bytes key) { batch.erase(space, std::move(key)); }
  void erase_range(ports::Space space, Bytes first, Bytes end) {
    batch.erase_range(space, std::move(first), std::move(end));
  }
  void notify(Event event) { after.emplace_back(Notify{std::move(event)}); }
};

}  // namespace godwit::client
