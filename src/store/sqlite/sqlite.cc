#include "store/sqlite/sqlite.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "sqlite3.h"

namespace waggle::sqlite {
namespace {

absl::StatusCode ToCode(int rc) {
  switch (rc & 0xff) {
    case SQLITE_FULL:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::StatusCode::kUnavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    case SQLITE_INTERRUPT:
      return absl::StatusCode::kCancelled;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::Status ToStatus(sqlite3* db, int rc) {
  std::string message =
      absl::StrCat("SQLite: ", db != nullptr ? sqlite3_errmsg(db) : "no memory",
                   " (", sqlite3_errstr(rc), ", code ", rc, ")");
  if (const int error = db != nullptr ? sqlite3_system_errno(db) : 0;
      (rc & 0xff) == SQLITE_IOERR && error != 0) {
    absl::StrAppend(&message, ": ", std::strerror(error));
  }
  return absl::Status(ToCode(rc), message);
}

int ToFlags(OpenMode mode) {
  switch (mode) {
    case OpenMode::kReadOnly:
      return SQLITE_OPEN_READONLY;
    case OpenMode::kReadWrite:
      return SQLITE_OPEN_READWRITE;
    case OpenMode::kCreate:
      return SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  }
  return 0;
}

int ToSqlite(CheckpointMode mode) {
  switch (mode) {
    case CheckpointMode::kPassive:
      return SQLITE_CHECKPOINT_PASSIVE;
    case CheckpointMode::kRestart:
      return SQLITE_CHECKPOINT_RESTART;
    case CheckpointMode::kTruncate:
      return SQLITE_CHECKPOINT_TRUNCATE;
  }
  return SQLITE_CHECKPOINT_PASSIVE;
}

}  // namespace

void Statement::Finalizer::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

void Statement::BindInt(int parameter, int64_t value) {
  const int rc = sqlite3_bind_int64(statement_.get(), parameter, value);
  if (rc != SQLITE_OK) bind_error_ = rc;
}

void Statement::BindBytes(int parameter, std::string_view bytes) {
  // A null pointer would bind NULL, which an empty string is not.
  const char* data = bytes.data() != nullptr ? bytes.data() : "";
  const int rc = sqlite3_bind_blob64(statement_.get(), parameter, data,
                                     bytes.size(), SQLITE_STATIC);
  if (rc != SQLITE_OK) bind_error_ = rc;
}

void Statement::BindText(int parameter, std::string_view text) {
  const char* data = text.data() != nullptr ? text.data() : "";
  const int rc = sqlite3_bind_text64(statement_.get(), parameter, data,
                                     text.size(), SQLITE_STATIC, SQLITE_UTF8);
  if (rc != SQLITE_OK) bind_error_ = rc;
}

absl::StatusOr<bool> Statement::Step() {
  const int rc =
      bind_error_ != 0 ? bind_error_ : sqlite3_step(statement_.get());
  if (rc == SQLITE_ROW) return true;
  if (rc == SQLITE_DONE) return false;
  return ToStatus(sqlite3_db_handle(statement_.get()), rc);
}

absl::Status Statement::Run() {
  const Scope scope(*this);
  absl::StatusOr<bool> row = true;
  while (row.ok() && *row) row = Step();
  return row.status();
}

void Statement::Reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
  bind_error_ = 0;
}

int64_t Statement::Int(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string_view Statement::Bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_.get(), column);
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return {static_cast<const char*>(data), static_cast<size_t>(size)};
}

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

void Database::Closer::operator()(sqlite3* db) const { sqlite3_close_v2(db); }

absl::StatusOr<Database> Database::Open(const std::string& path,
                                        OpenMode mode) {
  // Nobody asks SQLite how much memory it uses, and counting takes a lock at
  // every allocation. Of no effect once SQLite is in use.
  [[maybe_unused]] static const int configured =
      sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  sqlite3* handle = nullptr;
  const int rc = sqlite3_open_v2(
      path.c_str(), &handle,
      ToFlags(mode) | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  Database db;
  db.db_.reset(handle);
  if (rc != SQLITE_OK) return ToStatus(handle, rc);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  return db;
}

absl::Status Database::Execute(const std::string& sql) {
  const int rc =
      sqlite3_exec(db_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  return rc == SQLITE_OK ? absl::OkStatus() : ToStatus(db_.get(), rc);
}

absl::StatusOr<int64_t> Database::QueryInt(std::string_view sql) {
  WAGGLE_ASSIGN_OR_RETURN(Statement statement, Prepare(sql));
  WAGGLE_ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) return absl::InternalError("SQLite: a query has no row");
  return statement.Int(0);
}

absl::StatusOr<std::string> Database::QueryText(std::string_view sql) {
  WAGGLE_ASSIGN_OR_RETURN(Statement statement, Prepare(sql));
  WAGGLE_ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) return absl::InternalError("SQLite: a query has no row");
  return std::string(statement.Bytes(0));
}

absl::StatusOr<Statement> Database::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int rc =
      sqlite3_prepare_v3(db_.get(), sql.data(), static_cast<int>(sql.size()),
                         SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (rc != SQLITE_OK) return ToStatus(db_.get(), rc);
  return Statement(statement);
}

int64_t Database::Changes() const { return sqlite3_changes64(db_.get()); }

bool Database::InTransaction() const {
  return sqlite3_get_autocommit(db_.get()) == 0;
}

void Database::SetBusyTimeout(int milliseconds) {
  sqlite3_busy_timeout(db_.get(), milliseconds);
}

void Database::SetProgressHandler(std::function<bool()> handler) {
  // Steps of SQLite's virtual machine: some hundred rows.
  constexpr int kSteps = 1000;
  progress_handler_ =
      std::make_unique<std::function<bool()>>(std::move(handler));
  sqlite3_progress_handler(
      db_.get(), *progress_handler_ != nullptr ? kSteps : 0,
      [](void* handler) {
        return (*static_cast<std::function<bool()>*>(handler))() ? 0 : 1;
      },
      progress_handler_.get());
}

void Database::SetWalHook(void (*hook)(void* context, int frames),
                          void* context) {
  wal_hook_ = std::make_unique<WalHook>(WalHook{hook, context});
  sqlite3_wal_hook(
      db_.get(),
      [](void* self, sqlite3*, const char*, int frames) {
        const WalHook& hook = *static_cast<WalHook*>(self);
        hook.function(hook.context, frames);
        return SQLITE_OK;
      },
      wal_hook_.get());
}

absl::StatusOr<bool> Database::Checkpoint(CheckpointMode mode) {
  int log = 0;
  int checkpointed = 0;
  const int rc = sqlite3_wal_checkpoint_v2(db_.get(), nullptr, ToSqlite(mode),
                                           &log, &checkpointed);
  if (rc == SQLITE_BUSY) return false;
  if (rc != SQLITE_OK) return ToStatus(db_.get(), rc);
  return log == checkpointed;
}

Transaction::~Transaction() {
  // Whoever cares whether it worked has called Rollback().
  Rollback().IgnoreError();
}

absl::Status Transaction::Begin(Kind kind) {
  return db_.Execute(kind == Kind::kRead ? "BEGIN" : "BEGIN IMMEDIATE");
}

absl::Status Transaction::Commit() { return db_.Execute("COMMIT"); }

absl::Status Transaction::Rollback() {
  return db_.InTransaction() ? db_.Execute("ROLLBACK") : absl::OkStatus();
}

}  // namespace waggle::sqlite
