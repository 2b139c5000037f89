#include "e2e/fingerprint.h"

#include "crypto/hash.h"
#include "e2e/record.h"

namespace godwit::e2e {
namespace {

constexpr int kRounds = 5200;
using Hash = ByteArray<64>;

Hash hash_of(const FingerprintParty& party) {
  const auto key = party.identity_key.wire();
  const ByteArray<2> version = {0, 0};
  Hash hash = crypto::sha512({version, key, party.stable_id, key});
  for (int round = 1; round < kRounds; ++round) hash = crypto::sha512({hash, key});
  return hash;
}

// Six groups of five digits.
std::string half_of(const FingerprintParty& party) {
  const Hash hash = hash_of(party);
  std::string digits(30, '0');
  for (std::size_t group = 0; group < 6; ++group) {
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < 5; ++i) number = number << 8 | hash[5 * group + i];
    for (std::size_t i = 5; i-- > 0; number /= 10) {
      digits[5 * group + i] = static_cast<char>('0' + number % 10);
    }
  }
  return digits;
}

// What of a hash goes into the code.
ByteView scannable_part(const Hash& hash) { return ByteView(hash).first<32>(); }

}  // namespace

std::string safety_number(const FingerprintParty& own, const FingerprintParty& theirs) {
  const std::string a = half_of(own), b = half_of(theirs);
  return a < b ? a + b : b + a;
}

// {1 version, 2 own {1 hash}, 3 theirs {1 hash}}
Bytes scannable_fingerprint(FingerprintVersion version, const FingerprintParty& own,
                            const FingerprintParty& theirs) {
  Bytes out, part;
  put_uint_field(out, 1, static_cast<std::uint64_t>(version));
  put_bytes_field(part, 1, scannable_part(hash_of(own)));
  put_bytes_field(out, 2, part);
  part.clear();
  put_bytes_field(part, 1, scannable_part(hash_of(theirs)));
  put_bytes_field(out, 3, part);
  return out;
}

Result<bool> matches_scanned(FingerprintVersion version, const FingerprintParty& own,
                             const FingerprintParty& theirs, ByteView scanned) {
  std::uint32_t their_version = 0;
  ByteView first, second;  // their own hash, and ours as they know it
  const auto read_part = [](const Reader::Field& field, ByteView& hash) {
    return field.type == WireType::kBytes &&
           read_record(field.bytes, require(1), [&](const Reader::Field& inner) {
             return inner.number != 1 || read_bytes(inner, hash);
           }).has_value();
  };
  GODWIT_TRY(read_record(scanned, require(1, 2, 3), [&](const Reader::Field& field) {
    switch (field.number) {
      case 1: return read_uint(field, their_version);
      case 2: return read_part(field, first);
      case 3: return read_part(field, second);
      default: return true;
    }
  }));
  if (their_version != static_cast<std::uint32_t>(version)) {
    return fail(Code::kUnsupported, "the other app makes another version of the code");
  }
  const bool same_theirs = crypto::equal(first, scannable_part(hash_of(theirs)));
  const bool same_ours = crypto::equal(second, scannable_part(hash_of(own)));
  return same_theirs && same_ours;
}

}  // namespace godwit::e2e
