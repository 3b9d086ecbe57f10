#include "base/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "prometheus/client_metric.h"
#include "prometheus/metric_type.h"

namespace waggle {
namespace {

std::optional<double> CpuSeconds() {
  rusage usage;
  if (getrusage(RUSAGE_SELF, &usage) != 0) return std::nullopt;
  return absl::ToDoubleSeconds(absl::DurationFromTimeval(usage.ru_utime) +
                               absl::DurationFromTimeval(usage.ru_stime));
}

std::optional<double> ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  double size_pages = 0;
  double resident_pages = 0;
  if (!(statm >> size_pages >> resident_pages)) return std::nullopt;
  return resident_pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

std::optional<double> OpenFiles() {
  std::error_code error;
  std::filesystem::directory_iterator it("/proc/self/fd", error);
  double count = 0;
  while (!error && it != std::filesystem::directory_iterator()) {
    ++count;
    it.increment(error);
  }
  if (error) return std::nullopt;
  return count - 1;  // The directory itself.
}

std::optional<double> MaxOpenFiles() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::nullopt;
  return static_cast<double>(limit.rlim_cur);
}

}  // namespace

std::vector<prometheus::MetricFamily> ProcessMetrics(absl::Time started_at) {
  std::vector<prometheus::MetricFamily> families;
  const auto add = [&families](std::string name, std::string help,
                               prometheus::MetricType type,
                               std::optional<double> value) {
    if (!value.has_value()) return;
    prometheus::ClientMetric metric;
    if (type == prometheus::MetricType::Counter) {
      metric.counter.value = *value;
    } else {
      metric.gauge.value = *value;
    }
    families.push_back({std::move(name), std::move(help), type, {metric}});
  };
  add("process_cpu_seconds_total", "Processor time of the user and the system.",
      prometheus::MetricType::Counter, CpuSeconds());
  add("process_resident_memory_bytes", "Memory in use.",
      prometheus::MetricType::Gauge, ResidentBytes());
  add("process_open_fds", "Open file descriptors.",
      prometheus::MetricType::Gauge, OpenFiles());
  add("process_max_fds", "The most file descriptors that may be open.",
      prometheus::MetricType::Gauge, MaxOpenFiles());
  add("process_start_time_seconds", "When the process started.",
      prometheus::MetricType::Gauge,
      absl::ToDoubleSeconds(started_at - absl::UnixEpoch()));
  return families;
}

}  // namespace waggle
