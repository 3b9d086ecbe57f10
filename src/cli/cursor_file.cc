#include "cli/cursor_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/sync_directory.h"
#include "cli/io.h"

namespace waggle {
namespace {

absl::Status Failed(const char* what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what, " ", path));
}

absl::Status WriteDurably(const std::string& path, const std::string& data) {
  const int fd =
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return Failed("create", path);
  auto closer = absl::MakeCleanup([fd] { close(fd); });
  WAGGLE_RETURN_IF_ERROR(WriteAll(fd, data));
  return fsync(fd) == 0 ? absl::OkStatus() : Failed("sync", path);
}

}  // namespace

bool LooksLikeCursor(const std::string& text) {
  return text.size() >= 20 && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '-' || c == '_';
         });
}

absl::StatusOr<std::string> CursorFile::Load() const {
  absl::StatusOr<std::string> text = ReadInput(path_);
  if (absl::IsNotFound(text.status())) return "";
  WAGGLE_RETURN_IF_ERROR(text.status());
  absl::StripAsciiWhitespace(&*text);
  if (!LooksLikeCursor(*text)) {
    return absl::InvalidArgumentError(absl::StrCat(
        path_, " does not hold a cursor; remove it to start without one"));
  }
  return text;
}

absl::Status CursorFile::Store(const std::string& cursor) {
  const std::string fresh = path_ + ".new";
  WAGGLE_RETURN_IF_ERROR(WriteDurably(fresh, cursor + "\n"));
  if (rename(fresh.c_str(), path_.c_str()) != 0) {
    return Failed("replace", path_);
  }
  return SyncDirectoryOf(path_);
}

}  // namespace waggle
