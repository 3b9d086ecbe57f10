#include "base/metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waggle {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// The value of a series without labels; -1 if there is none.
double ValueOf(const Metrics& metrics, std::string_view name) {
  const std::string text = metrics.Serialize();
  const std::string start = "\n" + std::string(name) + " ";
  const size_t at = text.find(start);
  return at == std::string::npos ? -1
                                 : std::stod(text.substr(at + start.size()));
}

TEST(MetricsTest, SeriesOfOneFamilyAreToldApartByLabels) {
  Metrics metrics;
  metrics.Counter("waggle_things_total", "Things", {{"kind", "a"}})
      .Increment(2);
  metrics.Counter("waggle_things_total", "Things", {{"kind", "b"}}).Increment();
  const std::string text = metrics.Serialize();
  EXPECT_THAT(text, HasSubstr("# HELP waggle_things_total Things\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE waggle_things_total counter\n"));
  EXPECT_THAT(text, HasSubstr("waggle_things_total{kind=\"a\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("waggle_things_total{kind=\"b\"} 1\n"));
}

TEST(MetricsTest, TheSameNameAndLabelsAreTheSameSeries) {
  Metrics metrics;
  EXPECT_EQ(&metrics.Counter("waggle_a_total", "A", {{"k", "v"}}),
            &metrics.Counter("waggle_a_total", "A", {{"k", "v"}}));
  EXPECT_EQ(&metrics.Gauge("waggle_b", "B"), &metrics.Gauge("waggle_b", "B"));
}

TEST(MetricsTest, GaugesAndHistogramsAreServed) {
  Metrics metrics;
  metrics.Gauge("waggle_level", "Level").Set(3);
  metrics
      .Histogram("waggle_latency_seconds", "Latency", Metrics::LatencyBuckets())
      .Observe(0.0002);
  const std::string text = metrics.Serialize();
  EXPECT_THAT(text, HasSubstr("waggle_level 3\n"));
  EXPECT_THAT(text,
              HasSubstr("waggle_latency_seconds_bucket{le=\"0.0001\"} 0\n"));
  EXPECT_THAT(text,
              HasSubstr("waggle_latency_seconds_bucket{le=\"0.00025\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("waggle_latency_seconds_count 1\n"));
}

TEST(MetricsTest, LabelsCannotForgeSeries) {
  Metrics metrics;
  metrics.Counter("waggle_a_total", "A", {{"k", "x\"} 9\nforged 1"}});
  EXPECT_THAT(metrics.Serialize(), HasSubstr(R"({k="x\"} 9\nforged 1"} 0)"));
}

TEST(MetricsTest, ProcessIsMeasured) {
  const double before = absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch());
  Metrics metrics;
  const double after = absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch());
  const double started = ValueOf(metrics, "process_start_time_seconds");
  // The text rounds.
  EXPECT_GE(started, before - 0.001);
  EXPECT_LE(started, after + 0.001);
  EXPECT_GT(ValueOf(metrics, "process_cpu_seconds_total"), 0);
  EXPECT_GT(ValueOf(metrics, "process_resident_memory_bytes"), 1 << 20);
}

TEST(MetricsTest, OpenFilesAreCounted) {
  Metrics metrics;
  const double before = ValueOf(metrics, "process_open_fds");
  const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(ValueOf(metrics, "process_open_fds"), before + 1);
  close(fd);
  EXPECT_EQ(ValueOf(metrics, "process_open_fds"), before);
  EXPECT_GT(ValueOf(metrics, "process_max_fds"), before);
}

TEST(MetricsTest, ASeriesThatIsRemovedIsGoneAndCanComeBack) {
  Metrics metrics;
  const auto gauge = [&metrics](const char* name) -> prometheus::Gauge& {
    return metrics.Gauge("waggle_level", "Level", {{"of", name}});
  };
  gauge("a").Set(1);
  gauge("b").Set(2);
  metrics.RemoveGauge("waggle_level", "Level", {{"of", "a"}});
  metrics.RemoveGauge("waggle_level", "Level", {{"of", "unknown"}});
  EXPECT_THAT(metrics.Serialize(), Not(HasSubstr("of=\"a\"")));
  EXPECT_THAT(metrics.Serialize(), Not(HasSubstr("unknown")));
  EXPECT_THAT(metrics.Serialize(), HasSubstr("waggle_level{of=\"b\"} 2\n"));
  gauge("a").Set(3);
  EXPECT_THAT(metrics.Serialize(), HasSubstr("waggle_level{of=\"a\"} 3\n"));
}

TEST(MetricsTest, CountersAddUpByALabel) {
  Metrics metrics;
  const auto count = [&metrics](const char* endpoint, const char* outcome) {
    metrics
        .Counter("waggle_things_total", "Things",
                 {{"endpoint", endpoint}, {"outcome", outcome}})
        .Increment();
  };
  count("a", "ok");
  count("b", "ok");
  count("b", "bad");
  metrics.Counter("waggle_others_total", "Others", {{"outcome", "ok"}})
      .Increment();
  EXPECT_THAT(metrics.SumBy("waggle_things_total", "outcome"),
              UnorderedElementsAre(Pair("ok", 2), Pair("bad", 1)));
  EXPECT_TRUE(metrics.SumBy("waggle_none_total", "outcome").empty());
}

TEST(MetricsTest, LatencyBucketsIncrease) {
  const auto buckets = Metrics::LatencyBuckets();
  EXPECT_TRUE(std::is_sorted(buckets.begin(), buckets.end()));
  EXPECT_EQ(buckets.front(), 0.0001);
  EXPECT_EQ(buckets.back(), 10);
}

}  // namespace
}  // namespace waggle
