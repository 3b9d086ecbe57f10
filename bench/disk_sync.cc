#include "disk_sync.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

#include "child_process.h"

namespace waggle::bench {
namespace {

constexpr size_t kBytes = 64 * 1024;
constexpr size_t kSyncs = 500;

}  // namespace

SyncTime MeasureDiskSync(const std::string& directory) {
  const std::string path = directory + "/sync";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const std::string bytes(kBytes, 'x');
  const auto write_durably = [&] {
    if (pwrite(fd, bytes.data(), bytes.size(), 0) !=
            static_cast<ssize_t>(bytes.size()) ||
        fdatasync(fd) != 0) {
      Die("cannot write " + path);
    }
  };
  write_durably();  // its blocks are there from now on
  std::vector<double> times;
  for (size_t i = 0; i < kSyncs; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    write_durably();
    times.push_back(std::chrono::duration<double, std::micro>(
                        std::chrono::steady_clock::now() - begin)
                        .count());
  }
  close(fd);
  unlink(path.c_str());
  std::sort(times.begin(), times.end());
  return {times[kSyncs / 2], times[kSyncs * 99 / 100]};
}

}  // namespace waggle::bench
