// The example in README.md, compiled and run; the first test keeps the two equal.
#include <gtest/gtest.h>

#include "crypto/test_vectors.h"
#include "e2e/test_peer.h"

namespace godwit::e2e {
namespace {

using crypto::SecretBytes;

TEST(Readme, ShowsTheExampleBelow) {
  const std::string here = vectors::read_file("src/e2e/readme_test.cc");
  const std::string readme = vectors::read_file("src/e2e/README.md");
  const std::string begin = "// ---- begin\n", end = "// ---- end";
  const auto from = here.find("\n" + begin) + 1 + begin.size();
  const std::string example = here.substr(from, here.find("\n" + end) + 1 - from);
  ASSERT_GT(example.size(), 500u);
  EXPECT_NE(readme.find("```cpp\n" + example + "```\n"), std::string::npos);
}

// ---- begin
// Alice writes to Bob's device: `stored` is her session record with it, empty at first.
Result<Encrypted> write(SecretBytes& stored, const LocalIdentity& alice,
                        const PrekeyBundle& from_server, ByteView text, Env& env) {
  auto session = Session::parse(stored.view());
  if (!session) return fail(session.error());
  if (!session->has_current()) {
    GODWIT_TRY(start_session(*session, alice, from_server, nullptr, env));
  }
  auto encrypted = encrypt(*session, alice, text, env);
  if (encrypted) stored = session->serialize();  // durable before the message leaves
  return encrypted;
}

// Bob reads it; `pinned` is the identity key he knows Alice by, null if they never met.
Result<Bytes> read(SecretBytes& stored, const LocalIdentity& bob, Prekeys& prekeys,
                   const Encrypted& arrived, const PublicKey* pinned, Env& env) {
  auto session = Session::parse(stored.view());
  if (!session) return fail(session.error());
  auto decrypted = decrypt(*session, bob, prekeys, arrived.type, arrived.message, pinned, env);
  if (!decrypted) return fail(decrypted.error());  // nothing has changed
  stored = session->serialize();  // one transaction with the next line and the text
  prekeys.consume(*decrypted);
  return std::move(decrypted->plaintext);
}
// ---- end

TEST(Readme, TheExampleWorks) {
  Peer alice(1), bob(2);
  auto at_alice = alice.env(), at_bob = bob.env();
  const auto sent = write(alice.record, alice.own, bob.bundle(), view_of("hello"), at_alice);
  ASSERT_TRUE(sent);
  const PublicKey known = alice.own.public_key();
  const auto got = read(bob.record, bob.own, bob.prekeys, *sent, &known, at_bob);
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, to_bytes("hello"));
}

}  // namespace
}  // namespace godwit::e2e
