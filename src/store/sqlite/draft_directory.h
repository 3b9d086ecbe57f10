// A store in the making, which takes the place of an empty one when it is
// complete: within the data directory, so that it is on the same file system,
// under a name of its own.
//
//   auto draft = DraftDirectory::Create("waggle-data");
//   ...                    // open a store in draft->path(), fill and close it
//   absl::Status status = draft->Publish();
//   if (status.ok()) status = draft->Sync();
//
// What is not published is removed. The data directory is locked meanwhile.
#ifndef WAGGLE_STORE_SQLITE_DRAFT_DIRECTORY_H_
#define WAGGLE_STORE_SQLITE_DRAFT_DIRECTORY_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "store/sqlite/data_directory.h"

namespace waggle {

// Movable.
class DraftDirectory {
 public:
  // Makes the data directory if it is missing. FAILED_PRECONDITION if another
  // process uses it, if it holds what is not ours, or any event or the trace of
  // one.
  static absl::StatusOr<DraftDirectory> Create(const std::string& directory);

  DraftDirectory(DraftDirectory&& other) noexcept;
  DraftDirectory& operator=(DraftDirectory&&) = delete;
  ~DraftDirectory();

  // Where the store is to be made.
  const std::string& path() const { return path_; }

  // Puts the store, which must be closed, in the place of the empty one; on
  // errors that one stays.
  absl::Status Publish();
  // Makes that durable.
  absl::Status Sync() const { return directory_.Sync(); }

 private:
  DraftDirectory(DataDirectory directory, std::string path)
      : directory_(std::move(directory)), path_(std::move(path)) {}

  DataDirectory directory_;
  // Empty if moved from.
  std::string path_;
};

}  // namespace waggle

#endif  // WAGGLE_STORE_SQLITE_DRAFT_DIRECTORY_H_
