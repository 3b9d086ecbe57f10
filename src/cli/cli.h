// The command line: `waggle serve`, `tail`, `send`, `sign`, `check-config`.
#ifndef WAGGLE_CLI_CLI_H_
#define WAGGLE_CLI_CLI_H_

namespace waggle {

// Runs the command that the arguments ask for, to its end. Returns the
// process's exit code (cli/exit_codes.h). Ignores SIGPIPE from now on. To be
// called before any other thread starts.
int Run(int argc, const char* const* argv);

}  // namespace waggle

#endif  // WAGGLE_CLI_CLI_H_
