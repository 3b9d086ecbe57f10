// The commands. Each Add function describes its command to the parser and says
// how to run it; Run (cli/cli.h) runs the one that was asked for.
#ifndef WAGGLE_CLI_COMMAND_H_
#define WAGGLE_CLI_COMMAND_H_

#include <functional>

#include "CLI/App.hpp"

namespace waggle {

struct Command {
  // Owned by the parser. Tells, after parsing, whether this is the one.
  const CLI::App* parser;
  // Gives the exit code. To be called after parsing.
  std::function<int()> run;
};

Command AddServe(CLI::App& app);
Command AddTail(CLI::App& app);
Command AddSend(CLI::App& app);
Command AddSign(CLI::App& app);
Command AddCheckConfig(CLI::App& app);
Command AddDeliveries(CLI::App& app);
Command AddTrace(CLI::App& app);
Command AddTop(CLI::App& app);
Command AddHealth(CLI::App& app);
Command AddBackup(CLI::App& app);
Command AddExport(CLI::App& app);
Command AddImport(CLI::App& app);

}  // namespace waggle

#endif  // WAGGLE_CLI_COMMAND_H_
