#include "client/courier.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "crypto/hash.h"

namespace godwit::client {
namespace {

// What a ciphertext adds to its plaintext, at most: MAC, headers, a first message's wrapping, the
// seal with its certificate, and the parcel around it.
constexpr std::size_t kParcelOverhead = 2560;

// What `item` takes in a batch for `devices` devices, about.
std::size_t cost_of(const Item& item, std::size_t devices) {
  return (item.octets() + kPadding + kParcelOverhead) * devices;
}

// Several members of a group may ask about one envelope.
MessageId id_of_request(EnvelopeId about, UserId asker) {
  const auto digest = crypto::sha256({view_of("godwit request"), about.view(), asker.view()});
  return MessageId{*to_array<16>(ByteView(digest).first(16))};
}

bool permanent(Code code) {
  return code == Code::kInvalid || code == Code::kNotFound || code == Code::kForbidden ||
         code == Code::kTooLarge || code == Code::kUnsupported;
}

// The key of the device that can take a seal off: the last one that was seen, which only a request
// to repeat something goes to before its owner accepts it.
std::optional<e2e::PublicKey> sealing_key(const ContactRow& contact) {
  if (!Contacts::held(contact)) return Contacts::pinned(contact);
  const auto key = e2e::PublicKey::parse(contact.contact.new_identity_key);
  return key ? std::optional(*key) : std::nullopt;
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
  for (const UserId user : parts_.healing.users()) wake(user);
}

bool Courier::has_work(UserId user) const {
  return parts_.outbox.urgent(user) || !parts_.healing.requests(user).empty() ||
         parts_.sent.has_due(user);
}

void Courier::pump(Turn& turn) {
  if (!parts_.connection.attached()) return;
  if (!hints_.empty()) send_hints(turn);
  while (!ready_.empty() && in_flight_ < limits::kSubmitsInFlight) {
    const UserId user = ready_.front();
    ready_.pop_front();
    Lane& lane = lanes_[user];
    lane.ready = false;
    if (lane.asked || lane.postponed) continue;  // meet() was quicker
    if (!has_work(user)) {
      lanes_.erase(user);
      continue;
    }
    serve(user, lane, turn);
  }
}

void Courier::serve(UserId user, Lane& lane, Turn& turn) {
  ContactRow* contact = parts_.contacts.find(user);
  const Way how = way(contact, turn);
  if (how == Way::kLater) return;
  lane.sealed = how == Way::kSealed;
  lane.courtesy = false;
  if (!parts_.healing.requests(user).empty()) return request_retries(user, lane, turn);
  CHECK(contact);
  if (Contacts::held(*contact)) return;  // set_verified() wakes it
  lane.devices = devices_of(*contact, turn);
  if (lane.devices.empty() || !lane.fetch.empty()) return fetch(user, lane, turn);
  lane.identity = contact->contact.identity_key;
  proto::Submit batch{.to = user};
  parts_.sent.keep_only(user, lane.identity, turn);
  lane.repeats = parts_.sent.due(user);
  lane.cargo = lane.repeats.empty() ? Cargo::kQueue : Cargo::kRepeats;
  if (lane.cargo == Cargo::kQueue && !parts_.outbox.urgent(user)) return;
  const bool loaded = lane.cargo == Cargo::kRepeats ? load_repeats(*contact, lane, batch, turn)
                                                    : load_queue(*contact, lane, batch, turn);
  if (!loaded) return fetch(user, lane, turn);
  if (!batch.messages.empty()) submit(user, lane, batch, turn);
}

// What keeps a batch back wakes everybody when it is over.
Courier::Way Courier::way(const ContactRow* contact, Turn& turn) {
  if (!contact || contact->profile_key.empty() || !sealing_key(*contact)) return Way::kNamed;
  if (parts_.sealing.asking()) return Way::kLater;
  if (!parts_.sealing.ready(turn.env.now)) return Way::kNamed;
  if (parts_.nameless.open()) return Way::kSealed;
  parts_.nameless.want(true);
  return Way::kLater;
}

// The devices to encrypt for.
std::vector<proto::DeviceState> Courier::devices_of(const ContactRow& contact, Turn& turn) {
  const UserId user = contact.contact.user;
  std::vector<proto::DeviceState> out;
  for (const DeviceId device : parts_.sessions.usable(user, Contacts::pinned(contact), turn)) {
    if (out.size() == limits::kMaxDevices) break;
    const e2e::Session& session = *parts_.sessions.find({user, device});
    out.push_back({device, session.remote_registration_id().value_or(0)});
  }
  return out;
}

// False: a session has run out.
bool Courier::load_queue(ContactRow& contact, Lane& lane, proto::Submit& batch, Turn& turn) {
  const Outbox::Queue& queue = parts_.outbox.queue(contact.contact.user);
  std::size_t octets = 0;
  lane.courtesy = true;
  while (batch.messages.size() < std::min(lane.batch, queue.size())) {
    const Item& item = queue[batch.messages.size()];
    octets += cost_of(item, lane.devices.size());
    if (!batch.messages.empty() && octets > limits::kMaxBatchBytes) break;
    const std::uint64_t number = contact.accepted + 1 + batch.messages.size();
    const Content content = content_of(item, lane.identity, parts_.registration.stream(), number);
    auto sealed = seal(content, 0, contact, lane.devices, lane.sealed, lane.fetch, turn);
    if (!sealed) return false;
    batch.messages.push_back(std::move(*sealed));
    lane.courtesy = lane.courtesy && item.receipt && !item.group.is_nil();
  }
  batch.courtesy = lane.courtesy;
  lane.submitted = batch.messages.size();
  return true;
}

// The same contents again, under the same numbers.
bool Courier::load_repeats(ContactRow& contact, Lane& lane, proto::Submit& batch, Turn& turn) {
  std::size_t octets = 0;
  for (const std::uint64_t order : lane.repeats) {
    const Sent& sent = parts_.sent.at(order);
    octets += cost_of(sent.item, lane.devices.size());
    const bool full = batch.messages.size() >= lane.batch || octets > limits::kMaxBatchBytes;
    if (!batch.messages.empty() && full) break;
    const Content content = content_of(sent.item, lane.identity, sent.stream, sent.number);
    auto sealed = seal(content, sent.repeats, contact, lane.devices, lane.sealed, lane.fetch, turn);
    if (!sealed) return false;
    batch.messages.push_back(std::move(*sealed));
  }
  lane.repeats.resize(batch.messages.size());
  lane.submitted = batch.messages.size();
  return true;
}

// Needs no session, and no contact: whoever it was is asked to repeat it. The server tells which
// devices there are when this one does not know.
void Courier::request_retries(UserId user, Lane& lane, Turn& turn) {
  lane.cargo = Cargo::kRequests;
  lane.devices = lane.present;
  if (ContactRow* contact = parts_.contacts.find(user); contact && lane.devices.empty()) {
    lane.devices = devices_of(*contact, turn);
  }
  if (lane.devices.empty()) lane.devices = {{parts_.healing.requests(user).front().device, 0}};
  proto::Submit batch{.to = user};
  const UserId own = parts_.registration.profile().user;
  for (const RetryRequest& request : parts_.healing.requests(user)) {
    if (batch.messages.size() == lane.batch) break;
    proto::Outgoing& outgoing = batch.messages.emplace_back();
    const MessageId id = id_of_request(request.about, own);
    for (const proto::DeviceState& to : lane.devices) {
      proto::Parcel& parcel = outgoing.parcels.emplace_back();
      parcel = {.id = envelope_id(id, to, 0),
                .device = to.device,
                .registration_id = to.registration_id,
                .type = proto::CiphertextType::kPlain,
                .ciphertext = request.body};
      if (lane.sealed) hide(parcel, *parts_.contacts.find(user), turn);
    }
  }
  lane.submitted = batch.messages.size();
  submit(user, lane, batch, turn);
}

void Courier::submit(UserId user, Lane& lane, proto::Submit batch, Turn& turn) {
  lane.asked = true;
  ++in_flight_;
  if (lane.sealed) batch.access = Sealing::access_key(parts_.contacts.find(user)->profile_key);
  Connection& line = lane.sealed ? parts_.nameless : parts_.connection;
  line.ask({.kind = proto::Kind::kSubmit, .user = user}, encode(batch), turn);
}

// Puts a seal around a parcel, and the sender's name inside.
void Courier::hide(proto::Parcel& parcel, const ContactRow& to, Turn& turn) {
  const auto key = sealing_key(to);
  auto sealed =
      parts_.sealing.seal(parcel.type, std::move(parcel.ciphertext), *key, turn.env.entropy);
  // A key of small order, which no session could have been started with: it goes nowhere.
  parcel.ciphertext = sealed ? std::move(*sealed) : Bytes{};
  parcel.type = proto::CiphertextType::kSealed;
}

// What is not meant for this identity is left out: the number is used up all the same.
Content Courier::content_of(const Item& item, ByteView identity, std::uint32_t stream,
                            std::uint64_t number) const {
  const bool meant = item.for_identity.empty() || same(item.for_identity, identity);
  // Who was only told that a message arrived is still a stranger.
  Bytes key = item.receipt || !meant ? Bytes{} : parts_.sealing.profile_key();
  return {.id = item.id,
          .composed = item.composed,
          .sender_phone = parts_.registration.profile().phone,
          .stream = stream,
          .number = number,
          .group = item.group,
          .text = item.text,
          .receipt = item.receipt,
          .act = item.act,
          .group_key = meant ? item.group_key : std::nullopt,
          .repeat = meant ? item.repeat : std::nullopt,
          .profile_key = std::move(key)};
}

// Encrypts for each device. An error: a session has run out; `run_out` says which.
Result<proto::Outgoing> Courier::seal(const Content& content, std::uint32_t repeat,
                                      const ContactRow& contact,
                                      std::span<const proto::DeviceState> devices,
                                      bool sealed_sender, std::set<DeviceId>& run_out, Turn& turn) {
  const Bytes plaintext = seal_content(content);
  proto::Outgoing outgoing;
  for (const proto::DeviceState& to : devices) {
    const SessionKey key{contact.contact.user, to.device};
    e2e::Session& session = *parts_.sessions.find(key);
    turn.sessions.insert(key);
    auto sealed = e2e::encrypt(session, parts_.keyring.identity(), plaintext, turn.env);
    if (!sealed) {
      session.archive_current();
      run_out.insert(to.device);
      return fail(sealed.error());
    }
    outgoing.parcels.push_back({.id = envelope_id(content.id, to, repeat),
                                .device = to.device,
                                .registration_id = to.registration_id,
                                .type = static_cast<proto::CiphertextType>(sealed->type),
                                .ciphertext = std::move(sealed->message)});
    if (sealed_sender) hide(outgoing.parcels.back(), contact, turn);
  }
  return outgoing;
}

void Courier::meet(UserId user, Turn& turn) {
  const ContactRow* contact = parts_.contacts.find(user);
  if (!contact || !parts_.connection.attached() || in_flight_ >= limits::kSubmitsInFlight) return;
  Lane& lane = lanes_[user];
  if (!lane.asked && !lane.postponed) fetch(user, lane, turn);
}

bool Courier::carries_key(UserId user, GroupId group) const {
  const auto lane = lanes_.find(user);
  if (lane != lanes_.end() && lane->second.postponed) return false;
  const ContactRow* contact = parts_.contacts.find(user);
  if (contact && Contacts::held(*contact)) return false;
  return parts_.outbox.carries_key(user, group);
}

void Courier::hint(const Content& content, ContactRow& contact, Turn& turn) {
  if (!parts_.connection.attached() || Contacts::held(contact)) return;
  const Way how = way(&contact, turn);
  if (how == Way::kLater) {
    if (hints_.size() < limits::kTypingMembers) hints_[contact.contact.user] = content;
    return;
  }
  const bool nameless = how == Way::kSealed;
  const auto devices = devices_of(contact, turn);
  std::set<DeviceId> run_out;
  auto sealed = seal(content, 0, contact, devices, nameless, run_out, turn);
  if (!sealed || devices.empty()) return;
  proto::Hint hint{contact.contact.user, std::move(*sealed)};
  if (nameless) hint.access = Sealing::access_key(contact.profile_key);
  (nameless ? parts_.nameless : parts_.connection).tell(proto::Kind::kHint, encode(hint), turn);
}

// Who types says so again every few seconds: by then this one is old.
void Courier::send_hints(Turn& turn) {
  for (auto& [user, content] : std::exchange(hints_, {})) {
    ContactRow* contact = parts_.contacts.find(user);
    const bool old = content.composed + limits::kTypingRepeats <= turn.env.now;
    if (contact && !old) hint(content, *contact, turn);
  }
}

void Courier::fetch(UserId user, Lane& lane, Turn& turn) {
  lane.asked = true;
  lane.sealed = false;
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
  switch (lane.cargo) {
    case Cargo::kQueue: {
      const Sent how{.stream = parts_.registration.stream(),
                     .devices = lane.devices,
                     .identity = lane.identity,
                     .accepted = turn.env.now};
      parts_.outbox.accept(user, lane.submitted, how, turn);
      break;
    }
    case Cargo::kRepeats:
      for (const std::uint64_t order : lane.repeats) {
        parts_.sent.on_repeated(order, lane.devices, turn);
      }
      break;
    case Cargo::kRequests: parts_.healing.on_requested(user, lane.submitted, turn); break;
  }
  --in_flight_;
  lane = Lane{};
  wake(user);
}

void Courier::on_refused(const Request& request, const proto::ErrorBody& error, Turn& turn) {
  Lane& lane = lanes_[request.user];
  lane.asked = false;
  --in_flight_;
  const bool sealed = std::exchange(lane.sealed, false);
  // kUnauthenticated: an older server, which takes nothing without a name.
  const bool unwanted = error.code == Code::kForbidden || error.code == Code::kUnauthenticated;
  if (sealed && unwanted) return on_stranger(request.user, turn);
  const bool submitted = request.kind == proto::Kind::kSubmit;
  if (error.code == Code::kFull && submitted && lane.courtesy) {
    parts_.outbox.put_off(request.user, std::exchange(lane.submitted, 0), turn);
    wake(request.user);
  } else if (error.code == Code::kConflict && submitted) {
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
  lane.present = error.devices;
  std::map<DeviceId, std::uint32_t> present;
  for (const proto::DeviceState& state : error.devices) {
    present[state.device] = state.registration_id;
  }
  const ContactRow* contact = parts_.contacts.find(user);
  if (!contact) present.clear();  // and no sessions
  for (const auto& [device, registration_id] :
       contact ? devices_of(*contact, turn) : std::vector<proto::DeviceState>{}) {
    const auto state = present.find(device);
    if (state == present.end() || registration_id != state->second) {
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
    parts_.sent.forget(user, turn);
    parts_.healing.on_requested(user, parts_.healing.requests(user).size(), turn);
    parts_.outbox.reject(user, parts_.outbox.queue(user).size(),
                         "this person has no account on this server any more", turn);
  } else if (lane.submitted > 1) {
    lane.batch = lane.submitted / 2;
  } else if (lane.submitted == 1 && lane.cargo == Cargo::kRequests) {
    parts_.healing.on_requested(user, 1, turn);
  } else if (lane.submitted == 1 && lane.cargo == Cargo::kRepeats) {
    parts_.sent.forget(lane.repeats.front(), turn);
  } else if (lane.submitted == 1) {
    parts_.outbox.reject(user, 1, "the server refused it: " + error.text.substr(0, 200), turn);
  } else {
    return postpone(user, lane, error.retry_after, turn);
  }
  lane.submitted = 0;
  wake(user);
}

// They have another profile key by now: they hear from us with our name, and give it to us again.
void Courier::on_stranger(UserId user, Turn& turn) {
  if (ContactRow* contact = parts_.contacts.find(user)) {
    contact->profile_key.clear();
    turn.contacts.insert(user);
  }
  wake(user);
}

void Courier::on_nameless_lost() {
  for (auto& [user, lane] : lanes_) {
    if (!lane.asked || !std::exchange(lane.sealed, false)) continue;
    lane.asked = false;
    --in_flight_;
    wake(user);
  }
}

void Courier::postpone(UserId user, Lane& lane, Duration at_least, Turn& turn) {
  const Duration wait = std::max(clamped(at_least), lane.backoff.next(turn.env.entropy));
  lane.postponed = true;
  postponed_.insert({turn.env.now + wait, user});
}

void Courier::on_disconnected() {
  lanes_.clear();
  ready_.clear();
  hints_.clear();
  postponed_.clear();
  in_flight_ = 0;
}

void Courier::on_tick(Turn& turn) {
  while (!postponed_.empty() && postponed_.begin()->first <= turn.env.now) {
    const UserId user = postponed_.begin()->second;
    postponed_.erase(postponed_.begin());
    lanes_[user].postponed = false;
    ++resubmissions_;
    wake(user);
  }
  for (const UserId user : parts_.outbox.take_gathered(turn.env.now)) wake(user);
}

void Courier::on_clock_set_back() {
  std::set<std::pair<Instant, UserId>> due;
  for (const auto& [at, user] : postponed_) due.insert({Instant{}, user});
  postponed_ = std::move(due);
  parts_.outbox.on_clock_set_back();
}

Instant Courier::deadline() const {
  const Instant postponed = postponed_.empty() ? kNever : postponed_.begin()->first;
  return std::min(postponed, parts_.outbox.deadline());
}

}  // namespace godwit::client
