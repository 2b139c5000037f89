#include "server/shard_state.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "crypto/hash.h"
#include "server/account.h"
#include "server/directory.h"
#include "server/group.h"

namespace godwit::server {
namespace {

// How long an entity is kept unused: one of which nothing would be lost, one that remembers.
constexpr Duration kUnused = seconds(2);
constexpr Duration kRemembering = seconds(60);
constexpr std::size_t kWaitingMessages = 1024;    // for one entity while it loads
constexpr std::size_t kMaxEntities = 1'000'000;   // a wall against floods of unknown ids

constexpr Error kCannotStore{Code::kUnavailable,
                             "the server cannot store now (is its disk full?): it is retried"};
constexpr Error kBusy{Code::kUnavailable, "the server is overloaded: it is retried"};

bool makes_more(const Message& message) {
  return message.verb == Verb::kSubmit || message.verb == Verb::kGroupSubmit;
}

}  // namespace

ByteArray<16> Shard::State::hash_key(const ShardConfig& config) {
  const auto mac = crypto::hmac_sha256(config.pepper, view_of("addresses"));
  ByteArray<16> key;
  std::copy_n(mac.view().begin(), key.size(), key.begin());
  return key;
}

// ---- routing

void Shard::State::post(Message message, Outputs& out) {
  const ShardId to = to_session(message.verb) ? message.session.shard
                                              : config.placement->owner(slot_of(message.to));
  if (to == config.id) {
    inbox.push_back(std::move(message));
  } else {
    out.push_back(Publish{to, encode(message)});
  }
}

void Shard::State::settle(Env& env, Outputs& out) {
  while (!inbox.empty()) {
    Message message = std::move(inbox.front());
    inbox.pop_front();
    if (to_session(message.verb)) {
      to_own_session(std::move(message), out);
    } else {
      to_entity(std::move(message), env, out);
    }
  }
}

void Shard::State::settle(std::size_t visits_at_most, Env& env, Outputs& out) {
  settle(env, out);
  retire(visits_at_most, env, out);
  settle(env, out);
}

void Shard::State::to_own_session(Message message, Outputs& out) {
  if (Session* session = sessions.find(message.session.id)) {
    Effects effects;
    session->on_message(std::move(message), effects);
    return perform(message.session.id, std::move(effects), out);
  }
  if (message.verb != Verb::kPush && message.verb != Verb::kAttached) return;
  Message gone;
  gone.verb = Verb::kDetach;
  gone.to = message.from.octets;
  gone.session = message.session;
  post(std::move(gone), out);
}

void Shard::State::to_entity(Message message, Env& env, Outputs& out) {
  if (store_is_behind(message)) return refuse_busy(message, out);
  const Address address{kind_of(message.verb), message.to};
  Host* found = hosts.find(address);
  if (found == nullptr) {
    if (address.kind == Address::Kind::kAccount && sleeps_on(message, out)) return;
    if (hosts.size() >= kMaxEntities)
      return refuse_message(message, kBusy, out, limits::kOverloadRetry);
    found = &load(address, env.now, out);
  }
  Host& host = *found;
  host.used = env.now;
  if (!host.entity) {
    if (host.waiting.size() >= kWaitingMessages)
      return refuse_message(message, kBusy, out, limits::kOverloadRetry);
    host.waiting.push_back(std::move(message));
    return;
  }
  Effects effects;
  host.entity->on_message(message, env, effects);
  perform(address, host, std::move(effects), env, out);
}

bool Shard::State::sleeps_on(const Message& message, Outputs& out) {
  Effects effects;
  if (!dormant.on_message(message, effects)) return false;
  for (Effect& effect : effects) {
    if (auto* p = std::get_if<Post>(&effect)) post(std::move(p->message), out);
  }
  return true;
}

void Shard::State::refuse_message(const Message& message, Error error, Outputs& out,
                                  Duration retry) {
  if (message.request != 0) post(refuse(message, error, retry).message, out);
}

bool Shard::State::sheds(const proto::Frame& frame) {
  const bool more = frame.kind == proto::Kind::kSubmit || frame.kind == proto::Kind::kSubmitGroup;
  if (!more) shedding.served();
  if (!more || frame.id == 0 || !shedding.refuses()) return false;
  ++counters.overloaded;
  return true;
}

bool Shard::State::sheds(const Message& message) {
  return makes_more(message) && shedding.refuses();
}

bool Shard::State::store_is_behind(const Message& message) const {
  return makes_more(message) && uses.size() >= limits::kOverloadedUses &&
         commit_took > limits::kOverloaded;
}

void Shard::State::refuse_busy(const Message& message, Outputs& out) {
  ++counters.overloaded;
  refuse_message(message, kBusy, out, limits::kOverloadRetry);
}

SharedBytes Shard::State::busy_frame(std::uint64_t request) {
  Bytes octets;
  proto::put_frame(octets, proto::error_frame(request, kBusy, limits::kOverloadRetry));
  return share(std::move(octets));
}

Shard::State::Address::Kind Shard::State::kind_of(Verb verb) {
  if (to_directory(verb)) return Address::Kind::kDirectory;
  return to_group(verb) ? Address::Kind::kGroup : Address::Kind::kAccount;
}

// ---- loading

void Shard::State::ask_for_fanouts(Outputs& out) {
  ports::Scan scan{{}, ports::Space::kFanout, {}, {}};
  scan.partitions = true;
  fanouts_asked = next_token++;
  out.push_back(Read{fanouts_asked, std::move(scan)});
}

void Shard::State::wake_groups(const std::vector<ports::Row>& partitions, Outputs& out) {
  for (const ports::Row& row : partitions) {
    const auto key = to_array<16>(row.key);
    if (!key || config.placement->owner(slot_of(*key)) != config.id) continue;
    Message wake;
    wake.verb = Verb::kGroupWake;
    wake.to = *key;
    post(std::move(wake), out);
  }
}

std::vector<ports::Scan> Shard::State::load_scans(const Address& address) const {
  switch (address.kind) {
    case Address::Kind::kDirectory: return Directory::load_scans(address.key);
    case Address::Kind::kGroup: return Group::load_scans(address.key);
    case Address::Kind::kAccount: break;
  }
  return Account::load_scans(address.key);
}

Shard::State::Host& Shard::State::load(const Address& address, Instant now, Outputs& out) {
  Host& host = hosts.try_emplace(address);
  host.serial = next_serial++;
  visit(address, host, now + kUnused);
  const auto scans = load_scans(address);
  host.rows.resize(scans.size());
  host.rows_missing = scans.size();
  for (std::size_t i = 0; i < scans.size(); ++i) {
    out.push_back(Read{use(address, host, i), scans[i]});
  }
  return host;
}

SequenceSource& Shard::State::sequences_of(const EntityKey& key) {
  const Slot slot = slot_of(key);
  const std::uint32_t epoch = config.placement->lease(slot).epoch;
  return sequences.try_emplace(slot, epoch).first->second;
}

void Shard::State::loaded(const Address& address, Host& host, Env& env, Outputs& out) {
  if (address.kind == Address::Kind::kDirectory) {
    host.entity = std::make_unique<Directory>(address.key, host.rows);
  } else if (address.kind == Address::Kind::kGroup) {
    host.entity =
        std::make_unique<Group>(address.key, host.rows, sequences_of(address.key), counters);
  } else {
    auto account = std::make_unique<Account>(address.key, host.rows, dormant.wake(address.key),
                                             sequences_of(address.key), counters,
                                             config.write_behind, config.certifier);
    if (const auto at = awake.find(address.key); at != awake.end()) {
      for (const AttachmentRecord& record : at->second) account->resume(record);
      awake.erase(at);
    }
    host.entity = std::move(account);
  }
  host.rows = {};
  for (const Message& message : std::exchange(host.waiting, {})) {
    Effects effects;
    host.entity->on_message(message, env, effects);
    perform(address, host, std::move(effects), env, out);
  }
}

// ---- effects

Token Shard::State::use(const Address& address, const Host& host, std::size_t load_step) {
  uses.try_emplace(next_token, Use{address, host.serial, load_step, {}, 0, host.used});
  return next_token++;
}

void Shard::State::perform(SessionId session, Effects effects, Outputs& out) {
  for (Effect& effect : effects) {
    if (auto* transmit = std::get_if<Transmit>(&effect)) {
      out.push_back(Send{session, std::move(transmit->frame)});
    } else if (std::holds_alternative<Hang>(effect)) {
      out.push_back(Close{session});
    } else if (auto* p = std::get_if<Post>(&effect)) {
      post(std::move(p->message), out);
    }
  }
}

void Shard::State::perform(const Address& address, Host& host, Effects effects, Env& env,
                           Outputs& out) {
  for (Effect& effect : effects) host.gated.push_back(std::move(effect));
  host.used = env.now;
  pump(address, host, env.now, out);
  if (host.entity->due() < host.visit) visit(address, host, host.entity->due());
}

void Shard::State::pump(const Address& address, Host& host, Instant now, Outputs& out) {
  while (!host.gated.empty() && !host.committing) {
    Effect effect = std::move(host.gated.front());
    host.gated.pop_front();
    if (auto* commit = std::get_if<Commit>(&effect)) {
      ++counters.commits;
      host.committing = true;
      take_later_commits(host, commit->batch);
      out.push_back(Write{use(address, host), std::move(commit->batch)});
    } else if (auto* page = std::get_if<Page>(&effect)) {
      out.push_back(Read{use(address, host), std::move(page->scan)});
    } else if (auto* p = std::get_if<Post>(&effect)) {
      post(std::move(p->message), out);
    } else if (auto* wake = std::get_if<Wake>(&effect)) {
      wake_in(wake->after, now, host.serial, address, out);
    } else if (auto* dial = std::get_if<Dial>(&effect)) {
      const Token token = use(address, host);
      Use& asked = *uses.find(token);
      asked.dialled = dial->session;
      asked.dialled_request = dial->request;
      out.push_back(SendCode{token, std::move(dial->phone), std::move(dial->code)});
    }
  }
}

// What waits for a later commit waits for this one too, so one write does for all of them: an
// entity that many write to costs one synchronisation each time, not one for each message. A read
// between them must not see what comes after it.
void Shard::State::take_later_commits(Host& host, ports::Batch& batch) {
  if (host.gated.empty()) return;
  Fifo<Effect> left;
  bool going = true;
  for (Effect& effect : std::exchange(host.gated, {})) {
    auto* commit = std::get_if<Commit>(&effect);
    going = going && !std::holds_alternative<Page>(effect) &&
            (commit == nullptr || batch.mutations.size() + commit->batch.mutations.size() <=
                                      limits::kMutationsPerCommit);
    if (going && commit != nullptr) {
      std::ranges::move(commit->batch.mutations, std::back_inserter(batch.mutations));
    } else {
      left.push_back(std::move(effect));
    }
  }
  host.gated = std::move(left);
}

void Shard::State::wake_in(Duration after, Instant now, std::uint64_t serial,
                           const Address& address, Outputs& out) {
  wakes.emplace(now + after, serial, address);
  set_timer(now, out);
}

void Shard::State::set_timer(Instant now, Outputs& out) {
  if (wakes.empty()) return;
  const Instant due = std::get<Instant>(wakes.top());
  if (timer && *timer <= due) return;
  timer = due;
  out.push_back(Timer{std::max(due - now, Duration{})});
}

void Shard::State::wake_some(Env& env, Outputs& out) {
  const bool set_back = env.now < last_wake;
  last_wake = env.now;
  timer.reset();  // this was it; a clock that is behind the timers' is no reason to forget the
                  // rest
  for (std::size_t most = wakes.size(); most > 0 && !wakes.empty(); --most) {
    if (std::get<Instant>(wakes.top()) > env.now && !set_back) break;
    const auto [due, serial, address] = wakes.top();
    wakes.pop();
    Host* host = hosts.find(address);
    if (host == nullptr || host->serial != serial) continue;
    Effects effects;
    host->entity->on_wake(env, effects);
    perform(address, *host, std::move(effects), env, out);
  }
  set_timer(env.now, out);
}

void Shard::State::forget(const Address& address, Host& host, Outputs& out) {
  ++counters.commit_failures;
  for (const Message& message : host.waiting) refuse_message(message, kCannotStore, out);
  for (Effect& effect : host.gated) {
    if (const auto* p = std::get_if<Post>(&effect)) {
      const bool push = p->message.verb == Verb::kPush;
      if (p->message.verb == Verb::kKick) post(p->message, out);
      else if (!push) refuse_message(p->message, kCannotStore, out);
    } else if (const auto* dial = std::get_if<Dial>(&effect)) {
      Message asked;
      asked.session = dial->session;
      asked.request = dial->request;
      refuse_message(asked, kCannotStore, out);
    }
  }
  Effects last;
  if (host.entity) host.entity->on_lost(last);
  if (!host.entity && address.kind == Address::Kind::kAccount) give_up(address.key, last);
  // What it had to fan out would wait for somebody to say something else: the next tick looks.
  if (address.kind == Address::Kind::kGroup) fanouts_asked = 0;
  hosts.erase(address);
  for (Effect& effect : last) {
    if (auto* p = std::get_if<Post>(&effect)) post(std::move(p->message), out);
  }
}

void Shard::State::give_up(const EntityKey& user, Effects& out) {
  static constexpr Error kReload{Code::kUnavailable, "the server could not read: reconnect"};
  const auto at = awake.find(user);
  if (at == awake.end()) return;
  for (const AttachmentRecord& record : at->second) out.push_back(kick(record.session, kReload));
  awake.erase(at);
}

void Shard::State::visit(const Address& address, Host& host, Instant at) {
  host.visit = at;
  visits.emplace(at, host.serial, address);
}

void Shard::State::retire(std::size_t most, Env& env, Outputs& out) {
  for (; most > 0 && !visits.empty() && std::get<Instant>(visits.top()) <= env.now; --most) {
    const auto [due, serial, address] = visits.top();
    visits.pop();
    Host* found = hosts.find(address);
    if (found == nullptr || found->serial != serial || found->visit != due) continue;
    Host& host = *found;
    host.visit = kNever;
    if (host.entity && host.entity->due() <= env.now) {
      Effects effects;
      host.entity->on_tick(env, effects);
      perform(address, host, std::move(effects), env, out);
    }
    const Instant again = needed_until(host, env.now);
    if (!host.entity) {
      visit(address, host, again);
      continue;
    }
    if (again <= env.now) sleep(address, host);
    else visit(address, host, std::min({again, host.visit, host.entity->due()}));
  }
}

Instant Shard::State::needed_until(const Host& host, Instant now) const {
  if (!host.entity || host.committing || !host.gated.empty()) return now + kUnused;
  switch (host.entity->loss(now)) {
    case Entity::Loss::kNothing: return host.used + kUnused;
    case Entity::Loss::kMemory: return host.used + kRemembering;
    case Entity::Loss::kState: break;
  }
  return now + kRemembering;
}

void Shard::State::sleep(const Address& address, const Host& host) {
  if (address.kind == Address::Kind::kAccount) {
    dormant.sleep(address.key, static_cast<Account&>(*host.entity).attachments());
  }
  hosts.erase(address);
}

Shard::State::Host* Shard::State::redeem(Token token, Use& use) {
  const Use* found = uses.find(token);
  if (found == nullptr) return nullptr;
  use = *found;
  uses.erase(token);
  Host* host = hosts.find(use.address);
  return host != nullptr && host->serial == use.serial ? host : nullptr;
}

}  // namespace godwit::server
