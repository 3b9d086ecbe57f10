// What the commands end with, for scripts. `waggle --help` lists them.
#ifndef WAGGLE_CLI_EXIT_CODES_H_
#define WAGGLE_CLI_EXIT_CODES_H_

namespace waggle {

enum ExitCode : int {
  kExitOk = 0,
  // It did not work: a file, the network, the configuration.
  kExitFailure = 1,
  // The command line makes no sense.
  kExitUsage = 2,
  // The gateway refused what was asked; asking again changes nothing.
  kExitRefused = 3,
  // Events between the cursor and what the gateway still holds are gone, or the
  // cursor belongs to another store: somebody has to decide how to go on.
  kExitGap = 4,
};

}  // namespace waggle

#endif  // WAGGLE_CLI_EXIT_CODES_H_
