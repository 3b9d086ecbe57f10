// The process's metrics, in Prometheus' terms. One object, made by the
// composition root and handed to whoever counts; each registers its own
// families at construction and keeps references to the series it uses, so that
// counting takes no lock and no look-up.
#ifndef WAGGLE_BASE_METRICS_H_
#define WAGGLE_BASE_METRICS_H_

#include <map>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace waggle {

// Thread-safe. Outlives everything that was handed a reference from it.
class Metrics {
 public:
  using Labels = std::map<std::string, std::string>;

  // Finds or makes a series. `name` follows Prometheus' conventions
  // (waggle_..., base units, _total for counters).
  prometheus::Counter& Counter(const std::string& name, const std::string& help,
                               const Labels& labels = {});
  prometheus::Gauge& Gauge(const std::string& name, const std::string& help,
                           const Labels& labels = {});
  prometheus::Histogram& Histogram(
      const std::string& name, const std::string& help,
      const prometheus::Histogram::BucketBoundaries& buckets,
      const Labels& labels = {});

  // Removes a series, if it is there: references to it must not be used any
  // more.
  void RemoveGauge(const std::string& name, const std::string& help,
                   const Labels& labels);

  // The counters of this name, added up by the value of one label. Looks at all
  // series: not for hot paths.
  std::map<std::string, double> SumBy(const std::string& name,
                                      const std::string& label) const;

  // All series in Prometheus' text format 0.0.4, and those of the process.
  std::string Serialize() const;

  // Buckets for latencies, in seconds: 100 us to 10 s.
  static prometheus::Histogram::BucketBoundaries LatencyBuckets();

 private:
  const absl::Time started_at_ = absl::Now();
  prometheus::Registry registry_;
};

}  // namespace waggle

#endif  // WAGGLE_BASE_METRICS_H_
