#include "sqlite_scan.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <filesystem>

#include "child_process.h"

namespace waggle::bench {

namespace {

double ThreadCpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) +
         static_cast<double>(time.tv_nsec) / 1e9;
}

}  // namespace

Figure ScanEvents(const std::string& data_directory) {
  const std::string path = data_directory + "/events.db";
  sqlite3* db = nullptr;
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READONLY, nullptr) !=
          SQLITE_OK ||
      sqlite3_prepare_v2(db,
                         "SELECT seq, stored_at, event FROM events ORDER BY "
                         "seq",
                         -1, &statement, nullptr) != SQLITE_OK) {
    Die("cannot read " + path + ": " + sqlite3_errmsg(db));
  }
  const double cpu = ThreadCpuSeconds();
  const auto begin = std::chrono::steady_clock::now();
  uint64_t rows = 0;
  uint64_t checksum = 0;
  int step = SQLITE_ROW;
  while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
    const auto* event =
        static_cast<const uint8_t*>(sqlite3_column_blob(statement, 2));
    const int size = sqlite3_column_bytes(statement, 2);
    checksum += static_cast<uint64_t>(sqlite3_column_int64(statement, 0)) +
                static_cast<uint64_t>(sqlite3_column_int64(statement, 1)) +
                event[size - 1];
    ++rows;
  }
  const std::chrono::duration<double> elapsed =
      std::chrono::steady_clock::now() - begin;
  const double cpu_used = ThreadCpuSeconds() - cpu;
  sqlite3_finalize(statement);
  sqlite3_close(db);
  if (step != SQLITE_DONE || rows == 0 || checksum == 0) {
    Die("cannot read all of " + path);
  }
  const auto counted = static_cast<double>(rows);
  return {.rate = counted / elapsed.count(),
          .cpu_us = cpu_used / counted * 1e6};
}

void DropFromPageCache(const std::string& data_directory) {
  for (const auto& entry :
       std::filesystem::directory_iterator(data_directory)) {
    const int fd = open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    fdatasync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
  }
}

}  // namespace waggle::bench
