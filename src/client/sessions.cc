#include "client/sessions.h"

namespace godwit::client {

e2e::Session* Sessions::find(SessionKey key) {
  const auto found = sessions_.find(key);
  return found == sessions_.end() ? nullptr : &found->second;
}

e2e::Session& Sessions::keep(SessionKey key, e2e::Session session, Turn& turn) {
  turn.sessions.insert(key);
  return sessions_.insert_or_assign(key, std::move(session)).first->second;
}

void Sessions::archive(SessionKey key, Turn& turn) {
  if (e2e::Session* session = find(key); session && session->has_current()) {
    session->archive_current();
    turn.sessions.insert(key);
  }
}

std::vector<DeviceId> Sessions::usable(UserId user, const std::optional<e2e::PublicKey>& identity,
                                       Turn& turn) {
  std::vector<DeviceId> devices;
  for (auto at = sessions_.lower_bound({user, DeviceId{}});
       at != sessions_.end() && at->first.user == user; ++at) {
    if (!at->second.has_current()) continue;
    if (at->second.remote_identity() == identity) {
      devices.push_back(at->first.device);
    } else {
      archive(at->first, turn);
    }
  }
  return devices;
}

Result<void> Sessions::load(const ports::Row& row) {
  if (row.key.size() != 17) return fail(Code::kCorrupt, "a session has a malformed key");
  auto session = e2e::Session::parse(row.value);
  if (!session) return fail(session.error());
  const SessionKey key{UserId{*to_array<16>(ByteView(row.key).first(16))}, DeviceId{row.key[16]}};
  sessions_.insert_or_assign(key, std::move(*session));
  return {};
}

void Sessions::store(SessionKey key, ports::Batch& batch) const {
  batch.put(ports::Space::kSession, session_row_key(key), sessions_.at(key).serialize().release());
}

void Sessions::store_all(ports::Batch& batch) const {
  for (const auto& [key, session] : sessions_) store(key, batch);
}

}  // namespace godwit::client
