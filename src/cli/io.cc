#include "cli/io.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace waggle {
namespace {

constexpr size_t kMaxInput = size_t{16} << 20;

}  // namespace

absl::StatusOr<std::string> ReadInput(const std::string& path) {
  const bool standard = path == "-";
  const std::string name = standard ? "standard input" : path;
  const int fd =
      standard ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", name));
  }
  auto closer = absl::MakeCleanup([fd, standard] {
    if (!standard) close(fd);
  });
  std::string data;
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", name));
    }
    if (n == 0) return data;
    data.append(buffer.data(), static_cast<size_t>(n));
    if (data.size() > kMaxInput) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, " holds more than ", kMaxInput, " bytes"));
    }
  }
}

absl::Status WriteAll(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t n = write(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EPIPE) {
      return absl::CancelledError("nobody reads the output any more");
    }
    if (n < 0) return absl::ErrnoToStatus(errno, "cannot write the output");
    data.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

}  // namespace waggle
