// How long the disk takes to make a little durable: what every commit waits
// for, whatever the program above it does.
#ifndef WAGGLE_BENCH_DISK_SYNC_H_
#define WAGGLE_BENCH_DISK_SYNC_H_

#include <string>

namespace waggle::bench {

// In microseconds.
struct SyncTime {
  double p50;
  double p99;
};

// Writes 64 KiB and syncs them, again and again to the same place of a file in
// `directory`, as a write-ahead log does.
SyncTime MeasureDiskSync(const std::string& directory);

}  // namespace waggle::bench

#endif  // WAGGLE_BENCH_DISK_SYNC_H_
