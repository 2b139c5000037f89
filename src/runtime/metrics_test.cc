#include "runtime/metrics.h"

#include <gtest/gtest.h>

namespace godwit::runtime {
namespace {

TEST(Metrics, TextOfAHistogram) {
  Histogram seconds;
  seconds.add(0.0005);
  seconds.add(0.04);
  seconds.add(100);
  MetricsText text;
  text.counter("godwitd_a_total", "What happened.", 7);
  text.family("godwitd_store_seconds", "histogram", "Time.");
  text.sample(seconds, "op=\"write\"");
  const std::string all = text.take();
  EXPECT_TRUE(
      all.starts_with("# HELP godwitd_a_total What happened.\n"
                      "# TYPE godwitd_a_total counter\n"
                      "godwitd_a_total 7\n"
                      "# HELP godwitd_store_seconds Time.\n"));
  for (const char* line :
       {"_bucket{op=\"write\",le=\"0.0001\"} 0\n", "_bucket{op=\"write\",le=\"0.0005\"} 1\n",
        "_bucket{op=\"write\",le=\"0.05\"} 2\n", "_bucket{op=\"write\",le=\"5\"} 2\n",
        "_bucket{op=\"write\",le=\"+Inf\"} 3\n", "_count{op=\"write\"} 3\n"}) {
    EXPECT_TRUE(all.contains(std::string("godwitd_store_seconds") + line)) << line << all;
  }
}

TEST(Metrics, TheProcessKnowsItsSize) {
  EXPECT_GT(resident_bytes(), 1'000'000U);
  EXPECT_GT(open_descriptors(), 2U);
}

}  // namespace
}  // namespace godwit::runtime
