#include "client/courier.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "crypto/hash.h"

namespace godwit::client {
namespace {

// What a ciphertext adds to its plaintext, at most: MAC, headers, a first message's wrapping, and
// the parcel around it.
constexpr std::size_t kParcelOverhead = 2048;

// The same on every retry, another for every incarnation of a device: the server drops
// repetitions by it. Tells nothing: item ids are random and travel encrypted.
EnvelopeId envelope_id(MessageId id, DeviceId device, std::uint32_t registration_id) {
  Bytes which{device.value};
  put_be32(which, registration_id);
  const auto digest = crypto::sha256({view_of("godwit envelope"), id.view(), ByteView(which)});
  return EnvelopeId{*to_array<16>(ByteView(digest).first(16))};
}

bool permanent(Code code) {
  return code == Code::kInvalid || code == Code::kNotFound || code == Code::kForbidden ||
         code == Code::kTooLarge || code == Code::kUnsupported;
}

Result<e2e::PrekeyBundle> parse_bundle(const proto::Bundle& in) {
  const auto identity = e2e::PublicKey::parse(in.identity_key);
  const auto signed_key = e2e::PublicKey::parse(in.signed_prekey.key);
  const auto signature = to_array<64>(in.signed_prekey.signature);
  if (!identity || !signed_key || !signature || in.device.value == 0 || in.registration_id == 0 ||
      in.registration_id > 16380) {
    return fail(Code::kCorrupt, "a prekey bundle is malformed");
  }
  e2e::PrekeyBundle bundle{.registration_id = static_cast<std::uint16_t>(in.registration_id),
                           .device_id = in.device,
                           .identity_key = *identity,
                           .signed_prekey_id = {in.signed_prekey.id},
                           .signed_prekey = *signed_key,
                           .signed_prekey_signature = *signature};
  if (in.one_time_prekey) {
    const auto key = e2e::PublicKey::parse(in.one_time_prekey->key);
    if (!key) return fail(key.error());
    bundle.one_time_prekey = {{in.one_time_prekey->id}, *key};
  }
  const auto kem_key = e2e::KemPublicKey::parse(in.kem_prekey.key);
  const auto kem_signature = to_array<64>(in.kem_prekey.signature);
  if (!kem_key || !kem_signature) return fail(Code::kCorrupt, "a prekey bundle is malformed");
  bundle.kyber_prekey = {{in.kem_prekey.id}, *kem_key, *kem_signature};
  return bundle;
}

}  // namespace

void Courier::wake(UserId user) {
  Lane& lane = lanes_[user];
  if (lane.asked || lane.postponed || std::exchange(lane.ready, true)) return;
  ready_.push_back(user);
}

void Courier::wake_all() {
  for (const UserId user : parts_.outbox.users()) wake(user);
}

void Courier::pump(Turn& turn) {
  if (!parts_.connection.attached()) return;
  while (!ready_.empty() && in_flight_ < limits::kSubmitsInFlight) {
    const UserId user = ready_.front();
    ready_.pop_front();
    if (parts_.outbox.queue(user).empty()) {
      lanes_.erase(user);
      continue;
    }
    Lane& lane = lanes_[user];
    lane.ready = false;
    serve(user, lane, turn);
  }
}

void Courier::serve(UserId user, Lane& lane, Turn& turn) {
  ContactRow* contact = parts_.contacts.find(user);
  CHECK(contact);
  if (Contacts::held(*contact)) return;  // set_verified() wakes it
  const auto devices = parts_.sessions.usable(user, Contacts::pinned(*contact), turn);
  if (devices.empty() || !lane.fetch.empty()) return fetch(user, lane, turn);
  const std::span<const DeviceId> addressed(devices.data(),
                                            std::min(devices.size(), limits::kMaxDevices));
  const Outbox::Queue& queue = parts_.outbox.queue(user);
  proto::Submit submit{.to = user};
  std::size_t octets = 0;
  while (submit.messages.size() < std::min(lane.batch, queue.size())) {
    const Item& item = queue[submit.messages.size()];
    const std::size_t body = item.text ? item.text->body.size() : 20 * item.receipt->ids.size();
    const std::size_t cost = (body + kPadding + kParcelOverhead) * addressed.size();
    if (!submit.messages.empty() && octets + cost > limits::kMaxBatchBytes) break;
    octets += cost;
    const std::uint64_t number = contact->accepted + 1 + submit.messages.size();
    auto sealed = seal(content_of(item, number), *contact, addressed, lane.fetch, turn);
    if (!sealed) return fetch(user, lane, turn);
    submit.messages.push_back(std::move(*sealed));
  }
  lane.submitted = submit.messages.size();
  lane.asked = true;
  ++in_flight_;
  parts_.connection.ask({.kind = proto::Kind::kSubmit, .user = user}, encode(submit), turn);
}

Content Courier::content_of(const Item& item, std::uint64_t number) const {
  return {.id = item.id,
          .composed = item.composed,
          .sender_phone = parts_.registration.profile().phone,
          .stream = parts_.registration.stream(),
          .number = number,
          .text = item.text,
          .receipt = item.receipt};
}

// Encrypts for each device. An error: a session has run out; `run_out` says which.
Result<proto::Outgoing> Courier::seal(const Content& content, const ContactRow& contact,
                                      std::span<const DeviceId> devices,
                                      std::set<DeviceId>& run_out, Turn& turn) {
  const Bytes plaintext = seal_content(content);
  proto::Outgoing outgoing;
  for (const DeviceId device : devices) {
    const SessionKey key{contact.contact.user, device};
    e2e::Session& session = *parts_.sessions.find(key);
    turn.sessions.insert(key);
    auto sealed = e2e::encrypt(session, parts_.keyring.identity(), plaintext, turn.env);
    if (!sealed) {
      session.archive_current();
      run_out.insert(device);
      return fail(sealed.error());
    }
    const std::uint32_t registration_id = session.remote_registration_id().value_or(0);
    outgoing.parcels.push_back({.id = envelope_id(content.id, device, registration_id),
                                .device = device,
                                .registration_id = registration_id,
                                .type = static_cast<proto::CiphertextType>(sealed->type),
                                .ciphertext = std::move(sealed->message)});
  }
  return outgoing;
}

void Courier::hint(const Content& content, ContactRow& contact, Turn& turn) {
  if (!parts_.connection.attached() || Contacts::held(contact)) return;
  const UserId user = contact.contact.user;
  const auto devices = parts_.sessions.usable(user, Contacts::pinned(contact), turn);
  std::set<DeviceId> run_out;
  auto sealed = seal(content, contact, devices, run_out, turn);
  if (!sealed || devices.empty()) return;
  parts_.connection.tell(proto::Kind::kHint, encode(proto::Hint{user, std::move(*sealed)}), turn);
}

void Courier::fetch(UserId user, Lane& lane, Turn& turn) {
  lane.asked = true;
  ++in_flight_;
  proto::FetchBundles request{.user = user};
  request.devices.assign(lane.fetch.begin(), lane.fetch.end());
  if (request.devices.size() > limits::kMaxDevices) request.devices.clear();  // all
  lane.targeted = !request.devices.empty();
  lane.fetch.clear();
  lane.submitted = 0;
  parts_.connection.ask({.kind = proto::Kind::kFetchBundles, .user = user}, encode(request), turn);
}

void Courier::on_bundles(UserId user, const proto::Bundles& bundles, Turn& turn) {
  Lane& lane = lanes_[user];
  ContactRow* contact = parts_.contacts.find(user);
  CHECK(contact);
  lane.asked = false;
  --in_flight_;
  bool started = false;
  for (const proto::Bundle& bundle : bundles.devices) {
    started = start_session(*contact, bundle, turn) || started;
  }
  if (started || Contacts::held(*contact)) {
    wake(user);
  } else {
    postpone(user, lane, {}, turn);
  }
}

// False: the bundle is of no use.
bool Courier::start_session(ContactRow& contact, const proto::Bundle& in, Turn& turn) {
  const auto bundle = parse_bundle(in);
  if (!bundle || !bundle->verify()) return false;
  // A verified person's new key is held; anybody else's replaces the old one, with a notice.
  parts_.contacts.learn_identity(contact, bundle->identity_key, turn);
  const auto pinned = Contacts::pinned(contact);
  if (pinned != bundle->identity_key) return false;

  const SessionKey key{contact.contact.user, in.device};
  const e2e::Session* known = parts_.sessions.find(key);
  const Profile& profile = parts_.registration.profile();
  e2e::Session session =
      known ? known->clone() : e2e::Session({profile.user, profile.device}, {key.user, key.device});
  const auto& own = parts_.keyring.identity();
  if (!e2e::start_session(session, own, *bundle, &*pinned, turn.env)) return false;
  parts_.sessions.keep(key, std::move(session), turn);
  return true;
}

void Courier::on_accepted(UserId user, Turn& turn) {
  Lane& lane = lanes_[user];
  parts_.outbox.accept(user, lane.submitted, turn);
  --in_flight_;
  lane = Lane{};
  wake(user);
}

void Courier::on_refused(const Request& request, const proto::ErrorBody& error, Turn& turn) {
  Lane& lane = lanes_[request.user];
  lane.asked = false;
  --in_flight_;
  if (error.code == Code::kConflict && request.kind == proto::Kind::kSubmit) {
    on_conflict(request.user, lane, error, turn);
  } else if (error.code == Code::kNotFound && std::exchange(lane.targeted, false)) {
    wake(request.user);  // those devices are gone; there may be others
  } else if (permanent(error.code)) {
    on_permanent(request.user, lane, error, turn);
  } else {
    postpone(request.user, lane, error.retry_after, turn);
  }
}

// The parcels did not match the person's devices: learn which ones there are, and try again.
void Courier::on_conflict(UserId user, Lane& lane, const proto::ErrorBody& error, Turn& turn) {
  const ContactRow* contact = parts_.contacts.find(user);
  CHECK(contact);
  std::map<DeviceId, std::uint32_t> present;
  for (const proto::DeviceState& state : error.devices) {
    present[state.device] = state.registration_id;
  }
  for (const DeviceId device : parts_.sessions.usable(user, Contacts::pinned(*contact), turn)) {
    const auto state = present.find(device);
    const e2e::Session& session = *parts_.sessions.find({user, device});
    if (state == present.end() || session.remote_registration_id() != state->second) {
      parts_.sessions.archive({user, device}, turn);
    } else {
      present.erase(state);
    }
  }
  for (const auto& [device, registration_id] : present) lane.fetch.insert(device);
  // A server that never agrees must not make us spin.
  if (error.devices.empty() || ++lane.conflicts > 2) {
    postpone(user, lane, error.retry_after, turn);
  } else {
    wake(user);
  }
}

// Repeating cannot help. A batch is halved until the one item is found that the server objects to.
void Courier::on_permanent(UserId user, Lane& lane, const proto::ErrorBody& error, Turn& turn) {
  if (error.code == Code::kNotFound) {
    parts_.outbox.reject(user, parts_.outbox.queue(user).size(), error.code,
                         "this person has no account on this server any more", turn);
  } else if (lane.submitted > 1) {
    lane.batch = lane.submitted / 2;
  } else if (lane.submitted == 1) {
    parts_.outbox.reject(user, 1, error.code, "the server refused it: " + error.text.substr(0, 200),
                         turn);
  } else {
    return postpone(user, lane, error.retry_after, turn);
  }
  lane.submitted = 0;
  wake(user);
}

void Courier::postpone(UserId user, Lane& lane, Duration at_least, Turn& turn) {
  const Duration wait = std::max(clamped(at_least), lane.backoff.next(turn.env.entropy));
  lane.postponed = true;
  postponed_.insert({turn.env.now + wait, user});
}

void Courier::on_disconnected() {
  lanes_.clear();
  ready_.clear();
  postponed_.clear();
  in_flight_ = 0;
}

void Courier::on_tick(Turn& turn) {
  while (!postponed_.empty() && postponed_.begin()->first <= turn.env.now) {
    const UserId user = postponed_.begin()->second;
    postponed_.erase(postponed_.begin());
    lanes_[user].postponed = false;
    wake(user);
  }
}

void Courier::on_clock_set_back() {
  std::set<std::pair<Instant, UserId>> due;
  for (const auto& [at, user] : postponed_) due.insert({Instant{}, user});
  postponed_ = std::move(due);
}

Instant Courier::deadline() const {
  return postponed_.empty() ? kNever : postponed_.begin()->first;
}

}  // namespace godwit::client
