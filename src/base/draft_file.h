// A file that appears under its name complete or not at all: it is written
// under a name of its own beside that, and gets it once it is durable. What is
// not published is removed.
//
//   auto draft = DraftFile::Create("copy.db");
//   write(draft->fd(), ...);              // or by its path
//   absl::Status status = draft->Publish();
#ifndef WAGGLE_BASE_DRAFT_FILE_H_
#define WAGGLE_BASE_DRAFT_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace waggle {

// Movable.
class DraftFile {
 public:
  // An empty file that only this user can read. ALREADY_EXISTS if there is
  // something at `path`.
  static absl::StatusOr<DraftFile> Create(const std::string& path);

  DraftFile(DraftFile&& other) noexcept;
  DraftFile& operator=(DraftFile&&) = delete;
  ~DraftFile();

  int fd() const { return fd_; }
  const std::string& draft_path() const { return draft_path_; }

  // Makes what was written durable, and then the name; on errors nothing is
  // left. ALREADY_EXISTS if something has appeared there meanwhile, which
  // stays.
  absl::Status Publish();

 private:
  DraftFile(std::string path, std::string draft_path, int fd)
      : path_(std::move(path)), draft_path_(std::move(draft_path)), fd_(fd) {}

  const std::string path_;
  // Empty once it is published, or moved from.
  std::string draft_path_;
  int fd_;
};

}  // namespace waggle

#endif  // WAGGLE_BASE_DRAFT_FILE_H_
