#include "security/secret_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
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

bool InKubernetes() {
  return std::getenv("KUBERNETES_SERVICE_HOST") != nullptr;
}

absl::Status CheckSecrecy(const struct stat& info, const std::string& path,
                          bool warn) {
  if ((info.st_mode & S_IROTH) == 0) return absl::OkStatus();
  if (!InKubernetes()) {
    return absl::FailedPreconditionError(absl::StrCat(
        path,
        ": everybody may read this secret; run chmod 600 on it, and "
        "exchange it if others have been on this machine"));
  }
  if (warn) {
    Log(LogLevel::kWarn, "secret_file_readable_by_everybody",
        {{"path", path}, {"remedy", "defaultMode: 0440 with an fsGroup"}});
  }
  return absl::OkStatus();
}

absl::StatusOr<struct stat> Examine(int fd, const std::string& path) {
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
        ": everybody may write this file; check what is in it and run "
        "chmod o-w on it"));
  }
  return info;
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

// The whole content. `check` judges the file's owner and mode.
template <typename Check>
absl::StatusOr<Secret> ReadChecked(const std::string& path, size_t max_bytes,
                                   Check check) {
  // O_NONBLOCK: a pipe would block the start until somebody writes to it.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat(path,
                            ": cannot be opened; the file must exist and "
                            "be readable by the gateway's user"));
  }
  const absl::Cleanup close_file = [fd] { close(fd); };
  WAGGLE_ASSIGN_OR_RETURN(const struct stat info, Examine(fd, path));
  WAGGLE_RETURN_IF_ERROR(check(info));

  std::string buffer(max_bytes + 1, '\0');
  const absl::Cleanup cleanse = [&buffer] {
    OPENSSL_cleanse(buffer.data(), buffer.size());
  };
  WAGGLE_ASSIGN_OR_RETURN(const size_t size, ReadAll(fd, path, buffer));
  if (size > max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": larger than ", max_bytes, " bytes"));
  }
  const absl::string_view content =
      absl::StripAsciiWhitespace(absl::string_view(buffer.data(), size));
  if (content.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": empty"));
  }
  return Secret(std::string(content));
}

}  // namespace

absl::StatusOr<Secret> ReadSecretFile(const std::string& path,
                                      const SecretFileOptions& options) {
  return ReadChecked(path, options.max_bytes, [&](const struct stat& info) {
    return CheckSecrecy(info, path, options.warn);
  });
}

absl::StatusOr<std::string> ReadTrustedFile(const std::string& path,
                                            size_t max_bytes) {
  WAGGLE_ASSIGN_OR_RETURN(const Secret content,
                          ReadChecked(path, max_bytes, [](const struct stat&) {
                            return absl::OkStatus();
                          }));
  return std::string(content.Reveal());
}

}  // namespace waggle
