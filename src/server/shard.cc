#include "server/shard.h"

#include <algorithm>
#include <deque>
#include <map>
#include <queue>
#include <tuple>

#include "base/check.h"
#include "server/account.h"
#include "server/directory.h"
#include "server/dormant.h"
#include "server/fifo.h"
#include "server/group.h"
#include "server/session.h"

namespace godwit::server {
namespace {

// How long an entity is kept unused: one of which nothing would be lost, one that remembers.
constexpr Duration kUnused = seconds(2);
constexpr Duration kRemembering = seconds(60);
// Entities looked at for that: enough per event for more than an event can load.
constexpr std::size_t kVisitsPerEvent = 4;
constexpr std::size_t kVisitsPerTick = 1024;
constexpr std::size_t kWaitingMessages = 1024;    // for one entity while it loads
constexpr std::size_t kMaxEntities = 1'000'000;   // a wall against floods of unknown ids

constexpr std::uint32_t kSessionField = 1, kAttachmentField = 2;  // of a handover

constexpr Error kCannotStore{Code::kUnavailable,
                             "the server cannot store now (is its disk full?): it is retried"};
constexpr Error kBusy{Code::kUnavailable, "the server is overloaded: it is retried"};

}  // namespace

struct Shard::State {
  struct Address {
    enum class Kind : std::uint8_t { kAccount, kDirectory, kGroup } kind{};
    EntityKey key{};
    auto operator<=>(const Address&) const = default;
  };
  // An entity with what waits for it. Its serial tells it from an earlier one of the same address.
  struct Host {
    std::uint64_t serial = 0;
    std::unique_ptr<Entity> entity;  // null while its rows are read
    std::vector<std::vector<ports::Row>> rows;  // of each scan that loads it
    std::size_t rows_missing = 0;  // scans not answered yet
    Fifo<Message> waiting;  // for the entity to be loaded
    Fifo<Effect> gated;  // behind the commit under way
    bool committing = false;
    Instant used;
    Instant visit;  // when to see whether it is still needed, or has something to do
  };
  struct Use {  // what a token was given for
    Address address;
    std::uint64_t serial = 0;
    std::size_t load_step = SIZE_MAX;  // index into the scans that load the entity
    Message dialled;  // of a Dial: who waits for the answer
    Instant since;  // when what led to it arrived
  };

  explicit State(ShardConfig c) : config(c) { CHECK(config.placement != nullptr); }

  ShardConfig config;
  Counters counters;
  std::map<SessionId, Session> sessions;
  std::map<Address, Host> hosts;
  std::map<Slot, SequenceSource> sequences;
  std::map<Token, Use> uses;
  std::deque<Message> inbox;  // posted within this shard, not yet handled
  Token next_token = 1;
  Token fanouts_asked = 0;  // 0: not yet, or in vain
  std::uint64_t next_serial = 1;
  Instant last_wake;
  std::optional<Instant> timer;  // the soonest Timer under way
  Dormant dormant;
  Duration commit_took;  // the last one that ended
  // Of another process: attached devices whose account is to be loaded at once.
  std::map<EntityKey, std::vector<AttachmentRecord>> awake;
  // Hosts by Host::visit, soonest first; others are left over.
  using Visit = std::tuple<Instant, std::uint64_t, Address>;
  std::priority_queue<Visit, std::vector<Visit>, std::greater<>> visits;
  // Of Wakes, soonest first.
  std::priority_queue<Visit, std::vector<Visit>, std::greater<>> wakes;

  // ---- routing

  void post(Message message, Outputs& out) {
    const ShardId to = to_session(message.verb) ? message.session.shard
                                                : config.placement->owner(slot_of(message.to));
    if (to == config.id) {
      inbox.push_back(std::move(message));
    } else {
      out.push_back(Publish{to, encode(message)});
    }
  }

