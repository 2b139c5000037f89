#include "sim/tap.h"

#include <utility>

namespace godwit::sim {

namespace {

// For the trace: the connection, then three digits for the kind.
std::uint64_t number_of(ConnectionId id, const proto::Frame& frame) {
  return id * 1000 + static_cast<std::uint64_t>(frame.kind);
}

}  // namespace

void Tap::to_server(ConnectionId id, const proto::Frame& frame) {
  Checkers& checkers = life_.checkers;
  life_.note("frame", "up", number_of(id, frame), frame.body);
  ++life_.statistics.frames;
  checkers.no_plaintext.octets(frame.body, life_.verdict);
  Open& open = open_[id];
  switch (frame.kind) {
    case proto::Kind::kAck:
      if (const auto ack = decode<proto::Ack>(frame.body)) {
        checkers.sequences_increase.acknowledged(open.peer, ack->up_to);
      }
      return;
    case proto::Kind::kPing:
      if (const auto ping = decode<proto::Ping>(frame.body)) {
        checkers.sequences_increase.acknowledged(open.peer, ping->after);
      }
      break;
    case proto::Kind::kAttach:
      if (const auto attach = decode<proto::Attach>(frame.body)) {
        checkers.sequences_increase.acknowledged(open.peer, attach->after);
      }
      break;
    case proto::Kind::kRegister:
      if (const auto offer = decode<proto::Register>(frame.body)) {
        checkers.prekey_once.offered_for_good(offer->last_resort_prekey);
      }
      break;
    case proto::Kind::kUploadPrekeys:
      if (const auto offer = decode<proto::UploadPrekeys>(frame.body);
          offer && offer->last_resort_prekey) {
        checkers.prekey_once.offered_for_good(*offer->last_resort_prekey);
      }
      break;
    case proto::Kind::kSubmit:
      if (const auto submit = decode<proto::Submit>(frame.body)) {
        for (const proto::Outgoing& message : submit->messages) {
          for (const proto::Parcel& parcel : message.parcels) {
            submitted(open.peer, submit->to, parcel);
          }
        }
      }
      break;
    case proto::Kind::kSubmitGroup:
      if (const auto submit = decode<proto::SubmitGroup>(frame.body)) {
        checkers.groups.submitted(open.peer, *submit);
      }
      break;
    default: break;
  }
  if (frame.id == 0) return;
  Asked& asked = open.asked[frame.id] = {frame.kind, frame.body, {}};
  if (frame.kind != proto::Kind::kSubmit) return;
  if (const auto submit = decode<proto::Submit>(frame.body)) asked.owner = owner_of(submit->to);
}

Bytes Tap::owner_of(UserId user) const {
  constexpr std::uint8_t kGeneration = 'a';  // server/account.h
  Bytes found;
  rows_.each(
      ports::Space::kAccount, [&](ByteView partition, ByteView key, ByteView value, Instant) {
        const bool it = same(partition, user.view()) && key.size() == 1 && key[0] == kGeneration;
        if (it) found = to_bytes(value);
      });
  return found;
}

// Whoever wrote it, a checker may look under the seal: it is the recipient's friend.
void Tap::submitted(const ByteArray<32>& peer, UserId to, const proto::Parcel& parcel) {
  if (parcel.type != proto::CiphertextType::kSealed) {
    ++life_.statistics.named;
    return life_.checkers.key_used_once.submitted(peer, parcel, life_.verdict);
  }
  ++life_.statistics.sealed;
  auto inner = life_.unseal ? life_.unseal(to, parcel.ciphertext) : std::nullopt;
  if (!inner) return;
  if (inner->writer == peer) {
    life_.verdict.broken("nameless", "a sealed message came on its writer's own connection");
  }
  proto::Parcel open = parcel;
  open.type = inner->type;
  open.ciphertext = std::move(inner->ciphertext);
  life_.checkers.key_used_once.submitted(inner->writer, open, life_.verdict);
}

void Tap::to_client(ConnectionId id, const proto::Frame& frame) {
  life_.note("frame", "down", number_of(id, frame), frame.body);
  ++life_.statistics.frames;
  life_.checkers.no_plaintext.octets(frame.body, life_.verdict);
  Open& open = open_[id];
  if (frame.kind == proto::Kind::kDeliver) {
    const auto deliver = decode<proto::Deliver>(frame.body);
    if (!deliver) return life_.verdict.broken("wire", "the server sent a malformed Deliver");
    life_.statistics.deliveries += deliver->deliveries.size();
    for (const proto::Delivery& delivery : deliver->deliveries) {
      life_.checkers.sequences_increase.delivered(id, open.peer, delivery, life_.verdict);
    }
    return;
  }
  if (frame.id == 0) return;
  const auto asked = open.asked.find(frame.id);
  if (asked == open.asked.end()) {
    return life_.verdict.broken("wire", "the server answered what nobody asked");
  }
  // A bus that doubles messages makes second answers; clients drop them.
  if (std::exchange(asked->second.answered, true)) return;
  if (frame.kind == proto::Kind::kOk) answered(asked->second, frame);
}

void Tap::answered(const Asked& asked, const proto::Frame& frame) {
  if (asked.kind == proto::Kind::kFetchBundles) {
    const auto bundles = decode<proto::Bundles>(frame.body);
    if (!bundles) return life_.verdict.broken("wire", "the server sent malformed Bundles");
    for (const proto::Bundle& bundle : bundles->devices) {
      life_.checkers.prekey_once.handed_out(bundle, life_.verdict);
    }
  }
  if (asked.kind == proto::Kind::kSubmit) {
    const auto submit = decode<proto::Submit>(asked.body);
    if (!submit) return life_.verdict.broken("wire", "the server accepted a malformed Submit");
    if (owner_of(submit->to) != asked.owner) return;
    check_accepted_is_stored(*submit, rows_, life_.checkers.sequences_increase, life_.verdict);
  }
}

}  // namespace godwit::sim
