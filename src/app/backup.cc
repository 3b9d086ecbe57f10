#include "app/backup.h"

#include "base/status_macros.h"
#include "store/sqlite/backup.h"

namespace waggle {

absl::StatusOr<BackedUp> BackUpData(
    const std::string& directory, const std::string& file,
    const std::function<bool(std::string_view step, uint64_t done,
                             uint64_t total)>& progress) {
  WAGGLE_ASSIGN_OR_RETURN(const BackupSummary summary,
                          BackUp(directory, file, progress));
  return BackedUp{summary.events, summary.bytes};
}

}  // namespace waggle
