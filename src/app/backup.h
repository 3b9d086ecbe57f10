// Copies the data of a gateway to one file, while it runs or not. The copy is
// consistent and checked (store/sqlite/backup.h); a gateway whose data
// directory holds nothing but it, as events.db, starts from it.
#ifndef WAGGLE_APP_BACKUP_H_
#define WAGGLE_APP_BACKUP_H_

#include <string>

#include "absl/status/statusor.h"
#include "store/backup.h"

namespace waggle {

// Nothing is left at `file` on errors, which say what to do. Blocks.
absl::StatusOr<BackupSummary> BackUpData(const std::string& directory,
                                         const std::string& file,
                                         const BackupProgress& progress);

}  // namespace waggle

#endif  // WAGGLE_APP_BACKUP_H_
