// Copies the data of a gateway to one file, while it runs or not. The copy is
// consistent and checked (store/sqlite/backup.h); a gateway whose data
// directory holds nothing but it, as events.db, starts from it.
#ifndef WAGGLE_APP_BACKUP_H_
#define WAGGLE_APP_BACKUP_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace waggle {

struct BackedUp {
  uint64_t events = 0;
  uint64_t bytes = 0;
};

// `progress` is told what is being done, and how much of how much (0: not
// known); false cancels. Nothing is left at `file` on errors, which say what to
// do. Blocks.
absl::StatusOr<BackedUp> BackUpData(
    const std::string& directory, const std::string& file,
    const std::function<bool(std::string_view step, uint64_t done,
                             uint64_t total)>& progress);

}  // namespace waggle

#endif  // WAGGLE_APP_BACKUP_H_
