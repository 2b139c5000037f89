// Times src/e2e as a client uses it: every operation loads a record, calls, and stores the record.
//   e2e_bench 3|4     the protocol; 4 is the product's
#include <cstdlib>
#include <cstring>
#include <string>

#include "apps/e2e_peer/peer.h"
#include "bench/e2e_rows.h"
#include "crypto/system_entropy.h"

namespace godwit::bench {
namespace {

using e2e_peer::Address;
using e2e_peer::Peer;

template <typename T>
T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "e2e_bench: %s\n", std::string(result.error().text).c_str());
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

struct Bench {
  explicit Bench(e2e::Protocol protocol) : options{protocol, false} {}

  Peer device(const Address& self) {
    return Peer(self, e2e::LocalIdentity::generate(entropy), options);
  }
  // Two new devices with a session that both have used.
  void connect() {
    alice = device(alice_at);
    bob = device(bob_at);
    must(alice.process(bob_at, must(bob.make_bundle(true, true, entropy)), env));
    must(bob.decrypt(alice_at, e2e::MessageType::kPrekey,
                     must(alice.encrypt(bob_at, text, env)).message, env));
    turn(bob, alice_at, alice, bob_at);
  }
  void turn(Peer& from, const Address& to_at, Peer& to, const Address& from_at) {
    const auto message = must(from.encrypt(to_at, text, env));
    must(to.decrypt(from_at, message.type, message.message, env));
  }
  void encrypt_batch() {
    sent.clear();
    for (int i = 0; i < kBatch; ++i) sent.push_back(must(alice.encrypt(bob_at, text, env)));
  }
  void decrypt(int i) {
    const auto& message = sent[static_cast<std::size_t>(i)];
    must(bob.decrypt(alice_at, message.type, message.message, env));
  }

  void sessions();
  void messages();
  void groups();

  crypto::SystemEntropy entropy;
  Env env{{1'000'000}, entropy};
  Peer::Options options;
  Address alice_at{"9d0652a3-dcc3-4d11-975f-74d61598733f", {1}};
  Address bob_at{"6838237d-02f6-4098-b110-698253d15961", {1}};
  Peer alice = device(alice_at);
  Peer bob = device(bob_at);
  Bytes text = Bytes(64);
  std::vector<e2e::Encrypted> sent;
};

void Bench::sessions() {
  std::vector<e2e::PrekeyBundle> bundles;
  const auto make_bundles = [&] {
    bundles.clear();
    alice = device(alice_at);
    bob = device(bob_at);
    for (int i = 0; i < kBatch; ++i) bundles.push_back(must(bob.make_bundle(true, true, entropy)));
  };
  const auto bundle = [&](int i) -> const auto& { return bundles[static_cast<std::size_t>(i)]; };
  row("open a session", make_bundles,
      [&](int i) { must(alice.process({std::to_string(i), {1}}, bundle(i), env)); });
  row(
      "read a first message",
      [&] {
        make_bundles();
        sent.clear();
        for (int i = 0; i < kBatch; ++i) {
          Peer stranger = device(alice_at);
          must(stranger.process(bob_at, bundle(i), env));
          sent.push_back(must(stranger.encrypt(bob_at, text, env)));
        }
      },
      [&](int i) {
        const auto& message = sent[static_cast<std::size_t>(i)];
        must(bob.decrypt({std::to_string(i), {1}}, message.type, message.message, env));
      });
}

void Bench::messages() {
  for (const auto& [size, encrypting, decrypting] :
       {std::tuple(64, "encrypt 64 B", "decrypt 64 B"),
        std::tuple(1024, "encrypt 1 KiB", "decrypt 1 KiB")}) {
    text = Bytes(static_cast<std::size_t>(size));
    connect();
    row(encrypting, [] {}, [&](int) { must(alice.encrypt(bob_at, text, env)); });
    connect();  // or what was not read above would weigh on what follows
    row(decrypting, [&] { encrypt_batch(); }, [&](int i) { decrypt(i); });
  }
  text = Bytes(64);
  row("decrypt 64 B, backwards", [&] { encrypt_batch(); }, [&](int i) { decrypt(kBatch - 1 - i); });
  row(
      "send and answer, 64 B", [] {},
      [&](int) {
        turn(alice, bob_at, bob, alice_at);
        turn(bob, alice_at, alice, bob_at);
      });
}

void Bench::groups() {
  std::vector<Bytes> group_sent;
  e2e::DistributionId group{};
  const auto encrypt = [&] { return must(alice.group_encrypt(group, text, entropy)); };
  const auto tell = [&] {
    ++group[0];
    must(bob.learn(alice_at, must(alice.distribution_message(group, entropy))));
  };
  for (const auto& [size, encrypting, decrypting] :
       {std::tuple(64, "group encrypt 64 B", "group decrypt 64 B"),
        std::tuple(1024, "group encrypt 1 KiB", "group decrypt 1 KiB")}) {
    text = Bytes(static_cast<std::size_t>(size));
    tell();
    row(encrypting, [] {}, [&](int) { encrypt(); });
    tell();
    row(
        decrypting,
        [&] {
          group_sent.clear();
          for (int i = 0; i < kBatch; ++i) group_sent.push_back(encrypt());
        },
        [&](int i) { must(bob.group_decrypt(alice_at, group_sent[static_cast<std::size_t>(i)])); });
  }
}

}  // namespace
}  // namespace godwit::bench

int main(int count, char** arguments) {
  const bool old = count == 2 && std::strcmp(arguments[1], "3") == 0;
  godwit::bench::Bench bench(old ? godwit::e2e::Protocol::kX3dh
                                 : godwit::e2e::Protocol::kPqxdhSpqr);
  bench.sessions();
  bench.messages();
  bench.groups();
}
