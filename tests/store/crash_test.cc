// A process that appends is killed at random moments, again and again over the
// same data: what it was told is stored is there, once and whole, and so is its
// delivery, whatever it was doing.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/store/sqlite_harness.h"

namespace waggle {
namespace {

// What the child tells of an answer, in one write to the pipe.
struct Answer {
  uint64_t delivery;
  uint64_t sequence;
};

std::string PayloadOf(uint64_t delivery) {
  return std::string(delivery % 7000, static_cast<char>('a' + delivery % 26));
}

// Every other delivery is of a sync.
NewEvent MakeDelivery(uint64_t delivery) {
  NewEvent event = NumberedEvent(delivery, {}, PayloadOf(delivery));
  event.identity.index_prefix = EventId(delivery / 3);
  event.identity.window =
      delivery % 2 == 0 ? absl::InfiniteDuration() : absl::Minutes(10);
  return Delivered(std::move(event));
}

class SqliteCrashTest : public SqliteStoreTest {
 protected:
  // Appends deliveries from `first` on, from several threads, until it is
  // killed.
  [[noreturn]] void AppendForEver(uint64_t first, int answers) {
    SystemClock clock;
    auto store = SqliteEventStore::Open(options_, clock, metrics_,
                                        [](absl::Status) { _exit(3); });
    if (!store.ok()) _exit(2);
    (*store)->Start({});
    std::atomic<uint64_t> next = first;
    const auto append = [&] {
      while (true) {
        const uint64_t delivery = next++;
        (*store)->Record(RefusedDelivery());
        const auto appended = TryAppend(**store, MakeDelivery(delivery));
        if (!appended.ok()) _exit(4);
        const Answer answer{delivery, appended->sequence.value()};
        if (write(answers, &answer, sizeof(answer)) != sizeof(answer)) _exit(5);
      }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) threads.emplace_back(append);
    for (std::thread& thread : threads) thread.join();
    _exit(6);
  }

  // Answers that a child got before it was killed after `count` of them.
  std::vector<Answer> RunAndKill(uint64_t first, size_t count) {
    int answers[2];
    EXPECT_EQ(pipe(answers), 0);
    const pid_t child = fork();
    if (child == 0) {
      close(answers[0]);
      AppendForEver(first, answers[1]);
    }
    close(answers[1]);
    std::vector<Answer> got;
    Answer answer;
    while (read(answers[0], &answer, sizeof(answer)) == sizeof(answer)) {
      got.push_back(answer);
      if (got.size() == count) kill(child, SIGKILL);
    }
    close(answers[0]);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "exit code " << WEXITSTATUS(status);
    return got;
  }
};

TEST_F(SqliteCrashTest, WhatWasAnsweredIsThereOnceAndWhole) {
  std::mt19937 random(std::random_device{}());
  std::map<uint64_t, uint64_t> answered;  // sequences by delivery
  uint64_t first = 1;
  for (int round = 0; round < 12; ++round) {
    const size_t count = std::uniform_int_distribution<size_t>(1, 400)(random);
    for (const Answer& answer : RunAndKill(first, count)) {
      const auto [at, is_new] =
          answered.insert({answer.delivery, answer.sequence});
      // A delivery that came again after the crash is the same event.
      EXPECT_TRUE(is_new || at->second == answer.sequence);
    }

    Open();  // which checks every page, and the newest events' checksums
    std::map<uint64_t, uint64_t> stored;
    for (const StoredEventPtr& event : ReadAll()) {
      v1::Event parsed;
      ASSERT_TRUE(parsed.ParseFromString(event->event));
      const uint64_t delivery =
          std::stoull(parsed.id().substr(24), nullptr, 16);
      EXPECT_TRUE(stored.insert({delivery, event->sequence.value()}).second)
          << "delivery " << delivery << " is there twice";
      EXPECT_EQ(event->payload, PayloadOf(delivery));
      EXPECT_EQ(parsed.sequence(), event->sequence.value());
    }
    for (const auto& [delivery, sequence] : answered) {
      EXPECT_EQ(stored[delivery], sequence);
    }
    // Each event with its accepted delivery, and none without the other.
    std::map<uint64_t, uint64_t> accepted;
    for (const v1::Delivery& record : ReadAccepted()) {
      EXPECT_TRUE(
          accepted
              .insert({std::stoull(record.event_id().substr(24), nullptr, 16),
                       record.sequence()})
              .second);
    }
    EXPECT_EQ(accepted, stored);
    Close();
    // Some that were answered, and what was not, come again.
    first = stored.rbegin()->first -
            std::min<uint64_t>(stored.rbegin()->first - 1, 20);
  }
}

}  // namespace
}  // namespace waggle
