#include "runtime/server_identity.h"

#include "base/codec.h"

namespace godwit::runtime {

namespace {

constexpr std::string_view kPartition = "godwitd";
constexpr std::string_view kKey = "identity";
constexpr std::uint32_t kMaxIncarnation = (1U << 24) - 1;  // 24 bits of a mailbox sequence

struct IdentityRow {
  ByteArray<32> private_key{};
  ByteArray<32> pepper{};
  std::uint32_t incarnation = 0;
  ByteArray<32> certificate_seed{};  // zero: of an older version
  static void fields(auto& m, auto& field) {
    field(1, m.private_key);
    field(2, m.pepper);
    field(3, m.incarnation);
    field(4, m.certificate_seed);
  }
};

}  // namespace

Result<ServerIdentity> ServerIdentity::start(ports::Store& store, Entropy& entropy) {
  IdentityRow row;
  const auto stored = store.get(view_of(kPartition), ports::Space::kMeta, view_of(kKey));
  if (stored) {
    const auto decoded = decode<IdentityRow>(stored->value);
    if (!decoded || decoded->incarnation == 0) {
      return fail(Code::kCorrupt, "the server's identity is damaged: restore a backup");
    }
    row = *decoded;
  } else if (stored.error().code == Code::kNotFound) {
    crypto::KeyPair fresh = crypto::KeyPair::generate(entropy);
    std::ranges::copy(fresh.private_key.view(), row.private_key.begin());
    row.pepper = entropy.draw<32>();
  } else {
    return fail(stored.error());
  }
  if (row.certificate_seed == ByteArray<32>{}) row.certificate_seed = entropy.draw<32>();
  if (row.incarnation >= kMaxIncarnation) {
    return fail(Code::kUnsupported, "started 16 million times: use a new directory");
  }
  ++row.incarnation;
  ports::Batch batch{to_bytes(kPartition), {}};
  batch.put(ports::Space::kMeta, to_bytes(kKey), encode(row));
  GODWIT_TRY(store.write({&batch, 1}, ports::Durability::kSafe));
  ServerIdentity identity{crypto::KeyPair::from_private(row.private_key), row.pepper,
                          crypto::Key(row.certificate_seed), row.incarnation};
  crypto::wipe(row.private_key);
  crypto::wipe(row.certificate_seed);
  return identity;
}

}  // namespace godwit::runtime
