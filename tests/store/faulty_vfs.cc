#include "tests/store/faulty_vfs.h"

#include <filesystem>
#include <fstream>

namespace waggle {

// SQLite allocates it together with the file below, which comes right after.
struct FaultyVfs::File {
  sqlite3_file base;  // first: SQLite sees no more
  FaultyVfs* vfs;
  const char* path;

  sqlite3_file* below() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

struct FaultyVfs::Methods {
  static File& Self(sqlite3_file* file) {
    return *reinterpret_cast<File*>(file);
  }
  static sqlite3_file* Below(sqlite3_file* file) { return Self(file).below(); }
  static const sqlite3_io_methods& BelowMethods(sqlite3_file* file) {
    return *Below(file)->pMethods;
  }

  static int Close(sqlite3_file* file) {
    return BelowMethods(file).xClose(Below(file));
  }
  static int Read(sqlite3_file* file, void* to, int size, sqlite3_int64 at) {
    const int rc = Self(file).vfs->Begin(Operation::kRead);
    return rc != SQLITE_OK
               ? rc
               : BelowMethods(file).xRead(Below(file), to, size, at);
  }
  static int Write(sqlite3_file* file, const void* from, int size,
                   sqlite3_int64 at) {
    const int rc = Self(file).vfs->Begin(Operation::kWrite);
    return rc != SQLITE_OK
               ? rc
               : BelowMethods(file).xWrite(Below(file), from, size, at);
  }
  static int Truncate(sqlite3_file* file, sqlite3_int64 size) {
    return BelowMethods(file).xTruncate(Below(file), size);
  }
  static int Sync(sqlite3_file* file, int flags) {
    int rc = Self(file).vfs->Begin(Operation::kSync);
    if (rc == SQLITE_OK) rc = BelowMethods(file).xSync(Below(file), flags);
    if (rc == SQLITE_OK) Self(file).vfs->RecordSynced(Self(file));
    return rc;
  }
  static int FileSize(sqlite3_file* file, sqlite3_int64* size) {
    return BelowMethods(file).xFileSize(Below(file), size);
  }
  static int Lock(sqlite3_file* file, int level) {
    return BelowMethods(file).xLock(Below(file), level);
  }
  static int Unlock(sqlite3_file* file, int level) {
    return BelowMethods(file).xUnlock(Below(file), level);
  }
  static int CheckReservedLock(sqlite3_file* file, int* result) {
    return BelowMethods(file).xCheckReservedLock(Below(file), result);
  }
  static int FileControl(sqlite3_file* file, int operation, void* argument) {
    return BelowMethods(file).xFileControl(Below(file), operation, argument);
  }
  static int SectorSize(sqlite3_file* file) {
    return BelowMethods(file).xSectorSize(Below(file));
  }
  static int DeviceCharacteristics(sqlite3_file* file) {
    return BelowMethods(file).xDeviceCharacteristics(Below(file));
  }
  static int ShmMap(sqlite3_file* file, int region, int size, int extend,
                    void volatile** memory) {
    return BelowMethods(file).xShmMap(Below(file), region, size, extend,
                                      memory);
  }
  static int ShmLock(sqlite3_file* file, int offset, int n, int flags) {
    return BelowMethods(file).xShmLock(Below(file), offset, n, flags);
  }
  static void ShmBarrier(sqlite3_file* file) {
    BelowMethods(file).xShmBarrier(Below(file));
  }
  static int ShmUnmap(sqlite3_file* file, int remove) {
    return BelowMethods(file).xShmUnmap(Below(file), remove);
  }

