// A cursor in a file of its own, so that a consumer resumes after its own end.
//
// A stored cursor replaces the one before as a whole: whatever happens at any
// moment, the file holds one of the two, and after Store() has returned, the
// new one. For one process at a time; not thread-safe.
#ifndef WAGGLE_CLI_CURSOR_FILE_H_
#define WAGGLE_CLI_CURSOR_FILE_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace waggle {

class CursorFile {
 public:
  // Beside it, `path` + ".new" comes and goes.
  explicit CursorFile(std::string path) : path_(std::move(path)) {}

  // The stored cursor; empty if there is no file yet. INVALID_ARGUMENT if the
  // file holds something else.
  absl::StatusOr<std::string> Load() const;

  absl::Status Store(const std::string& cursor);

 private:
  const std::string path_;
};

// Whether a text looks like a cursor; only the gateway knows.
bool LooksLikeCursor(const std::string& text);

}  // namespace waggle

#endif  // WAGGLE_CLI_CURSOR_FILE_H_
