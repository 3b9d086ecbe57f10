// Reading and writing whole pieces of data, with errors that name the file.
#ifndef WAGGLE_CLI_IO_H_
#define WAGGLE_CLI_IO_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace waggle {

// The content of the file, or of standard input for "-"; byte by byte.
// INVALID_ARGUMENT if there are more than 16 MiB.
absl::StatusOr<std::string> ReadInput(const std::string& path);

// Writes all of it. CANCELLED if nobody reads the other end any more, which
// needs SIGPIPE to be ignored.
absl::Status WriteAll(int fd, std::string_view data);

}  // namespace waggle

#endif  // WAGGLE_CLI_IO_H_
