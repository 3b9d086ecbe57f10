#include "store/sqlite/draft_directory.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/sqlite.h"

namespace waggle {
namespace {

namespace fs = std::filesystem;

absl::Status CheckEmpty(const std::string& database) {
  std::error_code error;
  if (!fs::exists(database, error)) return absl::OkStatus();
  WAGGLE_RETURN_IF_ERROR(CheckIsOurs(database));
  WAGGLE_ASSIGN_OR_RETURN(
      sqlite::Database db,
      sqlite::Database::Open(database, sqlite::OpenMode::kReadOnly));
  WAGGLE_RETURN_IF_ERROR(CheckNotNewer(db));
  WAGGLE_ASSIGN_OR_RETURN(
      const int64_t used,
      db.QueryInt("SELECT EXISTS (SELECT 1 FROM events) OR "
                  "(SELECT trimmed_through FROM meta) > 0"));
  if (used == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(database,
                   " holds events, or did: it was left alone. Name a directory "
                   "without, or move its files away"));
}

}  // namespace

absl::StatusOr<DraftDirectory> DraftDirectory::Create(
    const std::string& directory) {
  WAGGLE_ASSIGN_OR_RETURN(DataDirectory locked, DataDirectory::Lock(directory));
  WAGGLE_RETURN_IF_ERROR(CheckEmpty(locked.DatabasePath()));
  const std::string path = absl::StrCat(directory, "/import");
  // Of one that was killed: nobody else is here.
  std::error_code error;
  fs::remove_all(path, error);
  return DraftDirectory(std::move(locked), path);
}

DraftDirectory::DraftDirectory(DraftDirectory&& other) noexcept
    : directory_(std::move(other.directory_)),
      path_(std::exchange(other.path_, "")) {}

DraftDirectory::~DraftDirectory() {
  std::error_code error;
  if (!path_.empty()) fs::remove_all(path_, error);
}

absl::Status DraftDirectory::Publish() {
  const std::string draft = DatabasePathIn(path_);
  const std::string database = directory_.DatabasePath();
  std::error_code error;
  const std::string log = absl::StrCat(draft, "-wal");
  if (fs::exists(log, error) && fs::file_size(log, error) > 0) {
    return absl::InternalError(absl::StrCat(
        "the new database is not complete without its log, ", log));
  }
  // First, since SQLite would apply the log of the empty one to the new one.
  for (const char* suffix : {"-wal", "-shm"}) {
    fs::remove(absl::StrCat(database, suffix), error);
    if (error) {
      return absl::ErrnoToStatus(
          error.value(), absl::StrCat("cannot remove ", database, suffix));
    }
  }
  WAGGLE_RETURN_IF_ERROR(directory_.Sync());
  if (std::rename(draft.c_str(), database.c_str()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", database));
  }
  return absl::OkStatus();
}

}  // namespace waggle
