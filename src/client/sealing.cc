#include "client/sealing.h"

#include <algorithm>

#include "crypto/aead.h"
#include "crypto/hash.h"

namespace godwit::client {

using ports::Space;

namespace {

constexpr Duration kFarthest = days(1'000'000);  // from 1970: no clock tells a later time
constexpr Duration kLongest = days(30);  // that a certificate is believed to last

std::optional<e2e::SealedType> sealed_type(proto::CiphertextType type) {
  switch (type) {
    case proto::CiphertextType::kPrekey: return e2e::SealedType::kPrekey;
    case proto::CiphertextType::kWhisper: return e2e::SealedType::kWhisper;
    case proto::CiphertextType::kPlain: return e2e::SealedType::kPlaintext;
    default: return std::nullopt;
  }
}

std::optional<proto::CiphertextType> opened_type(e2e::SealedType type) {
  switch (type) {
    case e2e::SealedType::kPrekey: return proto::CiphertextType::kPrekey;
    case e2e::SealedType::kWhisper: return proto::CiphertextType::kWhisper;
    case e2e::SealedType::kPlaintext: return proto::CiphertextType::kPlain;
    default: return std::nullopt;  // of a group: never sealed here
  }
}

}  // namespace

proto::AccessKey Sealing::access_key(ByteView profile_key) {
  const auto key = crypto::Key::parse(profile_key);
  if (!key) return {};
  static constexpr ByteArray<crypto::kGcmNonce> kNonce{};
  static constexpr proto::AccessKey kZeros{};
  Bytes out;
  crypto::aes_gcm_seal(key->view(), kNonce, {}, kZeros, out);
  return *to_array<std::tuple_size_v<proto::AccessKey>>(ByteView(out).first(kZeros.size()));
}

// ---- the certificate

void Sealing::on_attached(const proto::Attached& attached, Turn& turn) {
  const std::int64_t told = attached.server_time.ms;  // anything, from a server that is not ours
  ahead_ = Instant{std::clamp<std::int64_t>(told, 0, kFarthest.ms)} - turn.env.now;
  again_ = {};
  gives_none_ = false;
  if (row_.profile_key.empty()) {
    row_.profile_key = to_bytes(turn.env.entropy.draw<32>());
    turn.put(Space::kProfile, row_key('Z'), encode(row_));
  }
  on_tick(turn);
}

void Sealing::on_tick(Turn& turn) {
  if (!asking_ && deadline() <= turn.env.now) ask(turn);
}

Instant Sealing::deadline() const {
  if (asking_ || !parts_.connection.attached()) return kNever;
  if (!certificate_) return again_;
  const std::int64_t before = limits::kCertificateRenewal.ms + ahead_.ms;
  return std::max(Instant{certificate_->expires.ms - before}, again_);
}

void Sealing::ask(Turn& turn) {
  asking_ = true;
  parts_.connection.ask({.kind = proto::Kind::kCertify},
                        encode(proto::Certify{access_key(row_.profile_key)}), turn);
}

void Sealing::on_certified(const proto::Certified& answer, Turn& turn) {
  asking_ = false;
  again_ = turn.env.now + limits::kCertificateRetry;  // should it be of no use
  const Profile& own = parts_.registration.profile();
  const auto certificate = e2e::SenderCertificate::parse(answer.certificate);
  const auto root = e2e::PublicKey::parse(answer.trust_root);
  if (!certificate || !root || certificate->user != own.user || certificate->device != own.device ||
      certificate->identity_key != parts_.keyring.identity().public_key() ||
      !certificate->validate(*root, turn.env.now + ahead_) ||
      certificate->expires > turn.env.now + ahead_ + kLongest) {
    return;
  }
  row_.certificate = answer.certificate;
  row_.trust_root = answer.trust_root;
  turn.put(Space::kProfile, row_key('Z'), encode(row_));
  adopt();
}

void Sealing::on_refused(const proto::ErrorBody& error, Turn& turn) {
  asking_ = false;
  gives_none_ = error.code == Code::kUnsupported;
  again_ = turn.env.now + std::max(limits::kCertificateRetry, clamped(error.retry_after));
}

// ---- sealing and opening

Result<Bytes> Sealing::seal(proto::CiphertextType type, Bytes message,
                            const e2e::PublicKey& recipient, Entropy& entropy) const {
  const auto sealed = sealed_type(type);
  if (!sealed) return fail(Code::kUnsupported, "such a message is not sealed");
  const e2e::SealedContent content{
      .type = *sealed, .sender = *certificate_, .message = std::move(message)};
  return e2e::seal_for_one(content, parts_.keyring.identity(), recipient, entropy);
}

// As e2e::open_sealed(); the signatures of one certificate are checked once, not for every message.
Result<void> Sealing::check(const e2e::SenderCertificate& sender, Instant at) {
  const Profile& own = parts_.registration.profile();
  const auto digest = crypto::sha256(sender.wire);
  if (vouched_.contains(digest)) {
    if (at > sender.expires) return fail(Code::kExpired, "the sender's certificate has expired");
  } else {
    GODWIT_TRY(sender.validate(*trust_root_, at));
    if (vouched_.size() >= limits::kVouchedCertificates) vouched_.clear();
    vouched_.insert(digest);
  }
  if (sender.user != own.user || sender.device != own.device) return {};
  return fail(Code::kDuplicate, "this device's own message came back");
}

Result<void> Sealing::open(proto::Envelope& envelope) {
  if (!trust_root_) return fail(Code::kForbidden, "no server vouches for anybody yet");
  auto content = e2e::open_unvouched(envelope.ciphertext, parts_.keyring.identity());
  if (!content) return fail(content.error());
  GODWIT_TRY(check(content->sender, envelope.accepted));
  const auto type = opened_type(content->type);
  if (!type) return fail(Code::kUnsupported, "what is sealed is of another kind");
  envelope.from = content->sender.user;
  envelope.from_device = content->sender.device;
  envelope.type = *type;
  envelope.ciphertext = std::move(content->message);
  return {};
}

// ---- storage

void Sealing::adopt() {
  certificate_.reset();
  trust_root_.reset();
  vouched_.clear();
  if (auto certificate = e2e::SenderCertificate::parse(row_.certificate)) {
    certificate_ = std::move(*certificate);
  }
  if (const auto root = e2e::PublicKey::parse(row_.trust_root)) trust_root_ = *root;
}

Result<void> Sealing::load(const ports::Row& row) {
  auto stored = decode<SealingRow>(row.value);
  if (!stored) return fail(stored.error());
  row_ = std::move(*stored);
  adopt();
  return {};
}

void Sealing::store_all(ports::Batch& batch) const {
  if (!row_.profile_key.empty()) batch.put(Space::kProfile, row_key('Z'), encode(row_));
}

}  // namespace godwit::client
