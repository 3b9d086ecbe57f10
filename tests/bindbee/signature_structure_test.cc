// That checking a signature takes the same way whatever is claimed: counted in
// instructions, of which a debugger that steps through the check sees every
// one. A clock would tell less and fail on a busy machine.
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bindbee/signature.h"
#include "gtest/gtest.h"

namespace waggle {
namespace {

constexpr std::string_view kBody =
    R"({"webhook":{"event":"connector_synced"}})";

constexpr std::string_view kFirstKey = "the first key, as good as any";
constexpr std::string_view kSecondKey = "the second key, as good as any";

// The child: checks the claim between two stops.
[[noreturn]] void RunTraced(const std::vector<std::string_view>& texts,
                            const std::vector<std::string_view>& claim) {
  std::vector<Secret> keys;
  for (const std::string_view text : texts) {
    keys.emplace_back(std::string(text));
  }
  // What the first use of the libraries sets up is not to be counted.
  for (int i = 0; i < 3; ++i) Verify(keys, claim, kBody);
  ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  raise(SIGSTOP);
  Verify(keys, claim, kBody);
  raise(SIGSTOP);
  _exit(0);
}

// How many instructions the check takes; 0 if they could not be counted.
int64_t InstructionsOf(const std::vector<std::string>& signatures,
                       const std::vector<std::string_view>& keys = {
                           kFirstKey}) {
  // Each step changes between the two processes, which is several times faster
  // on one processor.
  cpu_set_t here;
  CPU_ZERO(&here);
  CPU_SET(sched_getcpu(), &here);
  sched_setaffinity(0, sizeof(here), &here);
  const std::vector<std::string_view> claim(signatures.begin(),
                                            signatures.end());
  const pid_t child = fork();
  if (child == 0) RunTraced(keys, claim);
  int status = 0;
  if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return 0;
  int64_t steps = 0;
  while (true) {
    // The signal that stopped it is not handed on.
    if (ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0) break;
    if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) break;
    if (WSTOPSIG(status) == SIGSTOP) break;
    ++steps;
  }
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  return steps;
}

std::string Right() { return Sign(kFirstKey, kBody); }

std::string WithAnother(size_t index) {
  std::string signature = Right();
  signature[index] = signature[index] == 'A' ? 'B' : 'A';
  return signature;
}

// Counts are exact but for what the memory allocator does.
constexpr int64_t kAllocatorNoise = 64;

TEST(SignatureStructureTest, WhereASignatureIsWrongMakesNoDifference) {
  const int64_t first = InstructionsOf({WithAnother(0)});
  ASSERT_GT(first, 1000) << "cannot step through a process of our own";
  for (const size_t index : {1, 42}) {
    EXPECT_NEAR(InstructionsOf({WithAnother(index)}), first, kAllocatorNoise)
        << index;
  }
}

TEST(SignatureStructureTest, WhichKeyFitsOrNoneMakesNoDifference) {
  const std::vector<std::string_view> keys = {kFirstKey, kSecondKey};
  const int64_t none = InstructionsOf({WithAnother(0)}, keys);
  ASSERT_GT(none, 1000) << "cannot step through a process of our own";
  EXPECT_NEAR(InstructionsOf({Sign(kFirstKey, kBody)}, keys), none,
              kAllocatorNoise);
  EXPECT_NEAR(InstructionsOf({Sign(kSecondKey, kBody)}, keys), none,
              kAllocatorNoise);
}

TEST(SignatureStructureTest, MissingMalformedAndSeveralTakeTheWayOfWrong) {
  const int64_t wrong = InstructionsOf({WithAnother(0)});
  ASSERT_GT(wrong, 1000) << "cannot step through a process of our own";
  const std::vector<std::vector<std::string>> claims = {
      {},
      {""},
      {"not base64!"},
      {Right().substr(0, 43)},
      {Right() + "="},
      {std::string(4000, 'A')},
      {Right(), Right()},
      {std::string(44, '!')}};
  for (const auto& claim : claims) {
    EXPECT_NEAR(InstructionsOf(claim), wrong, kAllocatorNoise)
        << claim.size() << " of " << (claim.empty() ? "" : claim[0]);
  }
}

}  // namespace
}  // namespace waggle
