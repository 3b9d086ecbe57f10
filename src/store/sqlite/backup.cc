#include "store/sqlite/backup.h"

#include <filesystem>
#include <string_view>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/draft_file.h"
#include "base/status_macros.h"
#include "store/sqlite/checksum.h"
#include "store/sqlite/data_directory.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/sqlite.h"

namespace waggle {
namespace {

namespace fs = std::filesystem;

using sqlite::Database;
using sqlite::OpenMode;
using sqlite::Statement;

constexpr int kBusyTimeoutMs = 5000;

uint64_t SizeOf(const std::string& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return error ? 0 : size;
}

absl::StatusOr<Database> OpenLive(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error)) {
    return absl::NotFoundError(absl::StrCat(
        path, " does not exist: name the gateway's data directory"));
  }
  WAGGLE_RETURN_IF_ERROR(CheckIsOurs(path));
  WAGGLE_ASSIGN_OR_RETURN(Database db,
                          Database::Open(path, OpenMode::kReadOnly));
  db.SetBusyTimeout(kBusyTimeoutMs);
  // Memory-mapped I/O would turn a read error into SIGBUS.
  WAGGLE_RETURN_IF_ERROR(
      db.Execute("PRAGMA mmap_size=0; PRAGMA cell_size_check=ON; "
                 "PRAGMA trusted_schema=OFF; PRAGMA cache_size=-16384;"));
  WAGGLE_RETURN_IF_ERROR(CheckNotNewer(db));
  WAGGLE_ASSIGN_OR_RETURN(const int64_t version,
                          db.QueryInt("PRAGMA user_version"));
  if (version < SchemaVersion()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the database has schema version ", version,
                     ", and this program's is ", SchemaVersion(),
                     ": back it up with the program that wrote it, or "
                     "start this version's gateway on it first"));
  }
  return db;
}

// One statement, and so of one snapshot. The draft is there and empty, which is
// all that VACUUM INTO takes.
absl::Status Copy(Database& live, const std::string& draft) {
  return live.Execute(absl::StrCat(
      "VACUUM INTO '", absl::StrReplaceAll(draft, {{"'", "''"}}), "'"));
}

absl::Status CheckPages(Database& copy) {
  WAGGLE_ASSIGN_OR_RETURN(const std::string found,
                          copy.QueryText("PRAGMA integrity_check(1)"));
  if (found == "ok") return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("the copy is damaged, and so the database is: ", found));
}

// How many there are.
absl::StatusOr<uint64_t> CheckEvents(
    Database& copy, const std::function<bool(uint64_t)>& progress) {
  WAGGLE_ASSIGN_OR_RETURN(
      Statement rows,
      copy.Prepare("SELECT seq, crc, payload, event FROM events ORDER BY seq"));
  for (uint64_t events = 0;; ++events) {
    WAGGLE_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return events;
    if (rows.Int(1) != int64_t{Crc(Crc(0, rows.Bytes(2)), rows.Bytes(3))}) {
      return absl::DataLossError(absl::StrCat(
          "the event with sequence ", rows.Int(0),
          " is not what was stored (its checksum differs): the medium is "
          "damaged, or somebody changed it. Keep the backups that you have"));
    }
    if (!progress(events)) return absl::CancelledError("cancelled");
  }
}

}  // namespace

absl::StatusOr<BackupSummary> BackUp(const std::string& directory,
                                     const std::string& file,
                                     const BackupProgress& progress) {
  WAGGLE_ASSIGN_OR_RETURN(Database live, OpenLive(DatabasePathIn(directory)));
  WAGGLE_ASSIGN_OR_RETURN(DraftFile draft, DraftFile::Create(file));
  const std::string& path = draft.draft_path();
  WAGGLE_ASSIGN_OR_RETURN(
      const int64_t live_bytes,
      live.QueryInt("SELECT (page_count - freelist_count) * page_size FROM "
                    "pragma_page_count(), pragma_freelist_count(), "
                    "pragma_page_size()"));
  live.SetProgressHandler([&] {
    return progress("copying", SizeOf(path), static_cast<uint64_t>(live_bytes));
  });
  WAGGLE_RETURN_IF_ERROR(Copy(live, path));

  BackupSummary summary;
  {
    // Closed before the draft is: closing a descriptor drops SQLite's locks.
    WAGGLE_ASSIGN_OR_RETURN(Database copy,
                            Database::Open(path, OpenMode::kReadWrite));
    WAGGLE_RETURN_IF_ERROR(copy.Execute(
        "PRAGMA mmap_size=0; PRAGMA cell_size_check=ON; "
        "PRAGMA trusted_schema=OFF; UPDATE meta SET is_copy = 1;"));
    WAGGLE_RETURN_IF_ERROR(CheckSchema(copy));
    copy.SetProgressHandler(
        [&] { return progress("checking the pages of the copy", 0, 0); });
    WAGGLE_RETURN_IF_ERROR(CheckPages(copy));
    WAGGLE_ASSIGN_OR_RETURN(const int64_t events,
                            copy.QueryInt("SELECT count(*) FROM events"));
    copy.SetProgressHandler(nullptr);
    WAGGLE_ASSIGN_OR_RETURN(
        summary.events, CheckEvents(copy, [&](uint64_t checked) {
          return progress("checking the events of the copy", checked,
                          static_cast<uint64_t>(events));
        }));
  }
  summary.bytes = SizeOf(path);
  WAGGLE_RETURN_IF_ERROR(draft.Publish());
  return summary;
}

}  // namespace waggle
