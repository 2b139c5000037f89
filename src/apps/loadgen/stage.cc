#include "apps/loadgen/stage.h"

#include <chrono>
#include <iostream>
#include <sstream>
#include <utility>

#include "io/descriptors.h"

namespace godwit::loadgen {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kTableOverhead = 512;  // of a crowd's descriptors: loops, files
constexpr std::uint32_t kRegistering = 384;    // at once, in all: the server queues 1,024 codes
constexpr std::uint32_t kConnecting = 256;
constexpr auto kPatience = std::chrono::seconds(20);
constexpr auto kHopeless = std::chrono::seconds(2);
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
    : options_(options),
      scene_{server, {}, Codes(options.codes), options.ping},
      connected_(options.first) {}

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
  const std::uint64_t first = sum(figure), failed = sum(&Crowd::Tally::failed);
  std::uint64_t last = first;
  auto moved = start, told = start;
  for (std::uint64_t now = last; now < target; now = sum(figure)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (now != last) moved = Clock::now();
    last = now;
    const bool failing = now == first && sum(&Crowd::Tally::failed) > failed;
    if (Clock::now() - moved > (failing ? kHopeless : kPatience)) return;
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
  if (sum(&Crowd::Tally::registered) == 0) return fail(trouble());
  for (std::uint32_t i = 0, first = 1; i < crowds; ++i) {
    const std::uint32_t end = first + (count - first) / (crowds - i);
    crowds_[i]->register_users(first, end, std::max(kRegistering / crowds, 1U));
    first = end;
  }
  await("registered", &Crowd::Tally::registered, count);
  const std::uint64_t done = sum(&Crowd::Tally::registered);
  if (done < count) return fail(trouble());
  if (const auto saved = scene_.people.save(options_.people); !saved) return fail(saved.error());
  return Json().put("registered", done).put("seconds", seconds_since(start)).text();
}

Result<std::string> Stage::connect_users(std::uint32_t count) {
  if (scene_.people.users.empty()) {
    auto people = People::load(options_.people);
    if (!people) return fail(people.error());
    scene_.people = std::move(*people);
  }
  if (count > scene_.people.users.size() || count > options_.most + options_.first) {
    return fail(Code::kInvalid, "fewer people are registered, or --most is less");
  }
  const auto start = Clock::now();
  connect_range(connected_, count);
  connected_ = std::max(connected_, count);
  await("connected", &Crowd::Tally::attached, count - std::min(count, options_.first));
  if (sum(&Crowd::Tally::attached) == 0) return fail(trouble());
  return Json()
      .put("connections", sum(&Crowd::Tally::attached))
      .put("seconds", seconds_since(start))
      .put("failed", sum(&Crowd::Tally::failed))
      .text();
}

Error Stage::trouble() {
  using Kind = Crowd::Fault::Kind;
  Crowd::Fault fault;
  for (const auto& crowd : crowds_) {
    if (auto each = crowd->fault(); each.kind != Kind::kNone) fault = std::move(each);
  }
  said_ = fault.text;
  switch (fault.kind) {
    case Kind::kUnreachable:
      return {Code::kUnavailable,
              "nobody answers there: is godwitd running, and is --server its address?"};
    case Kind::kStranger:
      return {Code::kUnsupported,
              "what answers there is no godwit server of this version, or not the one where the "
              "people of --people were registered: remove that file to register others"};
    case Kind::kNoCode:
      return {Code::kNotFound,
              "no code comes for who registers: --codes is to name the file "
              "verification-codes.jsonl in the data directory of this very server, and you must be "
              "able to read it"};
    case Kind::kRefused:
      return {Code::kForbidden,
              "the server refuses its phones; when it does not know them, remove the file of "
              "--people to register others"};
    case Kind::kClosed:
      return {Code::kUnavailable, "the server closes their connections: its log may say why"};
    case Kind::kNone: break;
  }
  return {Code::kUnavailable, "the server answers no more: its log may say why"};
}

// Both users of a pair are the same crowd's.
void Stage::connect_range(std::uint32_t first, std::uint32_t end) {
  const auto crowds = static_cast<std::uint32_t>(crowds_.size());
  for (std::uint32_t i = 0; i < crowds && first < end; ++i) {
    const std::uint32_t part = (end - first) / (crowds - i) + 1;
    const std::uint32_t to = i + 1 == crowds ? end : std::min(end, (first + part) & ~1U);
    crowds_[i]->connect_users(first, to, std::max(kConnecting / crowds, 1U));
    first = to;
  }
}

Result<std::string> Stage::idle(std::uint32_t seconds) {
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  return Json()
      .put("connections", sum(&Crowd::Tally::attached))
      .put("cut", sum(&Crowd::Tally::cut))
      .text();
}

void Stage::begin(Plan& plan, std::uint32_t most) {
  const auto crowds = static_cast<std::uint32_t>(crowds_.size());
  crypto::SystemEntropy entropy;
  plan.run = get_be64(entropy.draw<8>());
  plan.begin = options_.first;
  plan.users = connected_;
  plan.ledger = ledger_ = std::make_shared<Ledger>(most);
  plan.rate /= crowds;
  before_ = {sum(&Crowd::Tally::accepted), sum(&Crowd::Tally::delivered),
             sum(&Crowd::Tally::duplicated), sum(&Crowd::Tally::refused)};
  std::uint32_t left = plan.outstanding;
  for (std::uint32_t i = 0; i < crowds; ++i) {
    if (plan.writers == 0) plan.outstanding = left / (crowds - i);
    left -= plan.outstanding;
    crowds_[i]->prepare(plan);
  }
  for (const auto& crowd : crowds_) crowd->begin();
}

Result<std::string> Stage::messages(Plan plan, std::uint32_t seconds) {
  if (connected_ < std::max(options_.first + 2, plan.end_of_writers())) {
    return fail(Code::kInvalid, "connect somebody first");
  }
  const double expected = plan.rate > 0 ? plan.rate * seconds + 1000 : 100'000.0 * seconds;
  begin(plan, static_cast<std::uint32_t>(std::min<double>(expected, kMostMessages)));
  const auto start = Clock::now();
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  const std::uint64_t in_time = sum(&Crowd::Tally::delivered) - before_.delivered;
  const double took = seconds_since(start);
  for (const auto& crowd : crowds_) crowd->cease();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  // Until all is there, but for what is refused meanwhile.
  const auto refused = [&] { return sum(&Crowd::Tally::refused) - before_.refused; };
  for (std::uint64_t known = UINT64_MAX; std::exchange(known, refused()) != refused();) {
    await("delivered", &Crowd::Tally::delivered,
          before_.delivered + ledger_->sum().sent - refused());
  }
  return fates(static_cast<double>(in_time) / took);
}

Result<std::string> Stage::store(Plan plan, std::uint32_t count) {
  if (connected_ < plan.writers || plan.first < connected_ ||
      plan.first + plan.targets > scene_.people.users.size() || count > kMostMessages) {
    return fail(Code::kInvalid, "the writers must be connected, and the targets only registered");
  }
  begin(plan, count);
  const auto start = Clock::now();
  await("stored", &Crowd::Tally::accepted, before_.accepted + count);
  const double took = seconds_since(start);
  for (const auto& crowd : crowds_) crowd->cease();
  return fates(count / took);
}

Result<std::string> Stage::drain(std::uint32_t first, std::uint32_t end) {
  if (!ledger_ || end > scene_.people.users.size()) {
    return fail(Code::kInvalid, "store something for them first");
  }
  const auto start = Clock::now();
  connect_range(first, end);
  const std::uint64_t wanted = ledger_->sum().accepted;
  await("delivered", &Crowd::Tally::delivered, before_.delivered + wanted);
  const double took = seconds_since(start);
  std::this_thread::sleep_for(std::chrono::seconds(1));  // duplicates, acknowledgements
  return fates(static_cast<double>(wanted) / took);
}

std::string Stage::fates(double rate) const {
  Latencies latencies;
  for (const auto& crowd : crowds_) latencies.merge(crowd->latencies());
  const auto sum_of_fates = ledger_->sum();
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
      .put("messages_per_second", rate)
      .put("sent", sum_of_fates.sent)
      .put("accepted", sum_of_fates.accepted)
      .put("delivered", sum_of_fates.delivered)
      .put("refused", sum(&Crowd::Tally::refused) - before_.refused)
      .put("lost", sum_of_fates.lost)
      .put("duplicated", sum(&Crowd::Tally::duplicated) - before_.duplicated)
      .put("cut", sum(&Crowd::Tally::cut))
      .put("latency_ms", quantiles.text())
      .text();
}

Result<std::string> Stage::command(const std::string& line) {
  std::istringstream words(line);
  std::string verb;
  words >> verb;
  if (verb != "register" && verb != "connect" && verb != "idle") return write(verb, words);
  std::uint32_t count = 0;
  std::string more;
  words >> count;
  if (!words || count == 0 || words >> more) {
    return fail(Code::kInvalid, "not a command: see --help");
  }
  if (verb == "register") return register_users(count);
  return verb == "connect" ? connect_users(count) : idle(count);
}

// The commands that concern messages.
Result<std::string> Stage::write(const std::string& verb, std::istringstream& words) {
  std::vector<std::uint32_t> n;
  for (std::uint32_t number = 0; words >> number;) n.push_back(number);
  Plan plan;
  const auto is = [&](std::string_view name, std::size_t count) {
    return verb == name && n.size() == count && words.eof();
  };
  if (is("drain", 2)) return drain(n[0], n[1]);
  if (is("store", 6)) {
    plan = {.outstanding = n[1],
            .size = n[5],
            .writers = n[0],
            .stride = 1,
            .first = n[2],
            .targets = n[3]};
    return store(plan, n[4]);
  }
  if (is("load", 3)) plan = {.rate = double(n[0]), .size = n[2]};
  else if (is("flood", 3)) plan = {.outstanding = n[0], .size = n[2]};
  else if (is("pace", 4)) plan = {.rate = double(n[1]), .size = n[3], .writers = n[0]};
  else if (is("pairs", 4)) plan = {.outstanding = n[1], .size = n[3], .writers = n[0]};
  else return fail(Code::kInvalid, "not a command: see --help");
  return messages(plan, n[n.size() - 2]);
}

}  // namespace godwit::loadgen
