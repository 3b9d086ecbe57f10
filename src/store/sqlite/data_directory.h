// The directory that holds a store's files, while this process owns it:
//
//   events.db, events.db-wal, events.db-shm   SQLite's
//   lock                                      held while a process uses them
//
// Two gateways on one database would each believe to be its only writer, so the
// lock is taken before anything else is looked at. It is a file of its own:
// closing any descriptor of the database would drop SQLite's own locks on it.
#ifndef WAGGLE_STORE_SQLITE_DATA_DIRECTORY_H_
#define WAGGLE_STORE_SQLITE_DATA_DIRECTORY_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace waggle {

// Movable; lets go of the lock at destruction.
class DataDirectory {
 public:
  // Makes the directory if it is missing, for this user only.
  // FAILED_PRECONDITION if another process uses it, or this one already does.
  static absl::StatusOr<DataDirectory> Lock(const std::string& path);

  DataDirectory(DataDirectory&& other) noexcept;
  DataDirectory& operator=(DataDirectory&&) = delete;
  ~DataDirectory();

  const std::string& path() const { return path_; }
  std::string DatabasePath() const;

  // Makes renames and new files in it durable.
  absl::Status Sync() const;

 private:
  DataDirectory(std::string path, int lock_fd)
      : path_(std::move(path)), lock_fd_(lock_fd) {}

  std::string path_;
  int lock_fd_;
};

// Of the database in a data directory.
std::string DatabasePathIn(const std::string& directory);

// How many bytes a process may still write to the file system of `directory`.
absl::StatusOr<uint64_t> FreeBytes(const std::string& directory);

}  // namespace waggle

#endif  // WAGGLE_STORE_SQLITE_DATA_DIRECTORY_H_
