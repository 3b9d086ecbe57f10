#include "cli/terminal_screen.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "base/strings.h"
#include "cli/io.h"

namespace waggle {
namespace {

// The alternate screen without a cursor, and back.
constexpr char kEnter[] = "\x1b[?1049h\x1b[?25l";
constexpr char kLeave[] = "\x1b[?25h\x1b[?1049l";

}  // namespace

TerminalScreen::Size TerminalScreen::CurrentSize() {
  Size size;
  winsize window{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 &&
      window.ws_row > 0) {
    size = {window.ws_col, window.ws_row};
  }
  return size;
}

TerminalScreen::TerminalScreen()
    : has_keys_(tcgetattr(STDIN_FILENO, &previous_) == 0),
      interrupted_(eventfd(0, EFD_CLOEXEC)) {
  if (has_keys_) {
    termios keys = previous_;
    keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    // A stopped process could not bring the terminal back.
    keys.c_cc[VSUSP] = _POSIX_VDISABLE;
    tcsetattr(STDIN_FILENO, TCSANOW, &keys);
  }
  WriteAll(STDOUT_FILENO, kEnter).IgnoreError();
}

TerminalScreen::~TerminalScreen() {
  WriteAll(STDOUT_FILENO, kLeave).IgnoreError();
  if (has_keys_) tcsetattr(STDIN_FILENO, TCSANOW, &previous_);
  close(interrupted_);
}

absl::Status TerminalScreen::Draw(std::string_view lines) {
  // A line feed after the last row would scroll.
  if (lines.ends_with('\n')) lines.remove_suffix(1);
  // Over what was there, so that nothing flickers: what is left of each line
  // and of the screen is erased.
  return WriteAll(STDOUT_FILENO,
                  "\x1b[H" +
                      absl::StrReplaceAll(AsAbsl(lines), {{"\n", "\x1b[K\n"}}) +
                      "\x1b[K\x1b[J");
}

bool TerminalScreen::Wait(absl::Duration duration) {
  const absl::Time end = absl::Now() + duration;
  while (true) {
    const absl::Duration left = end - absl::Now();
    if (left <= absl::ZeroDuration()) return true;
    pollfd watched[] = {{interrupted_, POLLIN, 0},
                        {has_keys_ ? STDIN_FILENO : -1, POLLIN, 0}};
    const int timeout = static_cast<int>(
        absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1))));
    if (poll(watched, 2, timeout) < 0 && errno != EINTR) return false;
    if (watched[0].revents != 0) return false;
    if (watched[1].revents == 0) continue;
    char key;
    if (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q') {
      return false;
    }
  }
}

void TerminalScreen::Interrupt() { eventfd_write(interrupted_, 1); }

}  // namespace waggle
