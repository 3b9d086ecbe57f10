// Makes the names in a directory durable: those of files that were made,
// renamed or removed there.
#ifndef WAGGLE_BASE_SYNC_DIRECTORY_H_
#define WAGGLE_BASE_SYNC_DIRECTORY_H_

#include <string>

#include "absl/status/status.h"

namespace waggle {

absl::Status SyncDirectory(const std::string& directory);

// That of the file at `path`.
absl::Status SyncDirectoryOf(const std::string& path);

}  // namespace waggle

#endif  // WAGGLE_BASE_SYNC_DIRECTORY_H_
