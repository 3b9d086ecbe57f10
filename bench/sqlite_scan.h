// The ceiling of a replay: SQLite reading the same table by itself.
#ifndef WAGGLE_BENCH_SQLITE_SCAN_H_
#define WAGGLE_BENCH_SQLITE_SCAN_H_

#include <string>

#include "report.h"

namespace waggle::bench {

// Reads all events of a store's data directory in order, in one statement,
// column by column as a replay needs them, on the calling thread. Ends the
// program if it cannot.
Figure ScanEvents(const std::string& data_directory);

// Asks the system to forget what it holds of these files in memory. Whatever
// lies below the system may still remember.
void DropFromPageCache(const std::string& data_directory);

}  // namespace waggle::bench

#endif  // WAGGLE_BENCH_SQLITE_SCAN_H_
