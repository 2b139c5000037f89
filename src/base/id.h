// One strong type per kind of identifier, so that one cannot be passed for another.
#pragma once

#include <compare>

#include "base/bytes.h"
#include "base/entropy.h"

namespace godwit {

// Sixteen random octets (122 bits and more of entropy): never guessed, never reused.
template <typename Tag>
struct OpaqueId {
  ByteArray<16> octets{};

  auto operator<=>(const OpaqueId&) const = default;
  ByteView view() const { return octets; }
  bool is_nil() const { return *this == OpaqueId{}; }
  static OpaqueId random(Entropy& entropy) { return {entropy.draw<16>()}; }
};

template <typename Tag, typename Int>
struct NumericId {
  Int value{};
  auto operator<=>(const NumericId&) const = default;
};

using UserId = OpaqueId<struct UserTag>;
using GroupId = OpaqueId<struct GroupTag>;
using EnvelopeId = OpaqueId<struct EnvelopeTag>;
using MessageId = OpaqueId<struct MessageTag>;

// HMAC-SHA-256(pepper, E.164 number) cut to 16 octets: the directory's key, not a phone book.
using HandleMac = OpaqueId<struct HandleTag>;

// 1..127; 1 is the device that registered the account.
using DeviceId = NumericId<struct DeviceTag, std::uint8_t>;
// A connection, unique for the lifetime of one server process.
using SessionId = NumericId<struct SessionTag, std::uint64_t>;
// A thread's worth of entities within one process.
using ShardId = NumericId<struct ShardTag, std::uint16_t>;
// epoch << 40 | counter: the order of one device's mailbox (RELIABILITY R3). 0 = none.
using Sequence = NumericId<struct SequenceTag, std::uint64_t>;

}  // namespace godwit
