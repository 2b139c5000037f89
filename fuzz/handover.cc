// What another version of the server hands over: its words, its connections, its shards.
#include "runtime/handover.h"

#include <utility>
#include "base/check.h"
#include "crypto/curve.h"
#include "fuzz.h"

#include "proto/noise.h"
#include "server/shard.h"

using namespace godwit;

namespace {

// A shard that took something over hands over the same.
void take_over(ByteView octets) {
  const server::Placement placement(2, 1);
  server::Shard shard({{0}, &placement, {}});
  if (!shard.take_over(octets)) return;
  SeededEntropy entropy(1);
  Env env{{1'000'000}, entropy};
  server::Outputs out;
  if (shard.at_rest()) {
    Bytes once, twice;
    shard.hand_over(once);
    server::Shard other({{0}, &placement, {}});
    CHECK(other.take_over(once));
    other.hand_over(twice);
    CHECK(once == twice);
  }
  shard.wake(env, out);
  for (int i = 0; i < 8 && !out.empty(); ++i) {
    for (server::Output& output : std::exchange(out, {})) {
      if (auto* one = std::get_if<server::Read>(&output)) {
        shard.on_read(one->token, fail(Code::kIo, "no"), env, out);
      }
    }
  }
}

void shake(ByteView octets) {
  SeededEntropy entropy(1);
  static const auto own = crypto::KeyPair::generate(entropy);
  auto handshake = proto::NoiseHandshake::parse(own, octets);
  if (!handshake) return;
  CHECK(!handshake->finished() && !handshake->my_turn());
  const Bytes once = to_bytes(handshake->serialize().view());
  CHECK(proto::NoiseHandshake::parse(own, once));
  [[maybe_unused]] const auto refused = handshake->read(Bytes(96, 9));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  switch (input.octet() % 5) {
    case 0: fuzz::read<runtime::Word>(input.rest()); break;
    case 1: fuzz::read<runtime::ConnectionRecord>(input.rest()); break;
    case 2: fuzz::read<runtime::SnapshotHead>(input.rest()); break;
    case 3: take_over(input.rest()); break;
    case 4: shake(input.rest()); break;
  }
  return 0;
}
