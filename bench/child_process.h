// A program of its own for the side that is measured, so that its processor
// time and memory are told apart from the load's.
//
//   ChildProcess child({"/proc/self/exe", "serve-bare-http"});
//   const int port = child.ReadPort();
//   const double before = child.CpuSeconds();
//   ...
//
// A child of this program writes its port to standard output, reads commands
// from standard input, and ends when that ends. Whatever happens to the parent,
// the child dies with it. For one thread. Ends the program if the system
// refuses: a benchmark has no use for a half-working machine.
#ifndef WAGGLE_BENCH_CHILD_PROCESS_H_
#define WAGGLE_BENCH_CHILD_PROCESS_H_

#include <sys/types.h>

#include <cstdio>
#include <string>
#include <vector>

namespace waggle::bench {

class ChildProcess {
 public:
  // `stderr_path`, unless empty, gets the child's standard error.
  explicit ChildProcess(const std::vector<std::string>& command,
                        const std::string& stderr_path = "");
  // Ends standard input, asks with SIGTERM, and waits.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // The next line of standard output, as a number.
  int ReadPort();
  // Writes a line to standard input.
  void Command(const std::string& line);
  bool running() const;

  // User and system time so far.
  double CpuSeconds() const;
  // Resident memory that is not backed by files, in KiB.
  long ResidentKib() const;

 private:
  pid_t pid_ = -1;
  FILE* in_ = nullptr;
  FILE* out_ = nullptr;
};

// Prints why, and exits with status 1.
[[noreturn]] void Die(const std::string& why);

}  // namespace waggle::bench

#endif  // WAGGLE_BENCH_CHILD_PROCESS_H_
