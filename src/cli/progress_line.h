// A line that tells how far something long is. On a terminal it is one line
// that changes; elsewhere a new line every ten seconds. What takes no time
// shows none.
#ifndef WAGGLE_CLI_PROGRESS_LINE_H_
#define WAGGLE_CLI_PROGRESS_LINE_H_

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace waggle {

// Not thread-safe.
class ProgressLine {
 public:
  using Write = std::function<void(const std::string&)>;

  ProgressLine(bool terminal, Write write);

  // Whether it is time to show the line again; for the first time after a
  // while. `now` is steady.
  bool IsDue(std::chrono::steady_clock::time_point now);
  void Show(const std::string& line);
  // The last line, if any was shown.
  void Finish(const std::string& line);

 private:
  const bool terminal_;
  const std::chrono::milliseconds pause_;
  const Write write_;
  bool shown_ = false;
  std::optional<std::chrono::steady_clock::time_point> last_;
};

}  // namespace waggle

#endif  // WAGGLE_CLI_PROGRESS_LINE_H_