  static FaultyVfs& Vfs(sqlite3_vfs* vfs) {
    return *static_cast<FaultyVfs*>(vfs->pAppData);
  }
  static int Open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file,
                  int flags, int* out_flags) {
    // Version 2: without memory-mapped I/O.
    static constexpr sqlite3_io_methods kMethods = {2,
                                                    Close,
                                                    Read,
                                                    Write,
                                                    Truncate,
                                                    Sync,
                                                    FileSize,
                                                    Lock,
                                                    Unlock,
                                                    CheckReservedLock,
                                                    FileControl,
                                                    SectorSize,
                                                    DeviceCharacteristics,
                                                    ShmMap,
                                                    ShmLock,
                                                    ShmBarrier,
                                                    ShmUnmap,
                                                    nullptr,
                                                    nullptr};
    File& self = Self(file);
    self.base.pMethods = nullptr;
    self.vfs = &Vfs(vfs);
    self.path = path;
    sqlite3_vfs* below = self.vfs->below_;
    const int rc = below->xOpen(below, path, self.below(), flags, out_flags);
    if (self.below()->pMethods != nullptr) self.base.pMethods = &kMethods;
    return rc;
  }
  static int Delete(sqlite3_vfs* vfs, const char* path, int sync) {
    sqlite3_vfs* below = Vfs(vfs).below_;
    return below->xDelete(below, path, sync);
  }
  static int Access(sqlite3_vfs* vfs, const char* path, int flags,
                    int* result) {
    sqlite3_vfs* below = Vfs(vfs).below_;
    return below->xAccess(below, path, flags, result);
  }
  static int FullPathname(sqlite3_vfs* vfs, const char* path, int size,
                          char* result) {
    sqlite3_vfs* below = Vfs(vfs).below_;
    return below->xFullPathname(below, path, size, result);
  }
};

FaultyVfs::FaultyVfs() : below_(sqlite3_vfs_find(nullptr)), vfs_(*below_) {
  vfs_.zName = "faulty";
  vfs_.pAppData = this;
  vfs_.pNext = nullptr;
  vfs_.szOsFile = static_cast<int>(sizeof(File)) + below_->szOsFile;
  vfs_.xOpen = Methods::Open;
  vfs_.xDelete = Methods::Delete;
  vfs_.xAccess = Methods::Access;
  vfs_.xFullPathname = Methods::FullPathname;
  sqlite3_vfs_register(&vfs_, /*makeDflt=*/1);
}

FaultyVfs::~FaultyVfs() {
  sqlite3_vfs_register(below_, /*makeDflt=*/1);
  sqlite3_vfs_unregister(&vfs_);
}

void FaultyVfs::Fail(Operation operation, int code, int successes) {
  MutexLock lock(mu_);
  failing_ = operation;
  code_ = code;
  successes_ = successes;
}

void FaultyVfs::Heal() {
  MutexLock lock(mu_);
  code_ = SQLITE_OK;
}

void FaultyVfs::HoldSyncs() {
  MutexLock lock(mu_);
  hold_syncs_ = true;
}

void FaultyVfs::ReleaseSyncs() {
  MutexLock lock(mu_);
  hold_syncs_ = false;
  changed_.SignalAll();
}

void FaultyVfs::WaitForHeldSync() {
  MutexLock lock(mu_);
  while (held_ == 0) changed_.Wait(mu_);
}

void FaultyVfs::CopySynced(const std::string& from, const std::string& to) {
  MutexLock lock(mu_);
  for (const auto& [path, contents] : synced_) {
    const std::filesystem::path file(path);
    if (file.parent_path() != std::filesystem::path(from)) continue;
    std::ofstream(std::filesystem::path(to) / file.filename(), std::ios::binary)
        << contents;
  }
}

int FaultyVfs::Begin(Operation operation) {
  MutexLock lock(mu_);
  if (operation == Operation::kSync && hold_syncs_) {
    ++held_;
    changed_.SignalAll();
    while (hold_syncs_) changed_.Wait(mu_);
    --held_;
  }
  if (code_ == SQLITE_OK || operation != failing_) return SQLITE_OK;
  if (successes_ > 0) {
    --successes_;
    return SQLITE_OK;
  }
  return code_;
}

void FaultyVfs::RecordSynced(File& file) {
  sqlite3_file* below = file.below();
  sqlite3_int64 size = 0;
  below->pMethods->xFileSize(below, &size);
  std::string contents(static_cast<size_t>(size), '\0');
  below->pMethods->xRead(below, contents.data(), static_cast<int>(size), 0);
  MutexLock lock(mu_);
  if (file.path != nullptr) synced_[file.path] = std::move(contents);
}

}  // namespace waggle
