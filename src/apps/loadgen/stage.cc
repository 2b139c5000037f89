#include "apps/loadgen/stage.h"

#include <chrono>
#include <iostream>
#include <sstream>

#include "io/descriptors.h"

namespace godwit::loadgen {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kTableOverhead = 512;  // of a crowd's descriptors: loops, files
constexpr std::uint32_t kRegistering = 384;    // at once, in all: the server queues 1,024 codes
constexpr std::uint32_t kConnecting = 256;
constexpr auto kPatience = std::chrono::seconds(20);
constexpr std::uint32_t kMostMessages = 100'000'000;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// {"name": value, ...}
class Json {
 public:
  template <typename T>
  Json& put(std::string_view name, const T& value) {
    text_ << (first_ ? "{\"" : ", \"") << name << "\": " << value;
    first_ = false;
    return *this;
  }
  std::string text() const { return text_.str() + "}"; }

 private:
  std::ostringstream text_;
  bool first_ = true;
};

}  // namespace

Result<std::unique_ptr<Stage>> Stage::create(const Options& options) {
  const auto addresses = io::Address::resolve(options.server);
  if (!addresses) return fail(addresses.error());
  std::unique_ptr<Stage> stage(new Stage(options, addresses->front()));
  const std::uint32_t limit = io::descriptor_limit();
  const std::uint32_t per_table = std::max(limit, kTableOverhead + 64) - kTableOverhead;
  const std::uint32_t tables = options.most / per_table + 1;
  stage->scene_.own_tables = tables > 1;
  for (std::uint32_t i = 0; i < std::max(tables, 2U); ++i) {
    auto crowd = Crowd::create(stage->scene_, static_cast<std::uint16_t>(i));
    if (!crowd) return fail(crowd.error());
    stage->crowds_.push_back(std::move(*crowd));
  }
  for (const auto& crowd : stage->crowds_) crowd->start(stage->crowds_);
  return stage;
}

Stage::Stage(const Options& options, const io::Address& server)
    : options_(options), scene_{server, {}, Codes(options.codes), options.ping} {}

Stage::~Stage() {
  for (const auto& crowd : crowds_) crowd->stop();
}

std::uint64_t Stage::sum(std::atomic<std::uint64_t> Crowd::Tally::* figure) const {
  std::uint64_t sum = 0;
  for (const auto& crowd : crowds_) sum += crowd->tally().*figure;
  return sum;
}

void Stage::await(const char* what, std::atomic<std::uint64_t> Crowd::Tally::* figure,
                  std::uint64_t target) const {
  const auto start = Clock::now();
  const std::uint64_t first = sum(figure);
  std::uint64_t last = first;
  auto moved = start, told = start;
  for (std::uint64_t now = last; now < target; now = sum(figure)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (now != last) moved = Clock::now();
    last = now;
    if (Clock::now() - moved > kPatience) return;
    if (Clock::now() - told < std::chrono::seconds(1)) continue;
    told = Clock::now();
    std::cerr << what << " " << now << " of " << target << ", "
              << static_cast<double>(now - first) / seconds_since(start) << " a second\n";
  }
}

Result<std::string> Stage::register_users(std::uint32_t count) {
  crypto::SystemEntropy entropy;
  scene_.people.key = crypto::KeyPair::generate(entropy);
  scene_.people.users.assign(count, {});
  const auto start = Clock::now();
  const auto crowds = static_cast<std::uint32_t>(crowds_.size());
  crowds_[0]->register_users(0, 1, 1);  // alone: it learns the server's key for all
  await("registered", &Crowd::Tally::registered, 1);
  for (std::uint32_t i = 0, first = 1; i < crowds; ++i) {
    const std::uint32_t end = first + (count - first) / (crowds - i);
    crowds_[i]->register_users(first, end, std::max(kRegistering / crowds, 1U));
    first = end;
  }
  await("registered", &Crowd::Tally::registered, count);
  const std::uint64_t done = sum(&Crowd::Tally::registered);
  if (done < count) return fail(Code::kUnavailable, "the server stopped registering people");
  if (const auto saved = scene_.people.save(options_.people); !saved) return fail(saved.error());
  return Json().put("registered", done).put("seconds", seconds_since(start)).text();
}

