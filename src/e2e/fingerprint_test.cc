#include "e2e/fingerprint.h"

#include <gtest/gtest.h>

#include "crypto/test_vectors.h"

namespace godwit::e2e {
namespace {

using vectors::hex;
using vectors::text;

TEST(Fingerprint, Vectors) {
  const auto file = vectors::load("signal/fingerprint.json");
  ASSERT_EQ(file["cases"].size(), 2u);
  for (const auto& test : file["cases"]) {
    const std::string own_id = test["localId"], their_id = test["remoteId"];
    const FingerprintParty own{view_of(own_id), *PublicKey::parse(hex(test["localKey"]))};
    const FingerprintParty theirs{view_of(their_id), *PublicKey::parse(hex(test["remoteKey"]))};
    const auto version = static_cast<FingerprintVersion>(test["version"].get<int>());
    EXPECT_EQ(safety_number(own, theirs), text(test["displayable"]));
    EXPECT_EQ(safety_number(theirs, own), text(test["displayable"]));
    EXPECT_EQ(to_hex(scannable_fingerprint(version, own, theirs)), text(test["scannableLocal"]));
    EXPECT_EQ(to_hex(scannable_fingerprint(version, theirs, own)), text(test["scannableRemote"]));

    const Bytes on_their_screen = hex(test["scannableRemote"]);
    EXPECT_TRUE(*matches_scanned(version, own, theirs, on_their_screen));
    EXPECT_FALSE(*matches_scanned(version, own, theirs, hex(test["scannableLocal"])));
    const FingerprintParty impostor{theirs.stable_id, own.identity_key};
    EXPECT_FALSE(*matches_scanned(version, own, impostor, on_their_screen));
    EXPECT_NE(safety_number(own, impostor), text(test["displayable"]));
  }
}

TEST(Fingerprint, RefusesOtherCodes) {
  const FingerprintParty own{view_of("a"), {{1}}}, theirs{view_of("b"), {{2}}};
  const Bytes code = scannable_fingerprint(FingerprintVersion::kUserId, theirs, own);
  EXPECT_EQ(matches_scanned(FingerprintVersion::kNumber, own, theirs, code).error().code,
            Code::kUnsupported);
  for (std::size_t size = 0; size < code.size(); ++size) {
    EXPECT_FALSE(
        matches_scanned(FingerprintVersion::kUserId, own, theirs, ByteView(code).first(size)));
  }
}

}  // namespace
}  // namespace godwit::e2e
