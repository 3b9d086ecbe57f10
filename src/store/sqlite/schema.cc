#include "store/sqlite/schema.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace waggle {
namespace {

constexpr const char* kMigrations[] = {
    R"sql(
CREATE TABLE meta (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  store_id BLOB NOT NULL CHECK (length(store_id) = 16),
  created_at INTEGER NOT NULL,
  trimmed_through INTEGER NOT NULL
) STRICT;
INSERT INTO meta VALUES (1, randomblob(16), unixepoch() * 1000000, 0);
CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  stored_at INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  id BLOB NOT NULL,
  window_key BLOB,
  retained_key BLOB,
  crc INTEGER NOT NULL,
  event BLOB NOT NULL,
  payload BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_by_id ON events (id);
CREATE UNIQUE INDEX events_by_retained_key ON events (retained_key)
  WHERE retained_key IS NOT NULL;
)sql",
    // Deliveries have no AUTOINCREMENT, which would have each row inserted
    // write sqlite_sequence too: meta keeps ids from being given twice.
    R"sql(
ALTER TABLE meta ADD COLUMN is_copy INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN last_delivery_id INTEGER NOT NULL DEFAULT 0;
CREATE TABLE deliveries (
  id INTEGER PRIMARY KEY,
  recorded_at INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  outcome INTEGER NOT NULL,
  http_status INTEGER NOT NULL,
  endpoint TEXT NOT NULL,
  path TEXT NOT NULL,
  remote_address TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  read_us INTEGER,
  verify_us INTEGER,
  queue_us INTEGER,
  key_fingerprint TEXT NOT NULL,
  sequence INTEGER,
  event_id BLOB,
  type_name TEXT NOT NULL,
  connector_id TEXT NOT NULL,
  traceparent TEXT NOT NULL,
  unrecorded_before INTEGER NOT NULL
) STRICT;
CREATE INDEX deliveries_duplicate ON deliveries (sequence) WHERE outcome = 2;
CREATE INDEX deliveries_refused ON deliveries (id) WHERE sequence IS NULL;
CREATE TABLE delivery_commits (
  first_id INTEGER PRIMARY KEY,
  last_id INTEGER NOT NULL,
  commit_us INTEGER NOT NULL,
  last_sequence INTEGER NOT NULL,
  stored_through INTEGER NOT NULL
) STRICT;
CREATE INDEX delivery_commits_by_sequence ON delivery_commits (last_sequence);
CREATE TABLE streams (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  stream_id BLOB NOT NULL UNIQUE,
  principal TEXT NOT NULL,
  remote_address TEXT NOT NULL,
  after INTEGER NOT NULL,
  through INTEGER,
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  gone_at INTEGER,
  filters BLOB NOT NULL
) STRICT;
CREATE INDEX streams_by_end ON streams (gone_at);
CREATE TABLE stream_progress (
  id INTEGER PRIMARY KEY,
  stream INTEGER NOT NULL,
  through INTEGER NOT NULL,
  at INTEGER NOT NULL
) STRICT;
CREATE INDEX stream_progress_by_through
  ON stream_progress (through, stream, at);
)sql",
    // Accepted deliveries several to a row; what was accepted before stays
    // where it is.
    R"sql(
CREATE TABLE accepted_deliveries (
  first_id INTEGER PRIMARY KEY,
  last_id INTEGER NOT NULL,
  first_sequence INTEGER NOT NULL,
  accepted_before INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  deliveries BLOB NOT NULL
) STRICT;
DROP INDEX deliveries_duplicate;
CREATE INDEX deliveries_stored ON deliveries (sequence)
  WHERE sequence IS NOT NULL;
DROP INDEX delivery_commits_by_sequence;
ALTER TABLE delivery_commits DROP COLUMN last_sequence;
ALTER TABLE delivery_commits DROP COLUMN stored_through;
)sql",
};

// One line per table, index and whatever else there is; without SQLite's own.
absl::StatusOr<std::string> DescribeSchema(sqlite::Database& db) {
  return db.QueryText(
      "SELECT coalesce(group_concat(type || ' ' || name || ' on ' || tbl_name "
      "|| ': ' || coalesce(sql, '-'), char(10)), '') FROM (SELECT * FROM "
      "sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
      "ORDER BY type, name)");
}

absl::Status FillNewDatabase(const std::string& path) {
  WAGGLE_ASSIGN_OR_RETURN(
      sqlite::Database db,
      sqlite::Database::Open(path, sqlite::OpenMode::kCreate));
  WAGGLE_RETURN_IF_ERROR(
      db.Execute(absl::StrCat("PRAGMA page_size=", kPageSize,
                              "; PRAGMA auto_vacuum=INCREMENTAL; "
                              "PRAGMA synchronous=FULL; PRAGMA application_id=",
                              kApplicationId, ";")));
  WAGGLE_RETURN_IF_ERROR(Migrate(db));
  WAGGLE_RETURN_IF_ERROR(db.Execute("PRAGMA journal_mode=WAL;"));
  WAGGLE_ASSIGN_OR_RETURN(const int64_t auto_vacuum,
                          db.QueryInt("PRAGMA auto_vacuum"));
  if (auto_vacuum != 2) {
    return absl::InternalError("SQLite does not offer auto_vacuum=INCREMENTAL");
  }
  return absl::OkStatus();
}

