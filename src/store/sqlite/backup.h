// Copies a store's database to one file, while a gateway uses it or not.
//
// The copy shows one moment, and is complete and checked before it gets its
// name: SQLite's integrity check, the schema, and the checksum of every event.
// It is marked as a copy, so that a gateway which opens it makes a store of its
// own of it, and cursors of the first are told apart. The live database is only
// read.
//
// Until the copy is made, the gateway's write-ahead log cannot start over: it
// grows by what is stored meanwhile.
#ifndef WAGGLE_STORE_SQLITE_BACKUP_H_
#define WAGGLE_STORE_SQLITE_BACKUP_H_

#include <string>

#include "absl/status/statusor.h"
#include "store/backup.h"

namespace waggle {

// Copies the database of the data directory to `file`. Blocks. On any
// error nothing is left at `file`. Errors say what to do:
//   ALREADY_EXISTS       there is something at `file`
//   NOT_FOUND            no database in the directory
//   FAILED_PRECONDITION  not ours, or of another schema than this program's
//   DATA_LOSS            the database, or the copy, is damaged
//   CANCELLED            `progress` said so
//   others               of the file system
absl::StatusOr<BackupSummary> BackUp(const std::string& directory,
                                     const std::string& file,
                                     const BackupProgress& progress);

}  // namespace waggle

#endif  // WAGGLE_STORE_SQLITE_BACKUP_H_
