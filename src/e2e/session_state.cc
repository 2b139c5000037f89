#include "e2e/session_state.h"

#include "base/limits.h"
#include "e2e/record.h"

namespace godwit::e2e {
namespace {

constexpr std::size_t kChainHead = 32 + 32 + 4;  // ratchet, key, next; then the skipped seeds

void put_chain(Bytes& out, std::uint32_t number, const ReceivingChain& chain) {
  put_varint(out, number << 3 | static_cast<std::uint32_t>(WireType::kBytes));
  put_varint(out, kChainHead + chain.skipped.size());
  append(out, chain.ratchet);
  append(out, chain.key.view());
  put_be32(out, chain.next);
  append(out, chain.skipped.view());
}

bool read_chain(const Reader::Field& field, std::vector<ReceivingChain>& chains) {
  const ByteView in = field.bytes;
  if (in.size() < kChainHead || chains.size() == limits::kReceivingChains) return false;
  auto skipped = SkippedKeys::parse(in.subspan(kChainHead));
  if (!skipped) return false;
  chains.push_back({*to_array<32>(in.first<32>()), crypto::Key(in.subspan<32, 32>()),
                    get_be32(in.subspan<64, 4>()), std::move(*skipped)});
  return true;
}

}  // namespace

SessionState SessionState::clone() const {
  SessionState copy{version,        remote_identity, base_key, remote_registration_id,
                    unacknowledged, ratchet.clone(), {}};
  if (spqr) copy.spqr = spqr->clone();
  return copy;
}

crypto::SecretBytes SessionState::serialize() const {
  std::size_t size = 320;  // all but the chains: no growth, it would leave secrets behind
  for (const auto& chain : ratchet.receiving) size += kChainHead + 8 + chain.skipped.size();
  if (unacknowledged) size += 16 + unacknowledged->kyber_ciphertext.size();
  crypto::SecretBytes pq;
  if (spqr) pq = spqr->serialize();
  size += 8 + pq.size();
  Bytes out;
  out.reserve(size);
  put_uint_field(out, 1, version);
  put_bytes_field(out, 2, remote_identity.u);
  put_bytes_field(out, 3, base_key.u);
  put_uint_field(out, 4, remote_registration_id);
  put_bytes_field(out, 5, ratchet.root.view());
  put_key_pair(out, 6, ratchet.ratchet);
  put_bytes_field(out, 8, ratchet.sending_chain.view());
  put_uint_field(out, 9, ratchet.sent);
  put_uint_field(out, 10, ratchet.previous_counter);
  for (const auto& chain : ratchet.receiving) put_chain(out, 11, chain);
  if (unacknowledged) {
    put_uint_field(out, 12, static_cast<std::uint64_t>(unacknowledged->since.ms));
    put_uint_field(out, 13, unacknowledged->signed_prekey_id.value);
    if (unacknowledged->one_time_prekey_id) {
      put_uint_field(out, 14, unacknowledged->one_time_prekey_id->value);
    }
    if (unacknowledged->kyber_prekey_id) {
      put_uint_field(out, 15, unacknowledged->kyber_prekey_id->value);
      put_bytes_field(out, 16, unacknowledged->kyber_ciphertext);
    }
  }
  if (spqr) put_bytes_field(out, 17, pq.view());
  return crypto::SecretBytes(std::move(out));
}

Result<SessionState> SessionState::parse(ByteView record) {
  SessionState state;
  DoubleRatchet& ratchet = state.ratchet;
  Unacknowledged pending;
  bool is_pending = false;
  ratchet.receiving.reserve(limits::kReceivingChains);
  GODWIT_TRY(
      read_record(record, require(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), [&](const Reader::Field& field) {
        switch (field.number) {
          case 1: return read_uint(field, state.version);
          case 2: return read_octets(field, state.remote_identity.u);
          case 3: return read_octets(field, state.base_key.u);
          case 4: return read_uint(field, state.remote_registration_id);
          case 5: return read_octets(field, ratchet.root);
          case 6: return read_octets(field, ratchet.ratchet.private_key);
          case 7: return read_octets(field, ratchet.ratchet.public_key);
          case 8: return read_octets(field, ratchet.sending_chain);
          case 9: return read_uint(field, ratchet.sent);
          case 10: return read_uint(field, ratchet.previous_counter);
          case 11: return read_chain(field, ratchet.receiving);
          case 12:
            is_pending = true;
            pending.since.ms = static_cast<std::int64_t>(field.integer);
            return true;
          case 13: return read_uint(field, pending.signed_prekey_id.value);
          case 14: return read_uint(field, pending.one_time_prekey_id.emplace().value);
          case 15: return read_uint(field, pending.kyber_prekey_id.emplace().value);
          case 16:
            pending.kyber_ciphertext = to_bytes(field.bytes);
            return field.bytes.size() == KemPublicKey::kSize;
          case 17: {
            auto spqr = Spqr::parse(field.bytes);
            if (spqr) state.spqr = std::move(*spqr);
            return spqr.has_value();
          }
          default: return true;
        }
      }));
  if (pending.kyber_prekey_id.has_value() == pending.kyber_ciphertext.empty()) {
    return fail(Code::kCorrupt, "a session has half of what its first messages carry");
  }
  if (is_pending) state.unacknowledged = pending;
  return state;
}

}  // namespace godwit::e2e