int64_t ReadBigEndian32(std::string_view bytes) {
  int64_t value = 0;
  for (const char c : bytes.substr(0, 4)) {
    value = value << 8 | static_cast<uint8_t>(c);
  }
  return value;
}

bool IsNotEmpty(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error) &&
         std::filesystem::file_size(path, error) > 0;
}

}  // namespace

int SchemaVersion() { return static_cast<int>(std::size(kMigrations)); }

absl::Status CreateIfMissing(const DataDirectory& directory) {
  const std::string path = directory.DatabasePath();
  std::error_code error;
  if (std::filesystem::exists(path, error)) return absl::OkStatus();
  const std::string log = absl::StrCat(path, "-wal");
  if (IsNotEmpty(log)) {
    return absl::FailedPreconditionError(absl::StrCat(
        log,
        " is here without its database, whose newest events it may hold: "
        "put the database back, or move the log away to begin anew"));
  }
  const std::string draft = absl::StrCat(path, ".new");
  for (const char* suffix : {"", "-journal", "-wal", "-shm"}) {
    std::filesystem::remove(absl::StrCat(draft, suffix), error);
  }
  WAGGLE_RETURN_IF_ERROR(FillNewDatabase(draft));
  for (const char* suffix : {"-wal", "-shm"}) {
    std::filesystem::remove(absl::StrCat(draft, suffix), error);
  }
  if (std::rename(draft.c_str(), path.c_str()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", path));
  }
  return directory.Sync();
}

absl::Status CheckIsOurs(const std::string& path) {
  // https://sqlite.org/fileformat2.html, "The Database Header".
  constexpr std::string_view kMagic("SQLite format 3\0", 16);
  constexpr size_t kReadVersionAt = 19;
  constexpr char kRollbackMode = 1;
  constexpr size_t kApplicationIdAt = 68;
  std::array<char, 100> header;
  std::ifstream file(path, std::ios::binary);
  if (!file.read(header.data(), header.size()) && !file.eof()) {
    return absl::FailedPreconditionError(absl::StrCat("cannot read ", path));
  }
  const std::string_view bytes(header.data(),
                               static_cast<size_t>(file.gcount()));
  if (bytes.size() < header.size() || !bytes.starts_with(kMagic)) {
    return absl::FailedPreconditionError(absl::StrCat(
        path,
        " is not a database: it was left alone. Give Waggle a directory "
        "of its own, or restore the file"));
  }
  if (ReadBigEndian32(bytes.substr(kApplicationIdAt)) != kApplicationId) {
    return absl::FailedPreconditionError(absl::StrCat(
        path,
        " is the database of another program: it was left alone. Give "
        "Waggle a directory of its own"));
  }
  // A backup, which never had a log: SQLite would put the old one over it.
  const std::string log = absl::StrCat(path, "-wal");
  if (bytes[kReadVersionAt] == kRollbackMode && IsNotEmpty(log)) {
    return absl::FailedPreconditionError(absl::StrCat(
        log,
        " is not of the database beside it, which is a backup: move the "
        "log, and ",
        path, "-shm if it is there, out of the directory"));
  }
  return absl::OkStatus();
}

absl::Status CheckNotNewer(sqlite::Database& db) {
  WAGGLE_ASSIGN_OR_RETURN(const int64_t version,
                          db.QueryInt("PRAGMA user_version"));
  if (version <= SchemaVersion()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the database has schema version ", version,
      ", and this program knows versions up to ", SchemaVersion(),
      ": run the newer program that wrote it, or restore a backup from before "
      "it did"));
}

absl::Status Migrate(sqlite::Database& db, int version) {
  WAGGLE_ASSIGN_OR_RETURN(int64_t at, db.QueryInt("PRAGMA user_version"));
  for (; at < version; ++at) {
    sqlite::Transaction transaction(db);
    WAGGLE_RETURN_IF_ERROR(
        transaction.Begin(sqlite::Transaction::Kind::kWrite));
    WAGGLE_RETURN_IF_ERROR(db.Execute(kMigrations[at]));
    WAGGLE_RETURN_IF_ERROR(
        db.Execute(absl::StrCat("PRAGMA user_version=", at + 1)));
    WAGGLE_RETURN_IF_ERROR(transaction.Commit());
  }
  return absl::OkStatus();
}

absl::Status CheckSchema(sqlite::Database& db) {
  WAGGLE_ASSIGN_OR_RETURN(
      sqlite::Database model,
      sqlite::Database::Open(":memory:", sqlite::OpenMode::kCreate));
  WAGGLE_RETURN_IF_ERROR(Migrate(model));
  WAGGLE_ASSIGN_OR_RETURN(const std::string expected, DescribeSchema(model));
  WAGGLE_ASSIGN_OR_RETURN(const std::string actual, DescribeSchema(db));
  if (actual == expected) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      "the database's tables are not those of schema version ", SchemaVersion(),
      ": somebody changed them. Restore a backup. They are:\n", actual));
}

}  // namespace waggle
