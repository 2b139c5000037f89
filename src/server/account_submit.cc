// What others submit to an account: from connections that name somebody, and from those that do
// not.
#include <algorithm>

#include "crypto/hash.h"
#include "server/account.h"

namespace godwit::server {
namespace {

constexpr Error kMalformed{Code::kInvalid, "the request is malformed: update the client"};
constexpr Error kStranger{Code::kForbidden,
                          "this account takes nothing without a name from you: say who you are"};

// What a parcel becomes on the server. Takes its ciphertext.
proto::Envelope wrap(proto::Parcel& parcel, const Message& message, Instant now) {
  return {.id = parcel.id,
          .from = message.from,
          .from_device = message.from_device,
          .type = parcel.type,
          .ciphertext = std::move(parcel.ciphertext),
          .accepted = now};
}

std::size_t size_of(const proto::Parcel& parcel) { return parcel.ciphertext.size() + 64; }

// What is stored of an access key: a stolen store opens nobody's mailbox.
ByteArray<32> digest_of(const proto::AccessKey& access) { return crypto::sha256(access); }

}  // namespace

// Its device says what opens the account, and gets its certificate.
void Account::certify(const Message& message, Env& env, Effects& out) {
  Device* device = owned(message);
  if (device == nullptr) return out.push_back(refuse(message, kNotYours));
  const auto request = decode<proto::Certify>(message.body);
  if (!request || request->access == proto::AccessKey{}) {
    return out.push_back(refuse(message, kMalformed));
  }
  if (certifier_ == nullptr) {
    return out.push_back(refuse(
        message, {Code::kUnsupported, "this server gives no certificates until it is restarted"}));
  }
  // Signing costs more than asking, so what was signed a moment ago is given again.
  auto& given = device->certificate;
  if (!given || given->expires < env.now + limits::kCertificateReuse) {
    auto fresh =
        certifier_->certify({user_}, message.from_device, device->record.identity_key, env);
    if (!fresh) return out.push_back(refuse(message, fresh.error()));
    given = std::move(*fresh);
    ++counters_.certificates;
  }
  if (const auto digest = digest_of(request->access); access_ != digest) {
    access_ = digest;
    admitted_ = {};
    ports::Batch commit = batch();
    commit.put(ports::Space::kAccount, {kAccessRow}, to_bytes(digest));
    out.push_back(Commit{std::move(commit)});
  }
  out.push_back(
      answer(message, proto::Certified{given->wire, to_bytes(certifier_->trust_root().wire())}));
}

// May somebody who shows `access`, and no name, submit this?
bool Account::admits(const proto::AccessKey& access, std::span<const proto::Outgoing> messages) {
  if (access == proto::AccessKey{} || access_ == AccessDigest{}) return false;
  if (!crypto::equal(access, admitted_)) {
    if (!crypto::equal(digest_of(access), access_)) return false;
    admitted_ = access;
  }
  return std::ranges::all_of(messages, [](const proto::Outgoing& outgoing) {
    return std::ranges::all_of(outgoing.parcels, [](const proto::Parcel& parcel) {
      return parcel.type == proto::CiphertextType::kSealed;
    });
  });
}

// One parcel for each device of this user, made for its present registration. A sender that
// writes to itself leaves out the device that it writes from.
bool Account::matches_devices(const proto::Outgoing& outgoing, const Message& message) const {
  const bool to_self = message.from == UserId{user_};
  const std::size_t expected = devices_.size() - (to_self ? 1 : 0);
  if (outgoing.parcels.size() != expected) return false;
  DeviceId previous{};
  for (const proto::Parcel& parcel : outgoing.parcels) {
    const auto it = devices_.find(parcel.device);
    if (it == devices_.end() || parcel.device <= previous) return false;
    if (it->second.record.registration_id != parcel.registration_id) return false;
    if (to_self && parcel.device == message.from_device) return false;
    previous = parcel.device;
  }
  return true;
}

bool Account::has_room(const proto::Submit& submit) const {
  std::map<DeviceId, std::size_t> bytes;
  for (const proto::Outgoing& outgoing : submit.messages) {
    for (const proto::Parcel& parcel : outgoing.parcels) bytes[parcel.device] += size_of(parcel);
  }
  return std::ranges::all_of(bytes, [&](const auto& entry) {
    return devices_.at(entry.first)
        .mailbox.has_room(submit.messages.size(), entry.second, submit.courtesy);
  });
}

void Account::refuse_stale(const Message& message, Effects& out) const {
  proto::ErrorBody body{Code::kConflict, "the recipient's devices have changed", {}, {}};
  for (const auto& [id, device] : devices_) {
    body.devices.push_back({id, device.record.registration_id});
  }
  out.push_back(reply_to(message, proto::make_frame(proto::Kind::kError, message.request, body)));
}

void Account::submit(const Message& message, Env& env, Effects& out) {
  auto request = decode<proto::Submit>(message.body);
  if (!request || request->messages.empty()) return out.push_back(refuse(message, kMalformed));
  if (message.from.is_nil() && !admits(request->access, request->messages)) {
    return out.push_back(refuse(message, kStranger));
  }
  if (devices_.empty()) return out.push_back(refuse(message, kNoDevice));
  for (const proto::Outgoing& outgoing : request->messages) {
    if (!matches_devices(outgoing, message)) return refuse_stale(message, out);
  }
  if (!has_room(*request)) {
    ++counters_.refused_full;
    static constexpr Error kFull{Code::kFull, "the recipient's mailbox is full: it is retried"};
    return out.push_back(refuse(message, kFull, minutes(1)));
  }
  ports::Batch commit = batch();
  std::map<DeviceId, std::vector<proto::Delivery>> pushes;
  bool repeated = false;
  for (proto::Outgoing& outgoing : request->messages) {
    for (proto::Parcel& parcel : outgoing.parcels) {
      const proto::Envelope envelope = wrap(parcel, message, env.now);
      Mailbox& mailbox = devices_.at(parcel.device).mailbox;
      if (mailbox.enqueue(envelope, sequences_, commit, pushes[parcel.device])) {
        ++counters_.accepted;
        if (message.from.is_nil()) ++counters_.sealed;
      } else {
        repeated = true;
        ++counters_.repeated;
      }
    }
  }
  // What is repeated may be held: its answer, too, waits until it is stored.
  const bool holds = held_.used() && !repeated && !commit.empty() &&
                     std::ranges::all_of(pushes, [&](const auto& entry) {
                       return devices_.at(entry.first).mailbox.keeps_up();
                     });
  if (!holds) store_held(out);
  for (auto& [id, deliveries] : pushes) {
    Device& device = devices_.at(id);
    if (holds) device.mailbox.hold(deliveries.front().sequence);
    else if (!commit.empty()) store_stock(id, device, commit);
    push(device, std::move(deliveries), out);
  }
  if (holds) return hold(message, std::move(commit), env, out);
  if (!commit.empty()) out.push_back(Commit{std::move(commit)});
  out.push_back(reply_to(message, proto::ok_frame(message.request)));
  read_next(out);
}

void Account::hint(const Message& message, Env& env, Effects& out) {
  auto request = decode<proto::Hint>(message.body);
  if (!request || !matches_devices(request->message, message)) return;
  if (message.from.is_nil() && !admits(request->access, {&request->message, 1})) return;
  for (proto::Parcel& parcel : request->message.parcels) {
    Device& device = devices_.at(parcel.device);
    if (!device.mailbox.attachment() || parcel.ciphertext.size() > limits::kMaxHint) continue;
    const proto::Envelope envelope = wrap(parcel, message, env.now);
    push_frame(device, proto::make_frame(proto::Kind::kHinted, 0, envelope), out);
  }
}

}  // namespace godwit::server
