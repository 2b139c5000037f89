#include "apps/e2e_peer/session_host.h"

#include <gtest/gtest.h>

namespace godwit::e2e_peer {
namespace {

constexpr const char* kAlice = "9d0652a3-dcc3-4d11-975f-74d61598733f";
constexpr const char* kBob = "6838237d-02f6-4098-b110-698253d15961";
constexpr const char* kGroup = "f2d0c7a4-1d2c-4b0e-9a39-1c2b3a4d5e6f";
const std::string kHello = to_hex(view_of("hello"));

class SessionHostTest : public testing::Test {
 protected:
  SessionHostTest() {
    ask({{"op", "new"}, {"peer", "a"}, {"name", kAlice}});
    ask({{"op", "new"}, {"peer", "b"}, {"name", kBob}});
  }
  Json ask(const Json& request) { return Json::parse(host_.answer(request.dump(), {1000})); }
  Json ok(Json request) {
    const Json answer = ask(request);
    EXPECT_TRUE(answer["ok"].get<bool>()) << request << answer;
    return answer;
  }
  std::string error(const Json& request) {
    const Json answer = ask(request);
    EXPECT_FALSE(answer["ok"].get<bool>()) << request << answer;
    EXPECT_TRUE(answer["error"].is_string() && answer["code"].is_number_integer());
    return answer["name"];
  }
  static Json with(Json request, const Json& more) {
    request.update(more);
    return request;
  }
  void introduce() {
    ok({{"op", "process"},
        {"peer", "a"},
        {"name", kBob},
        {"bundle", ok({{"op", "bundle"}, {"peer", "b"}})["bundle"]}});
  }
  Json a_to_b() {
    return ok({{"op", "encrypt"}, {"peer", "a"}, {"name", kBob}, {"plaintext", kHello}});
  }
  static Json at_b(const Json& sent) {
    return {{"op", "decrypt"},
            {"peer", "b"},
            {"name", kAlice},
            {"type", sent["type"]},
            {"message", sent["message"]}};
  }

