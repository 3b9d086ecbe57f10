// The command line: what runs a gateway, tries one out, asks one, and keeps its
// data (cli/command.h).
#ifndef WAGGLE_CLI_CLI_H_
#define WAGGLE_CLI_CLI_H_

namespace waggle {

// Runs the command that the arguments ask for, to its end. Returns the
// process's exit code (cli/exit_codes.h). Ignores SIGPIPE from now on. To be
// called before any other thread starts.
int Run(int argc, const char* const* argv);

}  // namespace waggle

#endif  // WAGGLE_CLI_CLI_H_