Result<std::string> Stage::connect_users(std::uint32_t count) {
  if (scene_.people.users.empty()) {
    auto people = People::load(options_.people);
    if (!people) return fail(people.error());
    scene_.people = std::move(*people);
  }
  if (count > scene_.people.users.size() || count > options_.most) {
    return fail(Code::kInvalid, "fewer people are registered, or --most is less");
  }
  const auto start = Clock::now();
  const auto crowds = static_cast<std::uint32_t>(crowds_.size());
  std::uint32_t first = connected_;
  for (std::uint32_t i = 0; i < crowds && first < count; ++i) {
    const std::uint32_t end = first + (count - first) / (crowds - i);
    crowds_[i]->connect_users(first, end, std::max(kConnecting / crowds, 1U));
    first = end;
  }
  connected_ = std::max(connected_, count);
  await("connected", &Crowd::Tally::attached, count);
  return Json()
      .put("connections", sum(&Crowd::Tally::attached))
      .put("seconds", seconds_since(start))
      .put("failed", sum(&Crowd::Tally::failed))
      .text();
}

Result<std::string> Stage::idle(std::uint32_t seconds) {
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  return Json()
      .put("connections", sum(&Crowd::Tally::attached))
      .put("cut", sum(&Crowd::Tally::cut))
      .text();
}

Result<std::string> Stage::messages(Plan plan, std::uint32_t seconds) {
  if (connected_ < 2) return fail(Code::kInvalid, "connect somebody first");
  const auto crowds = static_cast<std::uint32_t>(crowds_.size());
  crypto::SystemEntropy entropy;
  plan.run = get_be64(entropy.draw<8>());
  plan.users = connected_;
  const double expected = plan.rate > 0 ? plan.rate * seconds + 1000 : 100'000.0 * seconds;
  plan.ledger = std::make_shared<Ledger>(
      static_cast<std::uint32_t>(std::min<double>(expected, kMostMessages)));
  plan.rate /= crowds;
  const std::uint64_t before = sum(&Crowd::Tally::delivered);
  const std::uint64_t duplicated = sum(&Crowd::Tally::duplicated);
  const std::uint64_t refused = sum(&Crowd::Tally::refused);
  std::uint32_t left = plan.outstanding;
  for (std::uint32_t i = 0; i < crowds; ++i) {
    plan.outstanding = left / (crowds - i);
    left -= plan.outstanding;
    crowds_[i]->begin(plan);
  }
  const auto start = Clock::now();
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  const std::uint64_t in_time = sum(&Crowd::Tally::delivered) - before;
  const double took = seconds_since(start);
  for (const auto& crowd : crowds_) crowd->cease();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  // What was refused is not delivered: without refusals this ends when all is there.
  await("delivered", &Crowd::Tally::delivered, before + plan.ledger->sum().sent);
  Latencies latencies;
  for (const auto& crowd : crowds_) latencies.merge(crowd->latencies());
  const auto sum_of_fates = plan.ledger->sum();
  const auto ms = [&](double share) {
    return static_cast<double>(latencies.quantile(share)) / 1000;
  };
  Json quantiles;
  for (const double share : {0.5, 0.9, 0.99, 0.999, 0.9999, 1.0}) {
    std::ostringstream name;
    name << share;
    quantiles.put(name.str(), ms(share));
  }
  return Json()
      .put("messages_per_second", static_cast<double>(in_time) / took)
      .put("sent", sum_of_fates.sent)
      .put("accepted", sum_of_fates.accepted)
      .put("delivered", sum_of_fates.delivered)
      .put("refused", sum(&Crowd::Tally::refused) - refused)
      .put("lost", sum_of_fates.lost)
      .put("duplicated", sum(&Crowd::Tally::duplicated) - duplicated)
      .put("cut", sum(&Crowd::Tally::cut))
      .put("latency_ms", quantiles.text())
      .text();
}

Result<std::string> Stage::command(const std::string& line) {
  std::istringstream words(line);
  std::string verb;
  std::uint32_t first = 0, seconds = 0;
  Plan plan;
  words >> verb >> first;
  const bool writes = verb == "load" || verb == "flood";
  if (writes) words >> seconds >> plan.size;
  std::string more;
  if (!words || first == 0 || words >> more) {
    return fail(Code::kInvalid, "not a command: see --help");
  }
  if (verb == "register") return register_users(first);
  if (verb == "connect") return connect_users(first);
  if (verb == "idle") return idle(first);
  if (!writes) return fail(Code::kInvalid, "not a command: see --help");
  if (verb == "load") plan.rate = first;
  else plan.outstanding = first;
  return messages(plan, seconds);
}

}  // namespace godwit::loadgen
