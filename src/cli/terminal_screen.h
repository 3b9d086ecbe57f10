// The terminal as a screen of its own that is drawn again and again: while one
// of these exists, keys are not echoed and what was on the terminal is kept
// aside; its end brings all that back.
#ifndef WAGGLE_CLI_TERMINAL_SCREEN_H_
#define WAGGLE_CLI_TERMINAL_SCREEN_H_

#include <termios.h>

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace waggle {

// For one thread, but Interrupt().
class TerminalScreen {
 public:
  struct Size {
    size_t columns = 80;
    size_t rows = 24;
  };

  // Of standard output; the usual one if it does not tell.
  static Size CurrentSize();

  TerminalScreen();
  ~TerminalScreen();
  TerminalScreen(const TerminalScreen&) = delete;
  TerminalScreen& operator=(const TerminalScreen&) = delete;

  // Shows these lines, which fit the screen, and nothing else.
  absl::Status Draw(std::string_view lines);

  // Waits for the time to pass. False as soon as `q` is pressed, nobody is at
  // the keys any more, or Interrupt() was called.
  bool Wait(absl::Duration duration);

  // From any thread; also before Wait().
  void Interrupt();

 private:
  // Filled together with has_keys_, so made before.
  termios previous_{};
  bool has_keys_;
  int interrupted_;
};

}  // namespace waggle

#endif  // WAGGLE_CLI_TERMINAL_SCREEN_H_
