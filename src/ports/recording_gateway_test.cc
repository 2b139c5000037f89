#include "ports/recording_gateway.h"

#include "ports/gateway_conformance.h"

namespace godwit::ports {
namespace {

struct RecordingBench final : GatewayBench {
  RecordingGateway recorder;
  Gateway& gateway() override { return recorder; }
  std::vector<std::string> delivered() override {
    std::vector<std::string> lines;
    for (const auto& sent : recorder.sent()) lines.push_back(sent.phone + " " + sent.code);
    return lines;
  }
};
INSTANTIATE_TEST_SUITE_P(Recording, GatewayConformance,
                         testing::Values([] { return std::make_unique<RecordingBench>(); }));

TEST(RecordingGateway, FailsOnceOnDemandAndFindsTheLastCode) {
  RecordingGateway gateway;
  gateway.fail_next({Code::kUnavailable, "try later"});
  EXPECT_EQ(gateway.send_code("+33612345678", "111111").error().code, Code::kUnavailable);
  EXPECT_FALSE(gateway.last_code("+33612345678"));
  ASSERT_TRUE(gateway.send_code("+33612345678", "222222"));
  ASSERT_TRUE(gateway.send_code("+33612345678", "333333"));
  EXPECT_EQ(gateway.last_code("+33612345678"), "333333");
}

}  // namespace
}  // namespace godwit::ports
