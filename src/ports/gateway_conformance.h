// The test suite of every Gateway that sends codes. A test program includes it once and
// instantiates it. For test programs only.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ports/gateway.h"

namespace godwit::ports {

class GatewayBench {
 public:
  virtual ~GatewayBench() = default;
  virtual Gateway& gateway() = 0;
  // What reached the world so far: "phone code".
  virtual std::vector<std::string> delivered() = 0;
};

class GatewayConformance
    : public testing::TestWithParam<std::function<std::unique_ptr<GatewayBench>()>> {
 protected:
  std::unique_ptr<GatewayBench> bench_ = GetParam()();
};

TEST_P(GatewayConformance, CodesReachTheirPhonesInOrder) {
  EXPECT_TRUE(bench_->delivered().empty());
  ASSERT_TRUE(bench_->gateway().send_code("+33612345678", "123456"));
  ASSERT_TRUE(bench_->gateway().send_code("+33687654321", "000000"));
  ASSERT_TRUE(bench_->gateway().send_code("+33612345678", "654321"));
  EXPECT_EQ(bench_->delivered(),
            (std::vector<std::string>{"+33612345678 123456", "+33687654321 000000",
                                      "+33612345678 654321"}));
}

}  // namespace godwit::ports
