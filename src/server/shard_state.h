// Shard::State: the entities of a shard with what waits for them, and the routes between them.
// Internal to shard.
#pragma once

#include <deque>
#include <map>
#include <queue>
#include <tuple>

#include "base/check.h"
#include "base/lookup.h"
#include "crypto/short_hash.h"
#include "server/dormant.h"
#include "server/effects.h"
#include "server/fifo.h"
#include "server/session.h"
#include "server/shard.h"
#include "server/shedding.h"

namespace godwit::server {

struct Shard::State {
  struct Address {
    enum class Kind : std::uint8_t { kAccount, kDirectory, kGroup } kind{};
    EntityKey key{};
    auto operator<=>(const Address&) const = default;
  };
  // Keyed: clients name users and groups as they like.
  struct AddressHash {
    ByteArray<16> key;
    std::size_t operator()(const Address& address) const {
      return crypto::short_hash(key, address.key) + static_cast<std::size_t>(address.kind);
    }
  };
  struct Counted {  // ids that are counted, by this shard or its loop
    std::size_t operator()(SessionId id) const noexcept { return id.value; }
    std::size_t operator()(Token token) const noexcept { return token; }
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
    SessionAddress dialled;  // of a Dial: who waits for the answer
    std::uint64_t dialled_request = 0;
    Instant since;  // when what led to it arrived
  };

  explicit State(ShardConfig c) : config(c), hosts({hash_key(c)}) {
    CHECK(config.placement != nullptr);
  }

  ShardConfig config;
  Counters counters;
  Lookup<SessionId, Session, Counted> sessions;
  Lookup<Address, Host, AddressHash> hosts;
  std::map<Slot, SequenceSource> sequences;
  Lookup<Token, Use, Counted> uses;
  std::deque<Message> inbox;  // posted within this shard, not yet handled
  Token next_token = 1;
  Token fanouts_asked = 0;  // 0: not yet, or in vain
  std::uint64_t next_serial = 1;
  Instant last_wake;
  std::optional<Instant> timer;  // the soonest Timer under way
  Dormant dormant;
  Duration commit_took;  // the last one that ended
  Shedding shedding;
  // Of another process: attached devices whose account is to be loaded at once.
  std::map<EntityKey, std::vector<AttachmentRecord>> awake;
  // Hosts by Host::visit, soonest first; others are left over.
  using Visit = std::tuple<Instant, std::uint64_t, Address>;
  std::priority_queue<Visit, std::vector<Visit>, std::greater<>> visits;
  // Of Wakes, soonest first.
  std::priority_queue<Visit, std::vector<Visit>, std::greater<>> wakes;

  static ByteArray<16> hash_key(const ShardConfig& config);
  // ---- routing
  void post(Message message, Outputs& out);
  // Handles what was posted until nothing is left. Each message is answered by at most a few
  // others and no two verbs answer each other, so this ends.
  void settle(Env& env, Outputs& out);
  // Looks at what is due, and does what follows from it.
  void settle(std::size_t visits_at_most, Env& env, Outputs& out);
  void to_own_session(Message message, Outputs& out);
  void to_entity(Message message, Env& env, Outputs& out);
  // A message to an account that is not loaded, and need not be.
  bool sleeps_on(const Message& message, Outputs& out);
  void refuse_message(const Message& message, Error error, Outputs& out, Duration retry = {});
  // The loop is behind. What makes more work for it is refused before it costs any; what makes
  // less of it (acknowledgements) goes on, so that the server recovers. What comes from another
  // shard passed its check: here it meets that of those it is for.
  bool sheds(const proto::Frame& frame);
  bool sheds(const Message& message);
  // The same when the store is behind.
  bool store_is_behind(const Message& message) const;
  void refuse_busy(const Message& message, Outputs& out);
  static SharedBytes busy_frame(std::uint64_t request);
  static Address::Kind kind_of(Verb verb);
  // ---- loading
  // Groups that had something to deliver when the process before ended.
  void ask_for_fanouts(Outputs& out);
  void wake_groups(const std::vector<ports::Row>& partitions, Outputs& out);
  std::vector<ports::Scan> load_scans(const Address& address) const;
  Host& load(const Address& address, Instant now, Outputs& out);
  SequenceSource& sequences_of(const EntityKey& key);
  void loaded(const Address& address, Host& host, Env& env, Outputs& out);
  // ---- effects
  Token use(const Address& address, const Host& host, std::size_t load_step = SIZE_MAX);
  void perform(SessionId session, Effects effects, Outputs& out);
  void perform(const Address& address, Host& host, Effects effects, Env& env, Outputs& out);
  // Performs what no commit gates.
  void pump(const Address& address, Host& host, Instant now, Outputs& out);
  void take_later_commits(Host& host, ports::Batch& batch);
  void wake_in(Duration after, Instant now, std::uint64_t serial, const Address& address,
               Outputs& out);
  void set_timer(Instant now, Outputs& out);
  // Wakes those whose time has come; all, when the clock was set back.
  void wake_some(Env& env, Outputs& out);
  // A commit or a read failed: what the entity believed may not be what is stored.
  void forget(const Address& address, Host& host, Outputs& out);
  // What was taken over of an account that cannot be loaded: its sessions count on it.
  void give_up(const EntityKey& user, Effects& out);
  void visit(const Address& address, Host& host, Instant at);
  // Tells entities that are due, and forgets what nobody has needed for a while: of the `most`
  // whose time has come.
  void retire(std::size_t most, Env& env, Outputs& out);
  Instant needed_until(const Host& host, Instant now) const;
  void sleep(const Address& address, const Host& host);
  // The host that a token was given for, if it is still the same, or null; `use` tells for what.
  Host* redeem(Token token, Use& use);
};

}  // namespace godwit::server
