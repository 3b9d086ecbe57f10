#include "app/backup.h"

#include "store/sqlite/backup.h"

namespace waggle {

absl::StatusOr<BackupSummary> BackUpData(const std::string& directory,
                                         const std::string& file,
                                         const BackupProgress& progress) {
  return BackUp(directory, file, progress);
}

}  // namespace waggle
