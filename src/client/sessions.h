// Sessions: the ratchet sessions with other people's devices. Changed ones are stored at the end
// of the turn, each once, however many messages passed through it.
#pragma once

#include <map>

#include "client/turn.h"
#include "e2e/session.h"

namespace godwit::client {

class Sessions {
 public:
  e2e::Session* find(SessionKey key);
  // Keeps `session`, new or instead of what there was.
  e2e::Session& keep(SessionKey key, e2e::Session session, Turn& turn);
  // Stops sending in it; it still decrypts.
  void archive(SessionKey key, Turn& turn);
  // The user's devices to encrypt for: those with a current session of this identity. Sessions of
  // another identity are archived, so that nothing is ever encrypted to an unaccepted key.
  std::vector<DeviceId> usable(UserId user, const std::optional<e2e::PublicKey>& identity,
                               Turn& turn);

  Result<void> load(const ports::Row& row);
  void store(SessionKey key, ports::Batch& batch) const;
  void store_all(ports::Batch& batch) const;

 private:
  std::map<SessionKey, e2e::Session> sessions_;
};

}  // namespace godwit::client
