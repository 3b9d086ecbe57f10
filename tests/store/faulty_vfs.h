// A layer between SQLite and the disk that fails, waits or loses power when a
// test says so. The default of the process while it lives, so make it before
// the store and destroy it after; one at a time. Thread-safe.
#ifndef WAGGLE_TESTS_STORE_FAULTY_VFS_H_
#define WAGGLE_TESTS_STORE_FAULTY_VFS_H_

#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "sqlite3.h"

namespace waggle {

class FaultyVfs {
 public:
  FaultyVfs();
  ~FaultyVfs();
  FaultyVfs(const FaultyVfs&) = delete;
  FaultyVfs& operator=(const FaultyVfs&) = delete;

  enum class Operation { kRead, kWrite, kSync };

  // After `successes` more operations of the kind, all fail with `code`, an
  // error code of SQLite's.
  void Fail(Operation operation, int code, int successes = 0);
  void Heal();

  // Syncs that begin between the two wait for the second.
  void HoldSyncs();
  void ReleaseSyncs();
  // Returns once a sync is being held.
  void WaitForHeldSync();

  // What a loss of power would leave, at the worst: every file of the directory
  // `from` as it was when it was synced last, written to the directory `to`.
  void CopySynced(const std::string& from, const std::string& to);

 private:
  struct File;
  struct Methods;

  // SQLITE_OK, or what the operation shall fail with.
  int Begin(Operation operation);
  void RecordSynced(File& file);

  sqlite3_vfs* const below_;
  sqlite3_vfs vfs_;

  Mutex mu_;
  CondVar changed_;
  Operation failing_ ABSL_GUARDED_BY(mu_) = Operation::kWrite;
  int code_ ABSL_GUARDED_BY(mu_) = SQLITE_OK;
  int successes_ ABSL_GUARDED_BY(mu_) = 0;
  bool hold_syncs_ ABSL_GUARDED_BY(mu_) = false;
  int held_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<std::string, std::string> synced_ ABSL_GUARDED_BY(mu_);  // by path
};

}  // namespace waggle

#endif  // WAGGLE_TESTS_STORE_FAULTY_VFS_H_
