// SQLite's C interface as far as the store needs it, with owners for what it
// hands out and absl::Status for its codes:
//
//   RESOURCE_EXHAUSTED  SQLITE_FULL: the disk is full; nothing was committed
//   UNAVAILABLE         SQLITE_BUSY, SQLITE_LOCKED: somebody else holds a lock
//   DATA_LOSS           SQLITE_CORRUPT, SQLITE_NOTADB
//   INTERNAL            everything else, I/O errors above all
//
// Not thread-safe: a connection and what was made from it belong to one thread
// at a time (the mutexes of SQLite's own are off).
#ifndef WAGGLE_STORE_SQLITE_SQLITE_H_
#define WAGGLE_STORE_SQLITE_SQLITE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace waggle::sqlite {

// A prepared statement. Bind, step through the rows, reset; Scope resets by
// itself. A statement that is not reset holds its snapshot, and with it the
// write-ahead log, so nothing may be left half-stepped.
class Statement {
 public:
  class Scope {
   public:
    explicit Scope(Statement& statement) : statement_(statement) {}
    ~Scope() { statement_.Reset(); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Statement& statement_;
  };

  Statement() = default;

  // Parameters count from 1. An error shows at the next Step().
  void BindInt(int parameter, int64_t value);
  // Not copied: `bytes` must live until the reset.
  void BindBytes(int parameter, std::string_view bytes);
  // Likewise. For columns of type TEXT.
  void BindText(int parameter, std::string_view text);

  // True if there is a row.
  absl::StatusOr<bool> Step();
  // Steps to the end and resets: for statements without rows of interest.
  absl::Status Run();
  // Forgets rows and parameters.
  void Reset();

  // Of the current row; columns count from 0.
  int64_t Int(int column) const;
  // Of texts, too. Valid until the next step or reset.
  std::string_view Bytes(int column) const;
  bool IsNull(int column) const;

 private:
  friend class Database;
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
  int bind_error_ = 0;
};

enum class OpenMode { kReadOnly, kReadWrite, kCreate };
enum class CheckpointMode { kPassive, kRestart, kTruncate };

// A connection. Movable; closed last, after the statements made from it.
// Closing never checkpoints.
class Database {
 public:
  static absl::StatusOr<Database> Open(const std::string& path, OpenMode mode);

  // One or more statements whose rows are of no interest.
  absl::Status Execute(const std::string& sql);
  // The first column of the first row of a query that has one.
  absl::StatusOr<int64_t> QueryInt(std::string_view sql);
  absl::StatusOr<std::string> QueryText(std::string_view sql);
  // For use again and again.
  absl::StatusOr<Statement> Prepare(std::string_view sql);

  // Rows that the last INSERT, UPDATE or DELETE changed.
  int64_t Changes() const;
  bool InTransaction() const;

  void SetBusyTimeout(int milliseconds);
  // Calls `hook(context, frames)` after each commit with the length of the
  // write-ahead log, in pages.
  void SetWalHook(void (*hook)(void* context, int frames), void* context);

  // False if readers kept it from doing all that the mode asks for.
  absl::StatusOr<bool> Checkpoint(CheckpointMode mode);

 private:
  struct Closer {
    void operator()(sqlite3* db) const;
  };
  struct WalHook {
    void (*function)(void*, int);
    void* context;
  };

  std::unique_ptr<WalHook> wal_hook_;
  std::unique_ptr<sqlite3, Closer> db_;
};

// Rolls back unless it was committed.
class Transaction {
 public:
  // A snapshot that begins with the first read, or the right to write, at once.
  enum class Kind { kRead, kWrite };

  explicit Transaction(Database& db) : db_(db) {}
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  absl::Status Begin(Kind kind);
  // After RESOURCE_EXHAUSTED or UNAVAILABLE nothing was committed; after any
  // other error nobody knows.
  absl::Status Commit();
  // Also after SQLite rolled back by itself, as it does for some errors.
  absl::Status Rollback();

 private:
  Database& db_;
};

}  // namespace waggle::sqlite

#endif  // WAGGLE_STORE_SQLITE_SQLITE_H_
