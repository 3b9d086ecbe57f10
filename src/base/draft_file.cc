#include "base/draft_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/sync_directory.h"

namespace waggle {
namespace {

absl::Status Failed(const char* what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what, " ", path));
}

absl::Status Exists(const std::string& path) {
  return absl::AlreadyExistsError(absl::StrCat(
      path, " exists, and is left alone: choose another name, or remove it"));
}

}  // namespace

absl::StatusOr<DraftFile> DraftFile::Create(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) == 0) return Exists(path);
  std::string draft_path = path + ".XXXXXX";
  const int fd = mkostemp(draft_path.data(), O_CLOEXEC);
  if (fd < 0) return Failed("create a file beside", path);
  return DraftFile(path, std::move(draft_path), fd);
}

DraftFile::DraftFile(DraftFile&& other) noexcept
    : path_(other.path_),
      draft_path_(std::exchange(other.draft_path_, "")),
      fd_(std::exchange(other.fd_, -1)) {}

DraftFile::~DraftFile() {
  if (fd_ >= 0) close(fd_);
  if (!draft_path_.empty()) unlink(draft_path_.c_str());
}

absl::Status DraftFile::Publish() {
  if (fsync(fd_) != 0) return Failed("sync", draft_path_);
  int rc = renameat2(AT_FDCWD, draft_path_.c_str(), AT_FDCWD, path_.c_str(),
                     RENAME_NOREPLACE);
  // Not every file system can refuse to replace; there Create() has looked.
  if (rc != 0 && errno == EINVAL) {
    rc = rename(draft_path_.c_str(), path_.c_str());
  }
  if (rc != 0) return errno == EEXIST ? Exists(path_) : Failed("make", path_);
  draft_path_.clear();
  absl::Status synced = SyncDirectoryOf(path_);
  // Whoever is told of an error takes it that there is nothing.
  if (!synced.ok()) unlink(path_.c_str());
  return synced;
}

}  // namespace waggle
