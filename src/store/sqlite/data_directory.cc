#include "store/sqlite/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/sync_directory.h"

namespace waggle {
namespace {

namespace fs = std::filesystem;

absl::Status MakeDirectory(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return absl::OkStatus();
  const fs::path absolute = fs::absolute(path, error).lexically_normal();
  const fs::path parent = absolute.has_filename()
                              ? absolute.parent_path()
                              : absolute.parent_path().parent_path();
  fs::create_directories(parent, error);
  if (error) {
    return absl::ErrnoToStatus(error.value(),
                               absl::StrCat("cannot make ", parent.string()));
  }
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", path));
  }
  return SyncDirectory(parent.string());
}

}  // namespace

absl::StatusOr<DataDirectory> DataDirectory::Lock(const std::string& path) {
  WAGGLE_RETURN_IF_ERROR(MakeDirectory(path));
  const std::string lock_path = absl::StrCat(path, "/lock");
  const int fd = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", lock_path));
  }
  DataDirectory directory(path, fd);
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return directory;
  if (errno == EWOULDBLOCK) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " is in use by another process (", lock_path,
        " is locked): stop that one, or give this one a directory of its own"));
  }
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot lock ", lock_path));
}

DataDirectory::DataDirectory(DataDirectory&& other) noexcept
    : path_(std::move(other.path_)),
      lock_fd_(std::exchange(other.lock_fd_, -1)) {}

DataDirectory::~DataDirectory() {
  if (lock_fd_ >= 0) close(lock_fd_);
}

std::string DataDirectory::DatabasePath() const {
  return DatabasePathIn(path_);
}

absl::Status DataDirectory::Sync() const { return SyncDirectory(path_); }

std::string DatabasePathIn(const std::string& directory) {
  return absl::StrCat(directory, "/events.db");
}

absl::StatusOr<uint64_t> FreeBytes(const std::string& directory) {
  struct statvfs fs;
  if (statvfs(directory.c_str(), &fs) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("statvfs ", directory));
  }
  return uint64_t{fs.f_bavail} * fs.f_frsize;
}

}  // namespace waggle
