#include "sim/net.h"

#include <utility>

namespace godwit::sim {

ConnectionId Net::connect(DeviceIndex from, Client& client, bool nameless) {
  const ConnectionId id = next_++;
  Connection& connection = connections_[id];
  connection.device = from;
  connection.client = &client;
  const Duration round_trip = latency() + latency();
  timeline_.in(round_trip, [this, id, nameless] {
    const auto at = connections_.find(id);
    if (at == connections_.end()) return;
    const bool cut = cut_[at->second.device] > timeline_.now();
    const bool refused =
        at->second.broken || !server_->listening() || offline_.contains(at->second.device);
    if (cut || refused || at->second.client == nullptr) {
      timeline_.in(cut ? seconds(5) : Duration{}, [this, id] { tell_client(id); });
      return;
    }
    at->second.server = true;
    Client* const end = at->second.client;
    server_->opened(id, at->second.device, nameless);
    if (connections_.contains(id) && at->second.client == end) end->connected(id);
  });
  return id;
}

void Net::send(ConnectionId id, Pipe& pipe, bool up, Bytes octets) {
  Duration late = latency();
  if (chance(entropy_, weather_.stalls)) late = late + between(entropy_, seconds(1), seconds(8));
  pipe.last = std::max(pipe.last, timeline_.now() + late);
  pipe.octets += octets.size();
  pipe.in_flight.push_back(std::move(octets));
  timeline_.at(pipe.last, [this, id, up] { arrive(id, up); });
}

void Net::to_server(ConnectionId id, const proto::Frame& frame) {
  const auto at = connections_.find(id);
  if (at == connections_.end() || !at->second.open()) return;
  if (chance(entropy_, weather_.resets)) return break_up(at->second, id);
  Bytes octets;
  proto::put_frame(octets, frame);
  send(id, at->second.up, true, std::move(octets));
}

void Net::to_client(ConnectionId id, const SharedBytes& octets) {
  const auto at = connections_.find(id);
  if (at == connections_.end() || !at->second.open()) return;
  if (chance(entropy_, weather_.resets)) return break_up(at->second, id);
  if (at->second.down.octets > limits::kSendQueueBytes)
    return break_up(at->second, id);  // a slow reader
  send(id, at->second.down, false, *octets);
}

void Net::close(ConnectionId id, End by) {
  const auto at = connections_.find(id);
  if (at == connections_.end()) return;
  const bool client = by == End::kClient;
  // The end that closes needs nobody to know that it has.
  timeline_.in(latency(), [this, id, client] { client ? tell_client(id) : tell_server(id); });
  if (!at->second.open()) return;
  at->second.closing = true;
  send(id, client ? at->second.up : at->second.down, client, {});
}

void Net::arrive(ConnectionId id, bool up) {
  const auto at = connections_.find(id);
  if (at == connections_.end() || at->second.broken) return;
  const Instant until = cut_[at->second.device];
  if (until > timeline_.now()) {
    timeline_.at(until, [this, id, up] { arrive(id, up); });
    return;
  }
  Pipe& pipe = up ? at->second.up : at->second.down;
  const Bytes octets = std::move(pipe.in_flight.front());
  pipe.in_flight.pop_front();
  pipe.octets -= octets.size();
  if (octets.empty()) return up ? tell_server(id) : tell_client(id);
  deliver(id, up, octets);
}

void Net::deliver(ConnectionId id, bool up, const Bytes& octets) {
  const ByteView view = octets;
  const std::size_t split =
      chance(entropy_, 60) ? static_cast<std::size_t>(entropy_.below(octets.size())) : 0;
  for (const ByteView part : {view.first(split), view.subspan(split)}) {
    const auto at = connections_.find(id);
    if (at == connections_.end() || at->second.broken) return;
    proto::FrameReader& reader = (up ? at->second.up : at->second.down).reader;
    if (!reader.feed(part)) return break_up(at->second, id);
    while (true) {
      auto frame = reader.next();
      if (!frame) return break_up(at->second, id);
      if (!*frame) break;
      if (up) {
        if (!at->second.server) return;
        server_->received(id, std::move(**frame));
      } else {
        if (at->second.client == nullptr) return;
        at->second.client->received(id, std::move(**frame));
      }
      if (!connections_.contains(id) || at->second.broken) return;
    }
  }
}

void Net::tell_client(ConnectionId id) {
  const auto at = connections_.find(id);
  if (at == connections_.end()) return;
  Client* const client = std::exchange(at->second.client, nullptr);
  if (!at->second.server) connections_.erase(at);
  if (client != nullptr) client->disconnected(id);
}

void Net::tell_server(ConnectionId id) {
  const auto at = connections_.find(id);
  if (at == connections_.end()) return;
  const bool told = std::exchange(at->second.server, false);
  if (at->second.client == nullptr) connections_.erase(at);
  if (told) server_->closed(id);
}

void Net::reset(ConnectionId id) {
  if (const auto at = connections_.find(id); at != connections_.end()) break_up(at->second, id);
}

void Net::reset_all_of(DeviceIndex device) {
  for (auto& [id, connection] : connections_) {
    if (connection.device == device) break_up(connection, id);
  }
}

void Net::set_offline(DeviceIndex device, bool offline) {
  if (!offline) {
    offline_.erase(device);
    return;
  }
  offline_.insert(device);
  reset_all_of(device);
}

void Net::client_gone(DeviceIndex device) {
  for (auto& [id, connection] : connections_) {
    if (connection.device != device) continue;
    connection.client = nullptr;
    break_up(connection, id);
  }
}

void Net::server_gone() {
  for (auto& [id, connection] : connections_) {
    connection.server = false;
    break_up(connection, id);
  }
}

// An end that never hears of it finds out by its own time-out, and closes.
void Net::break_up(Connection& connection, ConnectionId id) {
  if (connection.broken) return;
  connection.broken = true;
  connection.closing = false;  // either end may still have to find out
  connection.up = {};
  connection.down = {};
  ++resets_;
  trace_.note(timeline_.now(), "net", "reset", id);
  if (connection.client == nullptr || !chance(entropy_, weather_.silent)) {
    timeline_.in(latency(), [this, id] { tell_client(id); });
  }
  if (!connection.server || !chance(entropy_, weather_.silent)) {
    timeline_.in(latency(), [this, id] { tell_server(id); });
  }
}

bool Net::idle() const {
  for (const auto& [id, connection] : connections_) {
    if (!connection.up.in_flight.empty() || !connection.down.in_flight.empty()) return false;
  }
  return true;
}

}  // namespace godwit::sim
