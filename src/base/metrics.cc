#include "base/metrics.h"

#include <utility>
#include <vector>

#include "base/process_metrics.h"
#include "prometheus/text_serializer.h"

namespace waggle {

prometheus::Counter& Metrics::Counter(const std::string& name,
                                      const std::string& help,
                                      const Labels& labels) {
  return prometheus::BuildCounter()
      .Name(name)
      .Help(help)
      .Register(registry_)
      .Add(labels);
}

prometheus::Gauge& Metrics::Gauge(const std::string& name,
                                  const std::string& help,
                                  const Labels& labels) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry_).Add(
      labels);
}

prometheus::Histogram& Metrics::Histogram(
    const std::string& name, const std::string& help,
    const prometheus::Histogram::BucketBoundaries& buckets,
    const Labels& labels) {
  return prometheus::BuildHistogram()
      .Name(name)
      .Help(help)
      .Register(registry_)
      .Add(labels, buckets);
}

void Metrics::RemoveGauge(const std::string& name, const std::string& help,
                          const Labels& labels) {
  auto& family =
      prometheus::BuildGauge().Name(name).Help(help).Register(registry_);
  if (family.Has(labels)) family.Remove(&family.Add(labels));
}

std::map<std::string, double> Metrics::SumBy(const std::string& name,
                                             const std::string& label) const {
  std::map<std::string, double> sums;
  for (const prometheus::MetricFamily& family : registry_.Collect()) {
    if (family.name != name) continue;
    for (const prometheus::ClientMetric& metric : family.metric) {
      for (const auto& [own, value] : metric.label) {
        if (own == label) sums[value] += metric.counter.value;
      }
    }
  }
  return sums;
}

std::string Metrics::Serialize() const {
  std::vector<prometheus::MetricFamily> families = registry_.Collect();
  for (prometheus::MetricFamily& family : ProcessMetrics(started_at_)) {
    families.push_back(std::move(family));
  }
  return prometheus::TextSerializer().Serialize(families);
}

prometheus::Histogram::BucketBoundaries Metrics::LatencyBuckets() {
  return {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
          0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};
}

}  // namespace waggle