  // Handles what was posted until nothing is left. Each message is answered by at most a few
  // others and no two verbs answer each other, so this ends.
  void settle(Env& env, Outputs& out) {
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

  // Looks at what is due, and does what follows from it.
  void settle(std::size_t visits_at_most, Env& env, Outputs& out) {
    settle(env, out);
    retire(visits_at_most, env, out);
    settle(env, out);
  }

  void to_own_session(Message message, Outputs& out) {
    const auto it = sessions.find(message.session.id);
    if (it != sessions.end()) {
      Effects effects;
      it->second.on_message(std::move(message), effects);
      perform(message.session.id, std::move(effects), out);
      return;
    }
    if (message.verb != Verb::kPush && message.verb != Verb::kAttached) return;
    Message gone;
    gone.verb = Verb::kDetach;
    gone.to = message.from.octets;
    gone.session = message.session;
    post(std::move(gone), out);
  }

  void to_entity(Message message, Env& env, Outputs& out) {
    if (refuses(message)) {
      ++counters.overloaded;
      return refuse_message(message, kBusy, out, limits::kOverloadRetry);
    }
    const Address address{kind_of(message.verb), message.to};
    auto it = hosts.find(address);
    if (it == hosts.end()) {
      if (address.kind == Address::Kind::kAccount && sleeps_on(message, out)) return;
      if (hosts.size() >= kMaxEntities)
        return refuse_message(message, kBusy, out, limits::kOverloadRetry);
      it = load(address, env.now, out);
    }
    Host& host = it->second;
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

  // A message to an account that is not loaded, and need not be.
  bool sleeps_on(const Message& message, Outputs& out) {
    Effects effects;
    if (!dormant.on_message(message, effects)) return false;
    for (Effect& effect : effects) {
      if (auto* p = std::get_if<Post>(&effect)) post(std::move(p->message), out);
    }
    return true;
  }

  void refuse_message(const Message& message, Error error, Outputs& out, Duration retry = {}) {
    if (message.request != 0) post(refuse(message, error, retry).message, out);
  }

  // The store is behind. What makes more work for it is refused before it costs any; what makes
  // less of it (acknowledgements) goes on, so that the server recovers.
  bool refuses(const Message& message) const {
    const bool more = message.verb == Verb::kSubmit || message.verb == Verb::kGroupSubmit;
    return more && uses.size() >= limits::kOverloadedUses && commit_took > limits::kOverloaded;
  }

  static Address::Kind kind_of(Verb verb) {
    if (to_directory(verb)) return Address::Kind::kDirectory;
    return to_group(verb) ? Address::Kind::kGroup : Address::Kind::kAccount;
  }

  // ---- loading

  // Groups that had something to deliver when the process before ended.
  void ask_for_fanouts(Outputs& out) {
    ports::Scan scan{{}, ports::Space::kFanout, {}, {}};
    scan.partitions = true;
    fanouts_asked = next_token++;
    out.push_back(Read{fanouts_asked, std::move(scan)});
  }

  void wake_groups(const std::vector<ports::Row>& partitions, Outputs& out) {
    for (const ports::Row& row : partitions) {
      const auto key = to_array<16>(row.key);
      if (!key || config.placement->owner(slot_of(*key)) != config.id) continue;
      Message wake;
      wake.verb = Verb::kGroupWake;
      wake.to = *key;
      post(std::move(wake), out);
    }
  }

  std::vector<ports::Scan> load_scans(const Address& address) const {
    switch (address.kind) {
      case Address::Kind::kDirectory: return Directory::load_scans(address.key);
      case Address::Kind::kGroup: return Group::load_scans(address.key);
      case Address::Kind::kAccount: break;
    }
    return Account::load_scans(address.key);
  }

  std::map<Address, Host>::iterator load(const Address& address, Instant now, Outputs& out) {
    const auto it = hosts.try_emplace(address).first;
    it->second.serial = next_serial++;
    visit(address, it->second, now + kUnused);
    const auto scans = load_scans(address);
    it->second.rows.resize(scans.size());
    it->second.rows_missing = scans.size();
    for (std::size_t i = 0; i < scans.size(); ++i) {
      out.push_back(Read{use(address, it->second, i), scans[i]});
    }
    return it;
  }

  SequenceSource& sequences_of(const EntityKey& key) {
    const Slot slot = slot_of(key);
    const std::uint32_t epoch = config.placement->lease(slot).epoch;
    return sequences.try_emplace(slot, epoch).first->second;
  }

  void loaded(const Address& address, Host& host, Env& env, Outputs& out) {
    if (address.kind == Address::Kind::kDirectory) {
      host.entity = std::make_unique<Directory>(address.key, host.rows);
    } else if (address.kind == Address::Kind::kGroup) {
      host.entity =
          std::make_unique<Group>(address.key, host.rows, sequences_of(address.key), counters);
    } else {
      auto account =
          std::make_unique<Account>(address.key, host.rows, dormant.wake(address.key),
                                    sequences_of(address.key), counters, config.write_behind);
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

  Token use(const Address& address, const Host& host, std::size_t load_step = SIZE_MAX) {
    uses[next_token] = {address, host.serial, load_step, {}, host.used};
    return next_token++;
  }

  void perform(SessionId session, Effects effects, Outputs& out) {
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

  void perform(const Address& address, Host& host, Effects effects, Env& env, Outputs& out) {
    for (Effect& effect : effects) host.gated.push_back(std::move(effect));
    host.used = env.now;
    pump(address, host, env.now, out);
    if (host.entity->due() < host.visit) visit(address, host, host.entity->due());
  }

  // Performs what no commit gates.
  void pump(const Address& address, Host& host, Instant now, Outputs& out) {
    while (!host.gated.empty() && !host.committing) {
      Effect effect = std::move(host.gated.front());
      host.gated.pop_front();
      if (auto* commit = std::get_if<Commit>(&effect)) {
        ++counters.commits;
        host.committing = true;
        out.push_back(Write{use(address, host), std::move(commit->batch)});
      } else if (auto* page = std::get_if<Page>(&effect)) {
        out.push_back(Read{use(address, host), std::move(page->scan)});
      } else if (auto* p = std::get_if<Post>(&effect)) {
        post(std::move(p->message), out);
      } else if (auto* wake = std::get_if<Wake>(&effect)) {
        wake_in(wake->after, now, host.serial, address, out);
      } else if (auto* dial = std::get_if<Dial>(&effect)) {
        const Token token = use(address, host);
        uses[token].dialled.session = dial->session;
        uses[token].dialled.request = dial->request;
        out.push_back(SendCode{token, std::move(dial->phone), std::move(dial->code)});
      }
    }
  }

  void wake_in(Duration after, Instant now, std::uint64_t serial, const Address& address,
               Outputs& out) {
    wakes.emplace(now + after, serial, address);
    set_timer(now, out);
  }

  void set_timer(Instant now, Outputs& out) {
    if (wakes.empty()) return;
    const Instant due = std::get<Instant>(wakes.top());
    if (timer && *timer <= due) return;
    timer = due;
    out.push_back(Timer{std::max(due - now, Duration{})});
  }

  // Wakes those whose time has come; all, when the clock was set back.
  void wake_some(Env& env, Outputs& out) {
    const bool set_back = env.now < last_wake;
    last_wake = env.now;
    timer.reset();  // this was it; a clock that is behind the timers' is no reason to forget the
                    // rest
    for (std::size_t most = wakes.size(); most > 0 && !wakes.empty(); --most) {
      if (std::get<Instant>(wakes.top()) > env.now && !set_back) break;
      const auto [due, serial, address] = wakes.top();
      wakes.pop();
      const auto it = hosts.find(address);
      if (it == hosts.end() || it->second.serial != serial) continue;
      Effects effects;
      it->second.entity->on_wake(env, effects);
      perform(address, it->second, std::move(effects), env, out);
    }
    set_timer(env.now, out);
  }

  // A commit or a read failed: what the entity believed may not be what is stored.
  void forget(const Address& address, Host& host, Outputs& out) {
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
    hosts.erase(address);
    for (Effect& effect : last) {
      if (auto* p = std::get_if<Post>(&effect)) post(std::move(p->message), out);
    }
  }

  // What was taken over of an account that cannot be loaded: its sessions count on it.
  void give_up(const EntityKey& user, Effects& out) {
    static constexpr Error kReload{Code::kUnavailable, "the server could not read: reconnect"};
    const auto at = awake.find(user);
    if (at == awake.end()) return;
    for (const AttachmentRecord& record : at->second) out.push_back(kick(record.session, kReload));
    awake.erase(at);
  }

  void visit(const Address& address, Host& host, Instant at) {
    host.visit = at;
    visits.emplace(at, host.serial, address);
  }

  // Tells entities that are due, and forgets what nobody has needed for a while: of the `most`
  // whose time has come.
  void retire(std::size_t most, Env& env, Outputs& out) {
    for (; most > 0 && !visits.empty() && std::get<Instant>(visits.top()) <= env.now; --most) {
      const auto [due, serial, address] = visits.top();
      visits.pop();
      const auto it = hosts.find(address);
      if (it == hosts.end() || it->second.serial != serial || it->second.visit != due) continue;
      Host& host = it->second;
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
      if (again <= env.now) sleep(it);
      else visit(address, host, std::min({again, host.visit, host.entity->due()}));
    }
  }

  Instant needed_until(const Host& host, Instant now) const {
    if (!host.entity || host.committing || !host.gated.empty()) return now + kUnused;
    switch (host.entity->loss(now)) {
      case Entity::Loss::kNothing: return host.used + kUnused;
      case Entity::Loss::kMemory: return host.used + kRemembering;
      case Entity::Loss::kState: break;
    }
    return now + kRemembering;
  }

  void sleep(std::map<Address, Host>::iterator it) {
    const Address& address = it->first;
    if (address.kind == Address::Kind::kAccount) {
      dormant.sleep(address.key, static_cast<Account&>(*it->second.entity).attachments());
    }
    hosts.erase(it);
  }

  // The host that a token was given for, if it is still the same; `use` tells for what.
  std::map<Address, Host>::iterator redeem(Token token, Use& use) {
    const auto it = uses.find(token);
    if (it == uses.end()) return hosts.end();
    use = std::move(it->second);
    uses.erase(it);
    const auto host = hosts.find(use.address);
    return host != hosts.end() && host->second.serial == use.serial ? host : hosts.end();
  }
};

Shard::Shard(ShardConfig config) : state_(std::make_unique<State>(config)) {}
Shard::~Shard() = default;

const Counters& Shard::counters() const {
  state_->counters.sessions = state_->sessions.size();
  state_->counters.entities = state_->hosts.size();
  state_->counters.sleeping = state_->dormant.size();
  return state_->counters;
}

void Shard::on_open(SessionId session, const PeerKey& peer, Env&, Outputs&) {
  state_->sessions.try_emplace(session, SessionAddress{state_->config.id, session}, peer);
}

void Shard::on_frame(SessionId session, proto::Frame frame, Env& env, Outputs& out) {
  const auto it = state_->sessions.find(session);
  if (it == state_->sessions.end()) return;
  Effects effects;
  it->second.on_frame(std::move(frame), state_->config.pepper, effects);
  state_->perform(session, std::move(effects), out);
  state_->settle(kVisitsPerEvent, env, out);
}

void Shard::on_closed(SessionId session, Env& env, Outputs& out) {
  const auto it = state_->sessions.find(session);
  if (it == state_->sessions.end()) return;
  Effects effects;
  it->second.on_closed(effects);
  state_->sessions.erase(it);
  state_->perform(session, std::move(effects), out);
  state_->settle(kVisitsPerEvent, env, out);
}

void Shard::on_bus(ByteView message, Env& env, Outputs& out) {
  auto decoded = decode<Message>(message);
  if (!decoded) return;
  state_->post(std::move(*decoded), out);
  state_->settle(kVisitsPerEvent, env, out);
}

void Shard::on_written(Token token, Result<void> result, Env& env, Outputs& out) {
  State::Use use;
  const auto it = state_->redeem(token, use);
  if (it == state_->hosts.end()) return;
  State::Host& host = it->second;
  state_->commit_took = env.now - use.since;
  host.committing = false;
  // R4: acknowledged only if the lease is still valid after the write returned.
  const Lease lease = state_->config.placement->lease(slot_of(use.address.key));
  if (result && lease.valid(env.now)) {
    state_->pump(use.address, host, env.now, out);
  } else {
    state_->forget(use.address, host, out);
  }
  state_->settle(kVisitsPerEvent, env, out);
}

void Shard::on_read(Token token, Result<std::vector<ports::Row>> rows, Env& env, Outputs& out) {
  if (token == state_->fanouts_asked) {
    if (rows) state_->wake_groups(*rows, out);
    else state_->fanouts_asked = 0;
    return state_->settle(kVisitsPerEvent, env, out);
  }
  State::Use use;
  const auto it = state_->redeem(token, use);
  if (it == state_->hosts.end()) return;
  State::Host& host = it->second;
  if (!rows) {
    state_->forget(use.address, host, out);
  } else if (host.entity) {
    Effects effects;
    host.entity->on_rows(std::move(*rows), env, effects);
    state_->perform(use.address, host, std::move(effects), env, out);
  } else {
    host.rows[use.load_step] = std::move(*rows);
    if (--host.rows_missing == 0) state_->loaded(use.address, host, env, out);
  }
  state_->settle(kVisitsPerEvent, env, out);
}

void Shard::on_code_sent(Token token, Result<void> result, Env& env, Outputs& out) {
  State::Use use;
  state_->redeem(token, use);
  if (use.dialled.request == 0) return;
  Post reply = result ? reply_to(use.dialled, proto::ok_frame(use.dialled.request))
                      : refuse(use.dialled, result.error());
  state_->post(std::move(reply.message), out);
  state_->settle(kVisitsPerEvent, env, out);
}

void Shard::on_timer(Env& env, Outputs& out) {
  state_->wake_some(env, out);
  state_->settle(env, out);
}

bool Shard::at_rest() const {
  const auto resting = [](const auto& entry) {
    const State::Host& host = entry.second;
    return host.entity && host.entity->rests() && !host.committing && host.gated.empty() &&
           host.waiting.empty();
  };
  return state_->uses.empty() && state_->inbox.empty() && state_->awake.empty() &&
         std::ranges::all_of(state_->hosts, resting);
}

void Shard::hand_over(Bytes& out) const {
  CHECK(at_rest());
  for (const auto& [id, session] : state_->sessions) {
    put_bytes_field(out, kSessionField, encode(session.record()));
  }
  for (const auto& [who, at] : state_->dormant.all()) {
    put_bytes_field(out, kAttachmentField,
                    encode(AttachmentRecord{who.first, who.second, at.session, at.id, at.pushes}));
  }
  for (const auto& [address, host] : state_->hosts) {
    if (address.kind != State::Address::Kind::kAccount) continue;
    for (const auto& record : static_cast<const Account&>(*host.entity).hand_over()) {
      put_bytes_field(out, kAttachmentField, encode(record));
    }
  }
}

Result<void> Shard::take_over(ByteView octets) {
  CHECK(state_->sessions.empty() && state_->hosts.empty());
  Reader reader(octets);
  while (!reader.at_end()) {
    const auto field = reader.field();
    if (!field) return fail(field.error());
    if (field->number == kSessionField) {
      const auto record = decode<SessionRecord>(field->bytes);
      if (!record) return fail(record.error());
      state_->sessions.try_emplace(state_->sessions.end(), record->id, state_->config.id, *record);
    } else if (field->number == kAttachmentField) {
      auto record = decode<AttachmentRecord>(field->bytes);
      if (!record) return fail(record.error());
      auto& awake = state_->awake;
      if (record->awake) awake[record->user].push_back(std::move(*record));
      else state_->dormant.add(*record);
    }
  }
  return {};
}

void Shard::wake(Env& env, Outputs& out) {
  for (const auto& [user, records] : state_->awake)
    state_->load({State::Address::Kind::kAccount, user}, env.now, out);
}

void Shard::on_tick(Env& env, Outputs& out) {
  if (state_->fanouts_asked == 0) state_->ask_for_fanouts(out);
  state_->settle(kVisitsPerTick, env, out);
}

void Shard::drain(Env&, Outputs& out) {
  static constexpr Error kStopping{Code::kUnavailable, "the server is restarting: reconnect"};
  for (auto& [id, session] : state_->sessions) {
    Effects effects;
    session.on_message(kick({state_->config.id, id}, kStopping, seconds(1)).message, effects);
    state_->perform(id, std::move(effects), out);
  }
}

}  // namespace godwit::server
