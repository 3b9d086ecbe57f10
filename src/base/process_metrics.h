// What the process takes of the system, under the names that all of Prometheus'
// clients give it, so that dashboards for any program show this one, too.
#ifndef WAGGLE_BASE_PROCESS_METRICS_H_
#define WAGGLE_BASE_PROCESS_METRICS_H_

#include <vector>

#include "absl/time/time.h"
#include "prometheus/metric_family.h"

namespace waggle {

// Processor time, memory, open files and their limit, and `started_at`. What
// the system does not tell is left out.
std::vector<prometheus::MetricFamily> ProcessMetrics(absl::Time started_at);

}  // namespace waggle

#endif  // WAGGLE_BASE_PROCESS_METRICS_H_
