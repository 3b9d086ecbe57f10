// What a backup of a store tells, whichever store it is.
#ifndef WAGGLE_STORE_BACKUP_H_
#define WAGGLE_STORE_BACKUP_H_

#include <cstdint>
#include <functional>
#include <string_view>

namespace waggle {

// Told many times how far it is: what is being done, and how much of how much;
// `total` is 0 if that is not known. False cancels the backup.
using BackupProgress =
    std::function<bool(std::string_view step, uint64_t done, uint64_t total)>;

struct BackupSummary {
  uint64_t events = 0;
  uint64_t bytes = 0;
};

}  // namespace waggle

#endif  // WAGGLE_STORE_BACKUP_H_
