#include "security/secret_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <string>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "openssl/crypto.h"

namespace waggle {
namespace {

constexpr size_t kMaxBytes = 4 << 10;

absl::Status CheckFile(int fd, const std::string& path) {
  struct stat info;
  if (fstat(fd, &info) != 0) {
    return absl::ErrnoToStatus(errno,
                               absl::StrCat(path, ": cannot be examined"));
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": not a regular file; name the file itself"));
  }
  if ((info.st_mode & S_IWOTH) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        path,
        ": everybody may write this file; replace the secret and run "
        "chmod 600 on it"));
  }
  if ((info.st_mode & S_IROTH) != 0) {
    Log(LogLevel::kWarn, "secret_file_readable_by_everybody",
        {{"path", path}, {"remedy", "chmod 600"}});
  }
  return absl::OkStatus();
}

// Reads up to buffer.size() bytes; returns how many there were.
absl::StatusOr<size_t> ReadAll(int fd, const std::string& path,
                               std::string& buffer) {
  size_t size = 0;
  while (size < buffer.size()) {
    const ssize_t got = read(fd, buffer.data() + size, buffer.size() - size);
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot be read"));
    }
    size += static_cast<size_t>(got);
  }
  return size;
}

}  // namespace

absl::StatusOr<Secret> ReadSecretFile(const std::string& path) {
  // O_NONBLOCK: a pipe would block the start until somebody writes to it.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat(path,
                            ": cannot be opened; the file must exist and "
                            "be readable by the gateway's user"));
  }
  const absl::Cleanup close_file = [fd] { close(fd); };
  WAGGLE_RETURN_IF_ERROR(CheckFile(fd, path));

  std::string buffer(kMaxBytes + 1, '\0');
  const absl::Cleanup cleanse = [&buffer] {
    OPENSSL_cleanse(buffer.data(), buffer.size());
  };
  WAGGLE_ASSIGN_OR_RETURN(const size_t size, ReadAll(fd, path, buffer));
  if (size > kMaxBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": larger than ", kMaxBytes, " bytes; it must hold one secret"));
  }
  const absl::string_view secret =
      absl::StripAsciiWhitespace(absl::string_view(buffer.data(), size));
  if (secret.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": empty; write the secret into it"));
  }
  return Secret(std::string(secret));
}

}  // namespace waggle
