// A directory whose names cannot be made durable: fsync() of it fails. For one
// file of a test program, since this defines fsync() for all of it.
#ifndef WAGGLE_TESTS_FAKES_FAILING_FSYNC_H_
#define WAGGLE_TESTS_FAKES_FAILING_FSYNC_H_

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

namespace waggle {

// One at a time, and made while nothing else syncs.
class FailingFsync {
 public:
  // From when there is a file `name` in `directory`.
  FailingFsync(std::string directory, const std::string& name)
      : directory_(std::move(directory)), file_(directory_ + "/" + name) {
    current_ = this;
  }
  ~FailingFsync() { current_ = nullptr; }
  FailingFsync(const FailingFsync&) = delete;
  FailingFsync& operator=(const FailingFsync&) = delete;

  static bool Fails(int fd) {
    struct stat synced;
    struct stat directory;
    return current_ != nullptr && fstat(fd, &synced) == 0 &&
           stat(current_->directory_.c_str(), &directory) == 0 &&
           synced.st_dev == directory.st_dev &&
           synced.st_ino == directory.st_ino &&
           access(current_->file_.c_str(), F_OK) == 0;
  }

 private:
  static inline FailingFsync* current_ = nullptr;

  const std::string directory_;
  const std::string file_;
};

}  // namespace waggle

extern "C" int fsync(int fd) {
  if (waggle::FailingFsync::Fails(fd)) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(syscall(SYS_fsync, fd));
}

#endif  // WAGGLE_TESTS_FAKES_FAILING_FSYNC_H_