  SessionHost host_;
};

TEST_F(SessionHostTest, PairsTalk) {
  introduce();
  const Json first = a_to_b();
  EXPECT_EQ(first["type"], 3);
  const Json read = ok(at_b(first));
  EXPECT_EQ(read["plaintext"], kHello);
  EXPECT_EQ(read["events"], (Json{"markKyberPreKeyUsed 7", "removePreKey 31337"}));
  const Json answer =
      ok({{"op", "encrypt"}, {"peer", "b"}, {"name", kAlice}, {"plaintext", kHello}});
  EXPECT_EQ(answer["type"], 2);
  EXPECT_EQ(ok({{"op", "decrypt"},
                {"peer", "a"},
                {"name", kBob},
                {"type", 2},
                {"message", answer["message"]}})["plaintext"],
            kHello);
}

TEST_F(SessionHostTest, ErrorsHaveTheNamesOfLibsignal) {
  introduce();
  const Json sent = a_to_b();
  ok(at_b(sent));
  EXPECT_EQ(ask(at_b(sent))["code"], 1);
  EXPECT_EQ(error(at_b(sent)), "DuplicatedMessage");

  ok({{"op", "new"}, {"peer", "a"}, {"name", kAlice}});  // reinstalled: another identity
  introduce();
  const Json changed = a_to_b();
  EXPECT_EQ(ask(at_b(changed))["code"], 3);
  EXPECT_EQ(error(at_b(changed)), "UntrustedIdentity");
}

TEST_F(SessionHostTest, GroupsTalk) {
  const Json skdm = ok({{"op", "skdm"}, {"peer", "a"}, {"distributionId", kGroup}});
  ok({{"op", "processSkdm"}, {"peer", "b"}, {"name", kAlice}, {"message", skdm["message"]}});
  const Json sent = ok(
      {{"op", "groupEncrypt"}, {"peer", "a"}, {"distributionId", kGroup}, {"plaintext", kHello}});
  const Json read = {
      {"op", "groupDecrypt"}, {"peer", "b"}, {"name", kAlice}, {"message", sent["message"]}};
  EXPECT_EQ(ok(read)["plaintext"], kHello);
  EXPECT_EQ(error(read), "DuplicatedMessage");
}

TEST_F(SessionHostTest, SealedForOneAndForMany) {
  introduce();
  const Json root = ok({{"op", "keyPair"}}), server = ok({{"op", "keyPair"}});
  const Json server_certificate = ok({{"op", "serverCertificate"},
                                      {"serverId", 1},
                                      {"publicKey", server["publicKey"]},
                                      {"trustRootPrivate", root["privateKey"]}})["certificate"];
  const Json request = {{"op", "sealedEncrypt"}, {"peer", "a"}, {"plaintext", kHello}};
  const auto certified = [&](const char* peer, const char* name) {
    const Json identity = ok({{"op", "import"},
                              {"peer", peer},
                              {"state", ok({{"op", "export"}, {"peer", peer}})["state"]}});
    return ok({{"op", "senderCertificate"},
               {"name", name},
               {"expires", 2000},
               {"identityKey", identity["identityPublic"]},
               {"serverCertificate", server_certificate},
               {"serverPrivate", server["privateKey"]}})["certificate"];
  };
  const Json open = {{"op", "sealedDecrypt"},
                     {"peer", "b"},
                     {"trustRoot", root["publicKey"]},
                     {"timestamp", 1500}};
  const Json certificate = certified("a", kAlice);

  const Json one = ok(with(request, {{"certificate", certificate}, {"name", kBob}}));
  const Json opened = ok(with(open, {{"message", one["message"]}}));
  EXPECT_EQ(opened["plaintext"], kHello);
  EXPECT_EQ(opened["senderName"], kAlice);
  EXPECT_EQ(error(with(open, {{"message", one["message"]}})), "DuplicatedMessage");
  EXPECT_EQ(error(with(open, {{"message", one["message"]}, {"timestamp", 2001}})), "Expired");
  EXPECT_EQ(error(with(open, {{"message", one["message"]}, {"trustRoot", server["publicKey"]}})),
            "Forbidden");
  EXPECT_EQ(error(with(request, {{"certificate", certified("b", kBob)}, {"name", kBob}})),
            "Forbidden");

  const Json skdm = ok({{"op", "skdm"}, {"peer", "a"}, {"distributionId", kGroup}});
  ok({{"op", "processSkdm"}, {"peer", "b"}, {"name", kAlice}, {"message", skdm["message"]}});
  const Json many = ok(with(request, {{"certificate", certificate},
                                      {"version", 2},
                                      {"distributionId", kGroup},
                                      {"contentHint", 1},
                                      {"recipients", {{{"name", kBob}}}}}));
  const Json split = ok({{"op", "sealedSplit"}, {"sent", many["sent"]}})["recipients"];
  ASSERT_EQ(split.size(), 1u);
  EXPECT_EQ(split[0]["name"], kBob);
  const Json from_many = ok(with(open, {{"message", split[0]["message"]}}));
  EXPECT_EQ(from_many["plaintext"], kHello);
  EXPECT_EQ(from_many["contentHint"], 1);
}

TEST_F(SessionHostTest, AnExportedPeerGoesOnElsewhere) {
  introduce();
  const Json first = a_to_b(), second = a_to_b(), third = a_to_b();
  ok(at_b(third));
  const Json state = ok({{"op", "export"}, {"peer", "b"}})["state"];
  ok({{"op", "new"}, {"peer", "b"}, {"name", "somebody else"}});
  EXPECT_EQ(error(at_b(first)), "NotFound");
  ok({{"op", "import"}, {"peer", "b"}, {"state", state}});
  EXPECT_EQ(ok(at_b(first))["plaintext"], kHello);
  EXPECT_EQ(error(at_b(third)), "DuplicatedMessage");
  EXPECT_EQ(ok(at_b(second))["plaintext"], kHello);
}

TEST_F(SessionHostTest, SurvivesWhateverItIsTold) {
  introduce();
  const Json sent = a_to_b();
  for (const char* line :
       {"",
        "{",
        "[]",
        "1",
        "\"op\"",
        "null",
        "{\"op\":1}",
        "{\"op\":\"no\"}",
        "{\"id\":[1],\"op\":{}}",
        "\xff\xfe",
        "{\"op\":\"new\"}",
        "{\"op\":\"new\",\"peer\":\"x\"}",
        R"({"op":"new","peer":"x","name":"y","deviceId":0})",
        R"({"op":"new","peer":"x","name":"y","deviceId":-1})",
        R"({"op":"new","peer":"x","name":"y","deviceId":1.5})",
        R"({"op":"new","peer":"x","name":"y","deviceId":1e99})",
        R"({"op":"new","peer":"x","name":"y","protocol":5})",
        R"({"op":"new","peer":"x","name":"y","identityPrivate":"00"})",
        R"({"op":"import","peer":"x","state":"00"})",
        R"({"op":"import","peer":"x","state":"0"})",
        R"({"op":"encrypt","peer":"nobody","name":"y","plaintext":""})",
        R"({"op":"encrypt","peer":"a","name":"stranger","plaintext":"00"})",
        R"({"op":"encrypt","peer":"a","name":7,"plaintext":"00"})",
        R"({"op":"encrypt","peer":"a","name":"stranger","plaintext":"0"})",
        R"({"op":"process","peer":"a","name":"y","bundle":[]})",
        R"({"op":"process","peer":"a","name":"y","bundle":{}})",
        R"({"op":"decrypt","peer":"a","name":"y","type":9,"message":""})",
        R"({"op":"decrypt","peer":"a","name":"y","type":3,"message":""})",
        R"({"op":"decrypt","peer":"a","name":"y","type":2,"message":"44"})",
        R"({"op":"groupEncrypt","peer":"a","distributionId":"x","plaintext":""})",
        R"({"op":"groupDecrypt","peer":"a","name":"y","message":"33"})",
        R"({"op":"processSkdm","peer":"a","name":"y","message":""})",
        R"({"op":"sealedSplit","sent":""})",
        R"({"op":"verify"})",
        R"({"op":"sealedDecrypt","peer":"a","message":"22","trustRoot":"05","timestamp":1})"}) {
    const Json answer = Json::parse(host_.answer(line, {1000}));
    EXPECT_EQ(answer["ok"], false) << line;
    EXPECT_FALSE(answer["name"].get<std::string>().empty()) << line;
  }
  EXPECT_EQ(ok(at_b(sent))["plaintext"], kHello);
}

TEST_F(SessionHostTest, SurvivesDeepNesting) {
  const std::string deep = std::string(200000, '[') + std::string(200000, ']');
  EXPECT_EQ(Json::parse(host_.answer(deep, {}))["ok"], false);
  EXPECT_EQ(Json::parse(host_.answer(deep.substr(0, 200000), {}))["ok"], false);
  const Json answer = Json::parse(host_.answer(R"({"op":"version","id":)" + deep + "}", {}));
  EXPECT_EQ(answer["ok"], true);
}

TEST_F(SessionHostTest, GivesTheIdBack) {
  EXPECT_EQ(ask({{"op", "version"}, {"id", "x"}})["id"], "x");
  EXPECT_EQ(ask({{"op", "?"}, {"id", 7}})["id"], 7);
  EXPECT_FALSE(ask({{"op", "version"}}).contains("id"));
}

TEST_F(SessionHostTest, SignaturesAndFingerprints) {
  const Json keys = ok({{"op", "keyPair"}});
  const Json made = ok({{"op", "sign"}, {"privateKey", keys["privateKey"]}, {"message", kHello}});
  Json check = {{"op", "verify"},
                {"publicKey", keys["publicKey"]},
                {"message", kHello},
                {"signature", made["signature"]}};
  EXPECT_EQ(ok(check)["valid"], true);
  check["message"] = "00";
  EXPECT_EQ(ok(check)["valid"], false);
  EXPECT_EQ(ok({{"op", "fingerprint"},
                {"iterations", 5200},
                {"version", 2},
                {"localId", "00"},
                {"localKey", keys["publicKey"]},
                {"remoteId", "01"},
                {"remoteKey", keys["publicKey"]}})["displayable"]
                .get<std::string>()
                .size(),
            60u);
}

TEST_F(SessionHostTest, Quits) {
  EXPECT_FALSE(host_.has_quit());
  ok({{"op", "quit"}});
  EXPECT_TRUE(host_.has_quit());
}

}  // namespace
}  // namespace godwit::e2e_peer
