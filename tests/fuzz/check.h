// FUZZ_CHECK(condition): what must hold for every input of a fuzz target. Ends
// the process if it does not, in every kind of build.
#ifndef WAGGLE_TESTS_FUZZ_CHECK_H_
#define WAGGLE_TESTS_FUZZ_CHECK_H_

#include <cstdio>
#include <cstdlib>

#define FUZZ_CHECK(condition)                                                \
  do {                                                                       \
    if (!(condition)) {                                                      \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, \
                   #condition);                                              \
      std::abort();                                                          \
    }                                                                        \
  } while (false)

#endif  // WAGGLE_TESTS_FUZZ_CHECK_H_
