#include "server/account.h"

#include <algorithm>

namespace godwit::server {
namespace {

using ports::Space;

constexpr std::uint8_t kAccountRow = 'a';
constexpr std::uint8_t kDeviceRow = 'd';
constexpr std::uint8_t kStockRow = 'm';
constexpr std::uint8_t kKemStockRow = 'k';
constexpr DeviceId kPrimary{1};
constexpr std::size_t kBundleWindows = 256;
constexpr std::size_t kWaitingFetches = 64;
constexpr std::size_t kWaitingForPrekeys = 64;  // requests
constexpr std::size_t kPushBytes = 256 * 1024;  // of one Deliver frame

constexpr Error kBusy{Code::kUnavailable, "the account is overloaded: it is retried"};
constexpr Error kMalformed{Code::kInvalid, "the request is malformed: update the client"};

struct Generation {
  std::uint64_t number = 0;
  static void fields(auto& m, auto& field) { field(1, m.number); }
};

void put_record(ports::Batch& commit, DeviceId device, const DeviceRecord& record) {
  commit.put(Space::kAccount, {kDeviceRow, device.value}, encode(record));
}

void put_kem_stock(ports::Batch& commit, DeviceId device, const KemPrekeys& prekeys) {
  commit.put(Space::kAccount, {kKemStockRow, device.value}, encode(prekeys.stock()));
}

bool well_formed(const proto::SignedPrekey& key) {
  return key.key.size() == proto::kMaxPublicKey && key.signature.size() == proto::kSignature;
}

bool well_formed(std::span<const proto::OneTimePrekey> keys) {
  return std::ranges::all_of(
      keys, [](const auto& key) { return key.key.size() == proto::kMaxPublicKey; });
}

bool well_formed(const proto::KemPrekey& key) {
  return key.key.size() == proto::kKemPublicKey && key.signature.size() == proto::kSignature;
}

bool well_formed(std::span<const proto::KemPrekey> keys) {
  return std::ranges::all_of(keys, [](const auto& key) { return well_formed(key); });
}

}  // namespace

std::vector<ports::Scan> Account::load_scans(const EntityKey& user) {
  return {{to_bytes(user), Space::kAccount, {}, {}}};
}

Account::Account(const EntityKey& user, const std::vector<std::vector<ports::Row>>& rows,
                 const Attachments& attachments, SequenceSource& sequences, Counters& counters,
                 Duration write_behind, const Certifier* certifier)
    : user_(user),
      held_(write_behind),
      sequences_(sequences),
      counters_(counters),
      certifier_(certifier) {
  std::map<DeviceId, Mailbox::Stock> stocks;
  std::map<DeviceId, KemPrekeys::Stock> kem_stocks;
  for (const ports::Row& row : rows[0]) {
    if (row.key.size() != 2) continue;
    const DeviceId id{row.key[1]};
    if (row.key[0] == kStockRow) {
      stocks[id] = decode<Mailbox::Stock>(row.value).value_or(Mailbox::Stock{});
    } else if (row.key[0] == kKemStockRow) {
      kem_stocks[id] = decode<KemPrekeys::Stock>(row.value).value_or(KemPrekeys::Stock{});
    }
  }
  for (const ports::Row& row : rows[0]) {
    if (row.key.size() == 1 && row.key[0] == kAccountRow) {
      generation_ = decode<Generation>(row.value).value_or(Generation{}).number;
    }
    if (row.key == Bytes{kAccessRow}) access_ = to_array<32>(row.value).value_or(AccessDigest{});
    if (row.key.size() != 2 || row.key[0] != kDeviceRow) continue;
    auto record = decode<DeviceRecord>(row.value);
    if (!record) continue;
    const DeviceId id{row.key[1]};
    const std::uint32_t next_prekey = record->next_prekey_id;
    Device device{std::move(*record),
                  Prekeys(id, next_prekey),
                  KemPrekeys(id, kem_stocks[id]),
                  Mailbox(id, stocks[id]),
                  {}};
    if (const auto at = attachments.find(id); at != attachments.end()) {
      device.mailbox.wake(at->second);
    }
    devices_.emplace(id, std::move(device));
  }
}

void Account::store_stock(DeviceId id, const Device& device, ports::Batch& commit) {
  commit.put(Space::kAccount, {kStockRow, id.value}, encode(device.mailbox.stock()));
}

ports::Batch Account::batch() const { return {to_bytes(user_), {}}; }

Account::Loss Account::loss(Instant now) const {
  const auto asleep = [](const auto& entry) { return entry.second.mailbox.asleep(); };
  const bool busy = reading_ || !fetches_.empty() || !waiting_.empty() || !held_.empty();
  if (busy || !std::ranges::all_of(devices_, asleep)) return Loss::kState;
  // Who asks again and again must not be forgotten in between.
  const auto insists = [now](const auto& entry) {
    return entry.second.count > 1 && entry.second.running(now, limits::kBundleWindow);
  };
  const bool curious =
      lookups_.count > limits::kLookups / 2 && lookups_.running(now, limits::kLookupWindow);
  if (curious || std::ranges::any_of(bundle_windows_, insists)) return Loss::kState;
  const auto remembers = [](const auto& entry) { return entry.second.mailbox.remembers(); };
  const bool memory = lookups_.count > 0 || !bundle_windows_.empty();
  return memory || std::ranges::any_of(devices_, remembers) ? Loss::kMemory : Loss::kNothing;
}

Attachments Account::attachments() const {
  Attachments out;
  for (const auto& [id, device] : devices_) {
    if (const auto* attachment = device.mailbox.attachment()) out.emplace(id, *attachment);
  }
  return out;
}

void Account::on_message(const Message& message, Env& env, Effects& out) {
  const bool needs_prekeys = message.verb == Verb::kAttach || message.verb == Verb::kFetchBundles ||
                             message.verb == Verb::kUploadPrekeys;
  if (!needs_prekeys || prekeys_loaded_) return handle(message, env, out);
  if (waiting_.size() >= kWaitingForPrekeys) return out.push_back(refuse(message, kBusy));
  waiting_.push_back(message);
  read_next(out);
}

void Account::handle(const Message& message, Env& env, Effects& out) {
  switch (message.verb) {
    case Verb::kCreate: return create(message, out);
    case Verb::kAttach: return attach(message, env, out);
    case Verb::kDetach: return detach(message, out);
    case Verb::kAck:
    case Verb::kPing: return acknowledge(message, out);
    case Verb::kLookup: return lookup(message, env, out);
    case Verb::kFetchBundles: return fetch_bundles(message, env, out);
    case Verb::kUploadPrekeys: return upload_prekeys(message, out);
    case Verb::kCertify: return certify(message, env, out);
    case Verb::kSubmit: return submit(message, env, out);
    case Verb::kHint: return hint(message, env, out);
    case Verb::kGroupDeliver: return take_group(message, out);
    default: return;
  }
}

void Account::on_lost(Effects& out) {
  static constexpr Error kReload{Code::kUnavailable, "the server could not store: reconnect"};
  for (const auto& [id, attachment] : attachments()) {
    out.push_back(kick(attachment.session, kReload));
  }
  static constexpr Error kRetry{Code::kUnavailable, "the server could not read: it is retried"};
  for (const Fetch& fetch : fetches_) out.push_back(refuse(fetch.message, kRetry));
  for (const Message& message : waiting_) out.push_back(refuse(message, kRetry));
  held_.refuse(kRetry, out);
}

// The device that this message's session is attached as, or null.
Account::Device* Account::attached(const Message& message) {
  const auto it = devices_.find(message.from_device);
  if (it == devices_.end() || !it->second.mailbox.attached_by(message.session)) return nullptr;
  return &it->second;
}

// The device whose credential this message's session has shown, or null.
Account::Device* Account::owned(const Message& message) {
  const auto it = devices_.find(message.from_device);
  if (it == devices_.end() || it->second.record.peer != message.peer) return nullptr;
  return &it->second;
}

void Account::create(const Message& message, Effects& out) {
  auto request = decode<proto::Register>(message.body);
  if (!request || request->identity_key.size() != proto::kMaxPublicKey ||
      !well_formed(request->signed_prekey) || !well_formed(request->one_time_prekeys) ||
      !well_formed(request->last_resort_prekey) || !well_formed(request->kem_prekeys)) {
    return out.push_back(refuse(message, kMalformed));
  }
  const proto::Registered registered{{user_}, kPrimary};
  const auto present = devices_.find(kPrimary);
  if (message.number <= generation_) {
    const bool same_device = present != devices_.end() &&
                             present->second.record.peer == message.peer &&
                             present->second.record.identity_key == request->identity_key;
    if (same_device) return out.push_back(answer(message, registered));
    return out.push_back(refuse(
        message, {Code::kConflict, "the number was registered again since: request a new code"}));
  }
  static constexpr Error kElsewhere{Code::kUnauthenticated,
                                    "this number was registered on another device"};
  for (const auto& [id, attachment] : attachments()) {
    out.push_back(kick(attachment.session, kElsewhere));
  }
  store_held(out);  // accepted, and then gone with its devices
  devices_.clear();
  access_ = {};
  admitted_ = {};
  prekeys_loaded_ = true;  // there were none before this registration
  for (Fetch& fetch : fetches_) fetch.rows.clear();  // they are of the devices before
  ports::Batch commit = batch();
  if (generation_ != 0) {  // else there is nothing, and erased ranges cost every later read
    for (const Space space : {Space::kAccount, Space::kPrekey, Space::kQueue}) {
      commit.erase_range(space, {}, {});
    }
  }
  generation_ = message.number;
  Device device{{request->registration_id, message.peer, std::move(request->identity_key),
                 std::move(request->signed_prekey), 0},
                Prekeys(kPrimary, 0),
                KemPrekeys(kPrimary, {}),
                Mailbox(kPrimary, {}),
                {}};
  device.prekeys.add(request->one_time_prekeys, commit);
  device.kem_prekeys.set_last_resort(request->last_resort_prekey, commit);
  device.kem_prekeys.add(request->kem_prekeys, commit);
  put_kem_stock(commit, kPrimary, device.kem_prekeys);
  device.record.next_prekey_id = device.prekeys.next_id();
  commit.put(Space::kAccount, {kAccountRow}, encode(Generation{generation_}));
  put_record(commit, kPrimary, device.record);
  devices_.emplace(kPrimary, std::move(device));
  ++counters_.registrations;
  out.push_back(Commit{std::move(commit)});
  out.push_back(answer(message, registered));
}

void Account::attach(const Message& message, Env& env, Effects& out) {
  Device* device = owned(message);
  if (device == nullptr) return out.push_back(refuse(message, kNotYours));
  Mailbox& mailbox = device->mailbox;
  if (mailbox.attached_by(message.session)) return;  // the bus repeated it
  store_held(out);  // its rows are read again
  static constexpr Error kReplaced{Code::kConflict, "another connection of this device took over"};
  const std::uint64_t attachment = get_be64(env.entropy.draw<8>());
  if (const auto replaced = mailbox.attach(message.session, attachment, {message.number})) {
    out.push_back(kick(*replaced, kReplaced));
  }
  Post bound = answer(message, proto::Attached{env.now, device->left()});
  bound.message.verb = Verb::kAttached;
  bound.message.from = {user_};
  bound.message.from_device = message.from_device;
  bound.message.number = attachment;
  out.push_back(std::move(bound));
  read_next(out);
}

void Account::detach(const Message& message, Effects& out) {
  for (auto& [id, device] : devices_) {
    if (!device.mailbox.attached_by(message.session)) continue;
    store_held(out);
    device.mailbox.detach();
  }
}

void Account::acknowledge(const Message& message, Effects& out) {
  Device* device = attached(message);
  if (device == nullptr) return out.push_back(lost_place(message));
  held_.acknowledge(message.from_device, {message.number}, out);
  ports::Batch commit = batch();
  counters_.acknowledged += device->mailbox.acknowledge({message.number}, commit);
  if (!commit.empty()) {
    store_stock(message.from_device, *device, commit);
    out.push_back(Commit{std::move(commit)});
  }
  if (message.verb == Verb::kPing) {
    out.push_back(pong(*device->mailbox.attachment(), message));
  }
  read_next(out);
}

void Account::lookup(const Message& message, Env& env, Effects& out) {
  const auto handle = to_array<16>(message.body);
  if (!handle) return;
  if (owned(message) == nullptr) return out.push_back(refuse(message, kNotYours));
  if (!lookups_.allow(env.now, limits::kLookups, limits::kLookupWindow)) {
    ++counters_.rate_limited;
    return out.push_back(refuse(message,
                                {Code::kRateLimited, "too many numbers looked up: try later"},
                                lookups_.wait(env.now, limits::kLookupWindow)));
  }
  Message resolve = message;
  resolve.verb = Verb::kResolve;
  resolve.to = *handle;
  resolve.body.clear();
  out.push_back(Post{std::move(resolve)});
}

bool Account::may_take(const UserId& requester, Instant now) {
  if (!bundle_windows_.contains(requester) && bundle_windows_.size() >= kBundleWindows) {
    bundle_windows_.erase(std::ranges::min_element(
        bundle_windows_, {}, [](const auto& entry) { return entry.second.start; }));
  }
  return bundle_windows_[requester].allow(now, limits::kBundleFetches, limits::kBundleWindow);
}

void Account::fetch_bundles(const Message& message, Env& env, Effects& out) {
  auto request = decode<proto::FetchBundles>(message.body);
  if (!request) return out.push_back(refuse(message, kMalformed));
  if (fetches_.size() >= kWaitingFetches) {
    return out.push_back(
        refuse(message, {Code::kUnavailable, "too many ask for this person: it is retried"}));
  }
  const bool one_time = may_take(message.from, env.now);
  fetches_.push_back({message, std::move(request->devices), one_time, {}});
  read_next(out);
}

bool Account::read_kem_prekey(Effects& out) {
  while (!fetches_.empty()) {
    Fetch& fetch = fetches_.front();
    for (const auto& [id, device] : devices_) {
      const auto& wanted = fetch.devices;
      if (!wanted.empty() && std::ranges::find(wanted, id) == wanted.end()) continue;
      if (!fetch.rows.try_emplace(id).second) continue;
      reading_ = {id, Reading::Of::kKemPrekey, generation_, 0};
      out.push_back(Page{device.kem_prekeys.next(to_bytes(user_), !fetch.one_time)});
      return true;
    }
    Fetch complete = std::move(fetch);
    fetches_.pop_front();
    hand_out(std::move(complete), out);
  }
  return false;
}

void Account::on_kem_prekey(DeviceId id, std::vector<ports::Row> rows) {
  if (!fetches_.empty()) fetches_.front().rows[id] = std::move(rows);
}

void Account::hand_out(Fetch fetch, Effects& out) {
  proto::Bundles bundles;
  ports::Batch commit = batch();
  Effects notices;
  for (const auto& [id, rows] : fetch.rows) {
    const auto it = devices_.find(id);
    if (it == devices_.end()) continue;
    Device& device = it->second;
    std::optional<proto::OneTimePrekey> one_time;
    if (fetch.one_time) one_time = device.prekeys.take(commit);
    std::optional<proto::KemPrekey> kem;
    if (!rows.empty()) kem = device.kem_prekeys.take(rows.front(), commit);
    if (!commit.empty()) put_kem_stock(commit, id, device.kem_prekeys);
    bundles.devices.push_back({id, device.record.registration_id, device.record.identity_key,
                               device.record.signed_prekey, std::move(one_time),
                               std::move(kem).value_or(proto::KemPrekey{})});
    const proto::PrekeyStock left = device.left();
    const bool low =
        left.left < limits::kPrekeyLowWater || left.kem_left < limits::kKemPrekeyLowWater;
    if (low && device.mailbox.attachment()) {
      push_frame(device, proto::make_frame(proto::Kind::kPrekeysLow, 0, left), notices);
    }
  }
  if (bundles.devices.empty()) return out.push_back(refuse(fetch.message, kNoDevice));
  if (!commit.empty()) out.push_back(Commit{std::move(commit)});
  out.push_back(answer(fetch.message, bundles));
  std::ranges::move(notices, std::back_inserter(out));
}

void Account::upload_prekeys(const Message& message, Effects& out) {
  Device* device = owned(message);
  if (device == nullptr) return out.push_back(refuse(message, kNotYours));
  auto request = decode<proto::UploadPrekeys>(message.body);
  if (!request || !well_formed(request->one_time_prekeys) || !well_formed(request->kem_prekeys) ||
      (request->signed_prekey && !well_formed(*request->signed_prekey)) ||
      (request->last_resort_prekey && !well_formed(*request->last_resort_prekey))) {
    return out.push_back(refuse(message, kMalformed));
  }
  ports::Batch commit = batch();
  if (request->replace) {
    device->prekeys.clear(commit);
    device->kem_prekeys.clear(commit);
  }
  device->prekeys.add(request->one_time_prekeys, commit);
  device->record.next_prekey_id = device->prekeys.next_id();
  if (request->signed_prekey) device->record.signed_prekey = std::move(*request->signed_prekey);
  put_record(commit, message.from_device, device->record);
  if (request->last_resort_prekey) {
    device->kem_prekeys.set_last_resort(*request->last_resort_prekey, commit);
  }
  device->kem_prekeys.add(request->kem_prekeys, commit);
  put_kem_stock(commit, message.from_device, device->kem_prekeys);
  out.push_back(Commit{std::move(commit)});
  out.push_back(reply_to(message, proto::ok_frame(message.request)));
}

void Account::push_frame(Device& device, const proto::Frame& frame, Effects& out) {
  Attachment& attachment = *device.mailbox.attachment();
  Message m;
  m.verb = Verb::kPush;
  m.session = attachment.session;
  m.request = attachment.id;
  m.number = ++attachment.pushes;
  m.from = {user_};
  proto::put_frame(m.body, frame);
  out.push_back(Post{std::move(m)});
}

void Account::push(Device& device, std::vector<proto::Delivery> deliveries, Effects& out) {
  counters_.delivered += deliveries.size();
  proto::Deliver frame;
  std::size_t bytes = 0;
  const auto flush = [&] {
    if (frame.deliveries.empty()) return;
    push_frame(device, proto::make_frame(proto::Kind::kDeliver, 0, frame), out);
    frame.deliveries.clear();
    bytes = 0;
  };
  for (proto::Delivery& delivery : deliveries) {
    bytes += delivery.envelope.ciphertext.size() + 96;
    frame.deliveries.push_back(std::move(delivery));
    if (bytes >= kPushBytes) flush();
  }
  flush();
}

void Account::read_next(Effects& out) {
  if (reading_ || read_prekeys(out)) return;
  if (kem_prekey_was_last_) {
    if (!read_mailbox(out)) read_kem_prekey(out);
  } else if (!read_kem_prekey(out)) {
    read_mailbox(out);
  }
}

bool Account::read_prekeys(Effects& out) {
  if (waiting_.empty()) return false;
  reading_ = {{}, Reading::Of::kPrekeys, generation_, 0};
  out.push_back(Page{{to_bytes(user_), Space::kPrekey, {}, {0x80}}});
  return true;
}

void Account::on_prekeys(const std::vector<ports::Row>& rows, Env& env, Effects& out) {
  for (auto& [id, device] : devices_) {
    if (prekeys_loaded_) break;  // registered anew in between: these are another device's
    for (const ports::Row& row : rows) device.prekeys.restore(row);
  }
  prekeys_loaded_ = true;
  for (const Message& message : std::exchange(waiting_, {})) handle(message, env, out);
}

bool Account::read_mailbox(Effects& out) {
  for (auto& [id, device] : devices_) {
    auto scan = device.mailbox.next_page();
    if (!scan) continue;
    scan->partition = to_bytes(user_);
    reading_ = {id, Reading::Of::kMailbox, generation_, device.mailbox.attachment()->id};
    out.push_back(Page{std::move(*scan)});
    return true;
  }
  return false;
}

void Account::on_rows(std::vector<ports::Row> rows, Env& env, Effects& out) {
  if (!reading_) return;
  const Reading read = *reading_;
  reading_.reset();
  kem_prekey_was_last_ = read.what == Reading::Of::kKemPrekey;
  if (read.what == Reading::Of::kPrekeys) {
    on_prekeys(rows, env, out);
  } else if (read.generation == generation_) {
    if (kem_prekey_was_last_) on_kem_prekey(read.device, std::move(rows));
    else on_page(read.device, read.attachment, rows, out);
  }
  read_next(out);
}

void Account::on_page(DeviceId id, std::uint64_t attachment, const std::vector<ports::Row>& rows,
                      Effects& out) {
  const auto it = devices_.find(id);
  if (it == devices_.end()) return;
  Device& device = it->second;
  const Attachment* present = device.mailbox.attachment();
  if (present == nullptr || present->id != attachment) return;
  ports::Batch commit = batch();
  std::vector<proto::Delivery> deliveries;
  device.mailbox.on_page(rows, commit, deliveries);
  push(device, std::move(deliveries), out);
  if (commit.empty()) return;
  store_stock(id, device, commit);
  out.push_back(Commit{std::move(commit)});
}

}  // namespace godwit::server
