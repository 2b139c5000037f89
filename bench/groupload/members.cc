#include "bench/groupload/members.h"

#include <time.h>

#include <chrono>
#include <functional>
#include <thread>

#include "client/keyring.h"

namespace groupload {

using namespace godwit;

namespace {

constexpr std::uint32_t kAtOnce = 64;
constexpr auto kPatience = std::chrono::seconds(30);

bool await(const std::function<bool()>& done) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

// What fills in a registration: one client's keys, for everybody.
std::function<void(proto::Register&)> shared_keys() {
  crypto::SystemEntropy entropy;
  Env env{{}, entropy};
  client::Turn turn{env};
  client::Keyring keys;
  keys.generate(turn);
  client::Keyring::Offer offer = keys.registration();
  offer.one_time_prekeys.clear();
  return [offer = std::move(offer), id = keys.identity().registration_id,
          identity = to_bytes(keys.identity().public_key().wire())](proto::Register& form) {
    form.registration_id = id;
    form.identity_key = identity;
    form.signed_prekey = offer.signed_prekey;
    form.one_time_prekeys.clear();
    form.last_resort_prekey = offer.last_resort_prekey;
  };
}

}  // namespace

std::int64_t now_us() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return std::int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000;
}

Members::Members(const std::string& server, const std::string& codes)
    : scene_{.server = io::Address::resolve(server).value().front(),
             .people = {},
             .codes = loadgen::Codes(codes),
             .ping = seconds(25),
             .own_tables = false,
             .keys = shared_keys(),
             .sees = [this](const proto::Envelope& envelope, std::int64_t now) {
               sees(envelope, now);
             }} {}

Members::~Members() {
  for (const auto& crowd : crowds_) crowd->stop();
}

std::string Members::gather(std::uint32_t count) {
  crypto::SystemEntropy entropy;
  scene_.people.key = crypto::KeyPair::generate(entropy);
  scene_.people.users.assign(count, {});
  auto crowd = loadgen::Crowd::create(scene_, 0);
  if (!crowd) return std::string(crowd.error().text);
  crowds_.push_back(std::move(*crowd));
  loadgen::Crowd& only = *crowds_.front();
  only.start(crowds_);
  only.register_users(0, 1, 1);  // alone: it learns the server's key
  if (!await([&] { return only.tally().registered >= 1; })) return "nobody could register";
  only.register_users(1, count, kAtOnce);
  if (!await([&] { return only.tally().registered >= count; })) return "registering stopped";
  only.connect_users(0, count, kAtOnce);
  if (!await([&] { return only.tally().attached >= count; })) return "connecting stopped";
  return {};
}

void Members::leaves(EnvelopeId id) {
  const std::lock_guard lock(mutex_);
  left_.try_emplace(id, now_us());
}

void Members::forget() {
  const std::lock_guard lock(mutex_);
  left_.clear();
  deliveries_ = 0;
  latencies_ = {};
}

void Members::sees(const proto::Envelope& envelope, std::int64_t now) {
  if (envelope.type != proto::CiphertextType::kSenderKey) return;
  const std::lock_guard lock(mutex_);
  const auto at = left_.find(envelope.id);
  if (at == left_.end()) return;
  ++deliveries_;
  latencies_.add(now - at->second);
}

Members::Sum Members::sum() const {
  const std::lock_guard lock(mutex_);
  const auto ms = [&](double share) {
    return static_cast<double>(latencies_.quantile(share)) / 1000;
  };
  return {deliveries_, ms(0.5), ms(0.99)};
}

}  // namespace groupload
