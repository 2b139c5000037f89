#include "apps/e2e_peer/peer.h"

#include "base/codec.h"
#include "base/limits.h"

namespace godwit::e2e_peer {
namespace {

// Far more than a test needs; whoever drives this program gets no further.
constexpr std::size_t kMaxEntries = 20000;

constexpr std::uint32_t kFirstOneTimeId = 31337;
constexpr std::uint32_t kFirstSignedId = 22;
constexpr std::uint32_t kFirstKyberId = 7;

std::unexpected<Error> full() { return fail(Code::kFull, "this peer keeps too many of these"); }

std::optional<e2e::DeviceAddress> device_address(const Address& address) {
  const auto user = parse_uuid(address.name);
  if (!user) return std::nullopt;
  return e2e::DeviceAddress{{*user}, address.device};
}

}  // namespace

std::optional<ByteArray<16>> parse_uuid(std::string_view text) {
  std::string digits(text);
  if (digits.size() != 36) return std::nullopt;
  for (const std::size_t at : {23u, 18u, 13u, 8u}) {
    if (digits[at] != '-') return std::nullopt;
    digits.erase(at, 1);
  }
  const auto octets = from_hex(digits);
  if (!octets) return std::nullopt;
  return to_array<16>(*octets);
}

std::string uuid_text(ByteView octets) {
  std::string text = to_hex(octets);
  for (const std::size_t at : {8u, 13u, 18u, 23u}) text.insert(at, 1, '-');
  return text;
}

const e2e::SignedPrekey* PrekeyShelf::find_signed(e2e::SignedPrekeyId id) const {
  const auto found = signed_prekeys.find(id);
  return found == signed_prekeys.end() ? nullptr : &found->second;
}

const e2e::OneTimePrekey* PrekeyShelf::find_one_time(e2e::OneTimePrekeyId id) const {
  const auto found = one_time_prekeys.find(id);
  return found == one_time_prekeys.end() ? nullptr : &found->second;
}

std::optional<crypto::Kem1024SecretKey> PrekeyShelf::find_kyber(e2e::KyberPrekeyId id) const {
  const auto found = kyber_prekeys.find(id);
  if (found == kyber_prekeys.end()) return std::nullopt;
  return found->second.secret_key();
}

bool PrekeyShelf::was_used(const e2e::KyberUse& use) const {
  return std::ranges::find(uses, use) != uses.end();
}

Result<e2e::PrekeyBundle> Peer::make_bundle(bool one_time, bool kyber, Entropy& entropy) {
  if (bundles_ == kMaxEntries) return full();
  const std::uint32_t number = bundles_++;
  auto prekey = e2e::SignedPrekey::make({kFirstSignedId + number}, own_, entropy);
  e2e::PrekeyBundle bundle{own_.registration_id, self_.device,    own_.public_key(), prekey.id,
                           prekey.public_key(),  prekey.signature};
  prekeys_.signed_prekeys.insert_or_assign(prekey.id, std::move(prekey));
  if (one_time) {
    auto made = e2e::OneTimePrekey::make({kFirstOneTimeId + number}, entropy);
    bundle.one_time_prekey = {made.id, made.public_key()};
    prekeys_.one_time_prekeys.insert_or_assign(made.id, std::move(made));
  }
  if (kyber && options_.protocol != e2e::Protocol::kX3dh) {
    auto made = e2e::KyberPrekey::make({kFirstKyberId + number}, own_, entropy);
    bundle.kyber_prekey = {made.id, made.public_key(), made.signature};
    prekeys_.kyber_prekeys.insert_or_assign(made.id, std::move(made));
  }
  return bundle;
}

Result<e2e::Session> Peer::load(const Address& with) const {
  const auto found = sessions_.find(with);
  if (found != sessions_.end()) return e2e::Session::parse(found->second.view());
  if (sessions_.size() == kMaxEntries) return full();
  const auto ours = device_address(self_), theirs = device_address(with);
  if (!ours || !theirs) return e2e::Session();
  return e2e::Session(*ours, *theirs);
}

const e2e::PublicKey* Peer::pinned(const Address& with) const {
  const auto found = identities_.find(with);
  return options_.trust_all || found == identities_.end() ? nullptr : &found->second;
}

Result<void> Peer::process(const Address& with, const e2e::PrekeyBundle& bundle, Env& env) {
  auto session = load(with);
  if (!session) return fail(session.error());
  GODWIT_TRY(e2e::start_session(*session, own_, bundle, pinned(with), env, options_.protocol));
  sessions_.insert_or_assign(with, session->serialize());
  identities_.insert_or_assign(with, bundle.identity_key);
  return {};
}

Result<e2e::Encrypted> Peer::encrypt(const Address& to, ByteView plaintext, Env& env) {
  auto session = load(to);
  if (!session) return fail(session.error());
  auto encrypted = e2e::encrypt(*session, own_, plaintext, env);
  if (encrypted) sessions_.insert_or_assign(to, session->serialize());
  return encrypted;
}

Result<Peer::Read> Peer::decrypt(const Address& from, e2e::MessageType type, ByteView message,
                                 Env& env) {
  auto session = load(from);
  if (!session) return fail(session.error());
  auto decrypted =
      e2e::decrypt(*session, own_, prekeys_, type, message, pinned(from), env, options_.protocol);
  if (!decrypted) return fail(decrypted.error());
  Read read{std::move(decrypted->plaintext)};
  sessions_.insert_or_assign(from, session->serialize());
  identities_.insert_or_assign(from, decrypted->sender);
  if (const auto& used = decrypted->kyber_use) {
    if (prekeys_.uses.size() == kMaxEntries) prekeys_.uses.erase(prekeys_.uses.begin());
    prekeys_.uses.push_back(*used);
    read.events.push_back("markKyberPreKeyUsed " + std::to_string(used->prekey.value));
  }
  if (const auto& used = decrypted->consumed_prekey) {
    prekeys_.one_time_prekeys.erase(*used);
    read.events.push_back("removePreKey " + std::to_string(used->value));
  }
  return read;
}

Result<e2e::SenderKey> Peer::load_sender_key(const SenderKeyName& name) const {
  const auto found = sender_keys_.find(name);
  if (found != sender_keys_.end()) return e2e::SenderKey::parse(found->second.view());
  if (sender_keys_.size() == kMaxEntries) return full();
  return e2e::SenderKey();
}

Result<Bytes> Peer::distribution_message(const e2e::DistributionId& id, Entropy& entropy) {
  auto key = load_sender_key({self_, id});
  if (!key) return fail(key.error());
  if (!key->can_encrypt()) key->create(id, entropy);
  sender_keys_.insert_or_assign({self_, id}, key->serialize());
  return key->distribution_message();
}

Result<void> Peer::learn(const Address& from, ByteView distribution_message) {
  const auto id = e2e::SenderKey::distribution_of(distribution_message);
  if (!id) return fail(id.error());
  auto key = load_sender_key({from, *id});
  if (!key) return fail(key.error());
  GODWIT_TRY(key->learn(distribution_message));
  sender_keys_.insert_or_assign({from, *id}, key->serialize());
  return {};
}

Result<Bytes> Peer::group_encrypt(const e2e::DistributionId& id, ByteView plaintext,
                                  Entropy& entropy) {
  auto key = load_sender_key({self_, id});
  if (!key) return fail(key.error());
  auto message = key->encrypt(plaintext, entropy);
  if (message) sender_keys_.insert_or_assign({self_, id}, key->serialize());
  return message;
}

Result<Bytes> Peer::group_decrypt(const Address& from, ByteView message) {
  const auto id = e2e::SenderKey::distribution_of(message);
  if (!id) return fail(id.error());
  auto key = load_sender_key({from, *id});
  if (!key) return fail(key.error());
  auto plaintext = key->decrypt(message);
  if (plaintext) sender_keys_.insert_or_assign({from, *id}, key->serialize());
  return plaintext;
}

Result<Bytes> Peer::seal_for_one(const Address& to, e2e::SealedContent content, ByteView plaintext,
                                 Env& env) {
  auto encrypted = encrypt(to, plaintext, env);
  if (!encrypted) return fail(encrypted.error());
  content.type = encrypted->type == e2e::MessageType::kPrekey ? e2e::SealedType::kPrekey
                                                              : e2e::SealedType::kWhisper;
  content.message = std::move(encrypted->message);
  return e2e::seal_for_one(content, own_, *load(to)->remote_identity(), env.entropy);
}

Result<Bytes> Peer::seal_for_many(std::span<const Address> to, const e2e::DistributionId& id,
                                  e2e::SealedContent content, ByteView plaintext,
                                  Entropy& entropy) {
  std::vector<e2e::SealedRecipient> recipients;
  for (const Address& address : to) {
    const auto user = parse_uuid(address.name);
    if (!user) return fail(Code::kInvalid, "a recipient's name is no UUID");
    const auto session = load(address);
    if (!session) return fail(session.error());
    if (!session->has_current()) return fail(Code::kNotFound, "no session with a recipient");
    const e2e::SealedRecipient::Device device{address.device, *session->remote_registration_id()};
    if (!recipients.empty() && recipients.back().user == UserId{*user}) {
      recipients.back().devices.push_back(device);
    } else {
      recipients.push_back({{*user}, *session->remote_identity(), {device}});
    }
  }
  auto encrypted = group_encrypt(id, plaintext, entropy);
  if (!encrypted) return fail(encrypted.error());
  content.type = e2e::SealedType::kSenderKey;
  content.message = std::move(*encrypted);
  return e2e::seal_for_many(content, own_, recipients, entropy);
}

Result<e2e::SealedContent> Peer::unseal(ByteView message, const e2e::PublicKey& trust_root,
                                        Instant at) const {
  const auto user = parse_uuid(self_.name);
  if (!user) return fail(Code::kInvalid, "sealed sender needs names that are UUIDs");
  return e2e::open_sealed(message, {own_, {*user}, self_.device, trust_root}, at);
}

Result<Peer::Read> Peer::read(const e2e::SealedContent& content, Env& env) {
  const Address from{uuid_text(content.sender.user.octets), content.sender.device};
  switch (content.type) {
    case e2e::SealedType::kPrekey:
      return decrypt(from, e2e::MessageType::kPrekey, content.message, env);
    case e2e::SealedType::kWhisper:
      return decrypt(from, e2e::MessageType::kWhisper, content.message, env);
    case e2e::SealedType::kPlaintext: return Read{content.message};
    case e2e::SealedType::kSenderKey: break;
  }
  auto plaintext = group_decrypt(from, content.message);
  if (!plaintext) return fail(plaintext.error());
  return Read{std::move(*plaintext)};
}

// ---- the exported state

namespace {

struct Named {  // a record, by the address and distribution that it is of
  std::string name;
  DeviceId device;
  Bytes distribution;
  Bytes record;
  static void fields(auto& m, auto& field) {
    field(1, m.name, 1024);
    field(2, m.device);
    field(3, m.distribution, 16);
    field(4, m.record, limits::kMaxSessionRecord);
  }
  Address address() const { return {name, device}; }
};

struct Use {
  e2e::KyberPrekeyId prekey;
  e2e::SignedPrekeyId signed_prekey;
  Bytes base_key;
  static void fields(auto& m, auto& field) {
    field(1, m.prekey);
    field(2, m.signed_prekey);
    field(3, m.base_key, e2e::PublicKey::kSize);
  }
};

struct State {
  std::string name;
  DeviceId device;
  Bytes identity;
  std::uint8_t protocol = 0;
  std::uint8_t trust_all = 0;
  std::uint32_t bundles = 0;
  std::vector<Bytes> signed_prekeys, one_time_prekeys, kyber_prekeys;
  std::vector<Use> uses;
  std::vector<Named> sessions, identities, sender_keys;
  static void fields(auto& m, auto& field) {
    field(1, m.name, 1024);
    field(2, m.device);
    field(3, m.identity, 1024);
    field(4, m.protocol);
    field(5, m.trust_all);
    field(6, m.bundles);
    field(7, m.signed_prekeys, kMaxEntries);
    field(8, m.one_time_prekeys, kMaxEntries);
    field(9, m.kyber_prekeys, kMaxEntries);
    field(10, m.uses, kMaxEntries);
    field(11, m.sessions, kMaxEntries);
    field(12, m.identities, kMaxEntries);
    field(13, m.sender_keys, kMaxEntries);
  }
};

template <typename Id, typename Prekey>
void store(const std::map<Id, Prekey>& prekeys, std::vector<Bytes>& to) {
  for (const auto& [id, prekey] : prekeys) to.push_back(to_bytes(prekey.serialize().view()));
}

template <typename Id, typename Prekey>
bool restore(const std::vector<Bytes>& from, std::map<Id, Prekey>& prekeys) {
  for (const Bytes& record : from) {
    auto prekey = Prekey::parse(record);
    if (!prekey) return false;
    prekeys.insert_or_assign(prekey->id, std::move(*prekey));
  }
  return true;
}

}  // namespace

crypto::SecretBytes Peer::serialize() const {
  State state{self_.name, self_.device, to_bytes(own_.serialize().view())};
  state.protocol = static_cast<std::uint8_t>(options_.protocol);
  state.trust_all = options_.trust_all;
  state.bundles = bundles_;
  store(prekeys_.signed_prekeys, state.signed_prekeys);
  store(prekeys_.one_time_prekeys, state.one_time_prekeys);
  store(prekeys_.kyber_prekeys, state.kyber_prekeys);
  for (const auto& use : prekeys_.uses) {
    state.uses.push_back({use.prekey, use.signed_prekey, to_bytes(ByteView(use.base_key.wire()))});
  }
  for (const auto& [with, record] : sessions_) {
    state.sessions.push_back({with.name, with.device, {}, to_bytes(record.view())});
  }
  for (const auto& [with, key] : identities_) {
    state.identities.push_back({with.name, with.device, {}, to_bytes(ByteView(key.wire()))});
  }
  for (const auto& [name, key] : sender_keys_) {
    state.sender_keys.push_back({name.first.name, name.first.device,
                                 to_bytes(ByteView(name.second)), to_bytes(key.view())});
  }
  return crypto::SecretBytes(encode(state));
}

Result<Peer> Peer::parse(ByteView wire) {
  const auto state = decode<State>(wire);
  if (!state) return fail(state.error());
  auto own = e2e::LocalIdentity::parse(state->identity);
  if (!own) return fail(own.error());
  if (state->protocol > static_cast<std::uint8_t>(e2e::Protocol::kPqxdhSpqrLater)) {
    return fail(Code::kUnsupported, "the state speaks another protocol");
  }
  const Options options{static_cast<e2e::Protocol>(state->protocol), state->trust_all != 0};
  Peer peer({state->name, state->device}, std::move(*own), options);
  peer.bundles_ = state->bundles;
  bool good = restore(state->signed_prekeys, peer.prekeys_.signed_prekeys) &&
              restore(state->one_time_prekeys, peer.prekeys_.one_time_prekeys) &&
              restore(state->kyber_prekeys, peer.prekeys_.kyber_prekeys);
  for (const Use& use : state->uses) {
    const auto base_key = e2e::PublicKey::parse(use.base_key);
    good = good && base_key;
    if (good) peer.prekeys_.uses.push_back({use.prekey, use.signed_prekey, *base_key});
  }
  for (const Named& session : state->sessions) {
    good = good && e2e::Session::parse(session.record);
    peer.sessions_.insert_or_assign(session.address(), crypto::SecretBytes(session.record));
  }
  for (const Named& identity : state->identities) {
    const auto key = e2e::PublicKey::parse(identity.record);
    good = good && key;
    if (good) peer.identities_.insert_or_assign(identity.address(), *key);
  }
  for (const Named& sender : state->sender_keys) {
    const auto id = to_array<16>(sender.distribution);
    good = good && id && e2e::SenderKey::parse(sender.record);
    if (!good) break;
    peer.sender_keys_.insert_or_assign({sender.address(), *id}, crypto::SecretBytes(sender.record));
  }
  if (!good) return fail(Code::kCorrupt, "the state is damaged");
  return peer;
}

}  // namespace godwit::e2e_peer
