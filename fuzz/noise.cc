// A Noise handshake and channel against a peer who sends anything. The first octet chooses the
// role and the pattern, and whether the peer's handshake is honest, so that the input reaches the
// channel; then come pieces.
#include "proto/noise.h"

#include "base/check.h"
#include "fuzz.h"

using namespace godwit;

namespace {

constexpr std::string_view kPrologue = "fuzz";

crypto::KeyPair key_pair(std::uint64_t seed) {
  SeededEntropy entropy(seed);
  return crypto::KeyPair::generate(entropy);
}

proto::NoiseHandshake side(bool initiator, bool ik) {
  const auto own = key_pair(initiator ? 1 : 2);
  const ByteView prologue = view_of(kPrologue);
  if (!initiator) {
    return ik ? proto::NoiseHandshake::responder_ik(own, prologue)
              : proto::NoiseHandshake::responder_xx(own, prologue);
  }
  return ik ? proto::NoiseHandshake::initiator_ik(own, key_pair(2).public_key, prologue)
            : proto::NoiseHandshake::initiator_xx(own, prologue);
}

// No octets of the input may finish a handshake: they would have to guess a key.
void hostile(proto::NoiseHandshake victim, fuzz::Input& input, Entropy& entropy) {
  for (int turns = 0; turns < 8; ++turns) {
    if (victim.my_turn() && !victim.finished()) {
      if (!victim.write({}, entropy)) return;
    } else if (input.empty()) {
      return;
    } else if (victim.read(input.piece())) {
      CHECK(!victim.finished());
    }
  }
}

void honest(bool ik, fuzz::Input& input, Entropy& entropy) {
  auto first = side(true, ik), second = side(false, ik);
  for (int turns = 0; !first.finished() || !second.finished(); ++turns) {
    auto& writer = first.my_turn() ? first : second;
    auto& reader = first.my_turn() ? second : first;
    const auto message = writer.write(input.piece().first(0), entropy);
    CHECK(message && reader.read(*message) && turns < 3);
  }
  auto channel = first.split(), peer = second.split();
  while (!input.empty()) {
    CHECK(!channel.open(input.piece()));
    Bytes record;
    CHECK(peer.seal(view_of(kPrologue), record));
    const auto opened = channel.open(record);
    CHECK(opened && same(*opened, view_of(kPrologue)));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  SeededEntropy entropy(3);
  const std::uint8_t choice = input.octet();
  const bool initiator = (choice & 1) != 0, ik = (choice & 2) != 0;
  if ((choice & 4) != 0) honest(ik, input, entropy);
  else hostile(side(initiator, ik), input, entropy);
  return 0;
}
