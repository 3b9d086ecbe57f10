#include "cli/cli.h"

#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/exit_codes.h"
#include "cli/termination_signals.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cli/fake_event_service.h"
#include "tests/fakes/temp_dir.h"
#include "tests/fakes/wake_flag.h"

namespace waggle {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

struct Outcome {
  int code;
  std::string out;
  std::string err;
};

Outcome RunCommand(std::vector<std::string> arguments) {
  std::vector<const char*> argv = {"waggle"};
  for (const std::string& argument : arguments)
    argv.push_back(argument.c_str());
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  const int code = Run(static_cast<int>(argv.size()), argv.data());
  std::string out = ::testing::internal::GetCapturedStdout();
  return {code, out, ::testing::internal::GetCapturedStderr()};
}

class CliTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& content) {
    std::ofstream(dir_.File(name), std::ios::binary) << content;
    EXPECT_EQ(chmod(dir_.File(name).c_str(), 0600), 0);
    return dir_.File(name);
  }

  TempDir dir_;
};

TEST_F(CliTest, HelpIsForEveryCommandAndNoFailure) {
  EXPECT_THAT(RunCommand({"--help"}).out, HasSubstr("Exit codes:"));
  for (const char* command :
       {"serve", "tail", "send", "sign", "check-config"}) {
    const Outcome help = RunCommand({command, "--help"});
    EXPECT_EQ(help.code, kExitOk) << command;
    EXPECT_THAT(help.out, HasSubstr("Example")) << command;
    EXPECT_THAT(help.out, HasSubstr(absl::StrCat("waggle ", command)));
  }
}

TEST_F(CliTest, TellsItsVersion) {
  const Outcome version = RunCommand({"--version"});
  EXPECT_EQ(version.code, kExitOk);
  EXPECT_THAT(version.out, StartsWith("waggle "));
}

TEST_F(CliTest, WrongUsageHasItsOwnExitCode) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{
           {},
           {"fly"},
           {"--nope"},
           {"serve", "--config"},
           {"serve", "--config", ""},
           {"serve", "extra"},
           {"check-config"},
           {"sign"},
           {"sign", "--demo-key", "--key-file", "x"},
           {"send"},
           {"send", "--sample", "nope"},
           {"send", "--sample", "all", "--count", "0"},
           {"tail", "--type", "nope"},
           {"tail", "--from", "nope"},
           {"tail", "--output", "xml"},
           {"tail", "--on-gap", "maybe"},
           {"tail", "--limit", "0"},
           {"tail", "--heartbeat", "fast"},
           {"tail", "--heartbeat", "0s"},
           {"tail", "--heartbeat", "11m"},
           {"tail", "--max-batch", "257"}}) {
    const Outcome outcome = RunCommand(arguments);
    EXPECT_EQ(outcome.code, kExitUsage)
        << ::testing::PrintToString(arguments) << outcome.err;
    EXPECT_THAT(outcome.err, Not(IsEmpty()));
    EXPECT_THAT(outcome.out, IsEmpty());
  }
}

// Made with openssl: printf BODY | openssl dgst -sha256 -hmac KEY -binary |
// basenc --base64url.
TEST_F(CliTest, SignsAsBindbeeDoes) {
  const std::string body = Write("body", R"({"webhook":{"event":"x"}})");
  const std::string signature =
      "ZcVwhCwabBYkqtMgKviKMrPrJI63SbgZbP3_CQSlXJg=\n";
  const Outcome demo = RunCommand({"sign", "--demo-key", body});
  EXPECT_EQ(demo.code, kExitOk);
  EXPECT_EQ(demo.out, signature);
  EXPECT_EQ(RunCommand({"sign", "--demo-key", "--header", body}).out,
            "X-Bindbee-Webhook-Signature: " + signature);
  const std::string key = Write("key", "another key\n");
  EXPECT_EQ(RunCommand({"sign", "--key-file", key, body}).out,
            "sbCgx5IktMhQxcIp7Tysgd6uEeXP0dhZ7ZFu5Z0SMwE=\n");
}

TEST_F(CliTest, SigningSaysWhatItCannotRead) {
  const std::string body = Write("body", "{}");
  const Outcome no_body =
      RunCommand({"sign", "--demo-key", dir_.File("absent")});
  EXPECT_EQ(no_body.code, kExitFailure);
  EXPECT_THAT(no_body.err, HasSubstr(dir_.File("absent")));
  const Outcome no_key =
      RunCommand({"sign", "--key-file", dir_.File("absent"), body});
  EXPECT_EQ(no_key.code, kExitFailure);
  EXPECT_THAT(no_key.err, HasSubstr(dir_.File("absent")));
}

TEST_F(CliTest, ListsTheSamples) {
  const Outcome list = RunCommand({"send", "--list-samples"});
  EXPECT_EQ(list.code, kExitOk);
  EXPECT_THAT(list.out, HasSubstr("sync_completed"));
}

TEST_F(CliTest, SendingWithoutAGatewayFails) {
  const Outcome sent =
      RunCommand({"send", "--sample", "sync_started", "--url",
                  "http://127.0.0.1:1/webhooks/bindbee", "--retries", "0"});
  EXPECT_EQ(sent.code, kExitFailure);
  EXPECT_THAT(sent.err, HasSubstr("demo key"));
  EXPECT_THAT(sent.err, HasSubstr("sync_started: "));
}

TEST_F(CliTest, CheckConfigPrintsAllSettingsAndNoSecret) {
  const std::string key = Write("key", "whsec_not_to_be_seen\n");
  const std::string config =
      Write("waggle.yaml",
            absl::StrCat("webhook:\n  endpoints:\n    - name: bindbee\n      "
                         "signing_key_files: [\"",
                         key, "\"]\n"));
  const Outcome check = RunCommand({"check-config", config});
  EXPECT_EQ(check.code, kExitOk) << check.err;
  EXPECT_THAT(check.out, StartsWith("# OK\nwebhook:\n"));
  EXPECT_THAT(check.out, HasSubstr("max_stream_age: 30m"));
  EXPECT_THAT(check.out + check.err, Not(HasSubstr("whsec")));
  // What it prints is a configuration.
  const Outcome again = RunCommand({"check-config", Write("2", check.out)});
  EXPECT_EQ(again.out, check.out);
}

TEST_F(CliTest, CheckConfigPrintsAllProblems) {
  const std::string config = Write("waggle.yaml",
                                   "webhook:\n"
                                   "  endpoints:\n"
                                   "    - name: Bindbee\n"
                                   "      signing_key_files: [x]\n"
                                   "  lisen: x\n");
  const Outcome check = RunCommand({"check-config", config});
  EXPECT_EQ(check.code, kExitFailure);
  EXPECT_THAT(check.err, HasSubstr("waggle.yaml:5:3: webhook.lisen"));
  EXPECT_THAT(check.err, HasSubstr("waggle.yaml:3:13: "));
  EXPECT_THAT(check.out, IsEmpty());
}

TEST_F(CliTest, CheckConfigReadsTheKeys) {
  const std::string config =
      Write("waggle.yaml",
            absl::StrCat("webhook:\n  endpoints:\n    - name: bindbee\n      "
                         "signing_key_files: [\"",
                         dir_.File("absent"), "\"]\n"));
  const Outcome check = RunCommand({"check-config", config});
  EXPECT_EQ(check.code, kExitFailure);
  EXPECT_THAT(check.err, HasSubstr("endpoint bindbee"));
  EXPECT_THAT(check.err, HasSubstr(dir_.File("absent")));
}

TEST_F(CliTest, ServeRefusesABadConfigurationBeforeAnythingStarts) {
  const Outcome serve =
      RunCommand({"serve", "--config", Write("waggle.yaml", "nope: 1\n")});
  EXPECT_EQ(serve.code, kExitFailure);
  EXPECT_THAT(serve.err, HasSubstr("waggle.yaml:1:1: nope"));
  EXPECT_EQ(RunCommand({"serve", "--config", dir_.File("absent")}).code,
            kExitFailure);
}

TEST_F(CliTest, TailPrintsEventsAndResumesByItsCursorFile) {
  v1::SubscribeResponse response = ResponseOf({7});
  response.set_cursor("a-cursor-that-looks-like-one");
  response.set_caught_up(true);
  FakeEventService gateway(
      {FakeEventService::Sends({response}, grpc::Status::OK),
       FakeEventService::Sends({}, grpc::Status::OK)});
  const std::vector<std::string> arguments = {"tail",
                                              "--address",
                                              gateway.address(),
                                              "--until-caught-up",
                                              "--cursor-file",
                                              dir_.File("c"),
                                              "--from",
                                              "earliest",
                                              "--origin",
                                              "a",
                                              "--origin",
                                              "b"};
  const Outcome first = RunCommand(arguments);
  EXPECT_EQ(first.code, kExitOk) << first.err;
  EXPECT_EQ(first.out, "{\"sequence\":\"7\"}\n");
  EXPECT_EQ(RunCommand(arguments).code, kExitOk);
  const auto requests = gateway.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].position(), v1::START_POSITION_EARLIEST);
  EXPECT_EQ(requests[0].filters(0).origin_ids_size(), 2);
  EXPECT_EQ(requests[1].after_cursor(), "a-cursor-that-looks-like-one");
}

// Otherwise the cursor would stand behind events that were not printed.
TEST_F(CliTest, TailWithALimitStoresTheCursorOfTheLastPrintedEvent) {
  FakeEventService gateway({FakeEventService::Sends({}, grpc::Status::OK)});
  RunCommand({"tail", "--address", gateway.address(), "--until-caught-up",
              "--cursor-file", dir_.File("c"), "--limit", "5"});
  EXPECT_EQ(gateway.requests()[0].max_batch_size(), 1u);
}

TEST_F(CliTest, TailEndsWithAnExitCodeOfItsOwnAtAGap) {
  FakeEventService gateway(
      {FakeEventService::Fails(
           FakeError{grpc::StatusCode::OUT_OF_RANGE,
                     "CURSOR_EXPIRED",
                     std::nullopt,
                     {{"earliest_time", "2025-01-31T08:00:00Z"}}}
               .ToStatus()),
       FakeEventService::Fails(FakeError{
           grpc::StatusCode::FAILED_PRECONDITION,
           "CURSOR_STORE_MISMATCH",
           std::nullopt,
           {}}.ToStatus()),
       FakeEventService::Fails({grpc::StatusCode::INVALID_ARGUMENT, "no"})});
  const std::vector<std::string> arguments = {"tail", "--address",
                                              gateway.address()};
  const Outcome expired = RunCommand(arguments);
  EXPECT_EQ(expired.code, kExitGap);
  EXPECT_THAT(expired.err, HasSubstr("2025-01-31T08:00:00Z"));
  EXPECT_THAT(expired.err, HasSubstr("--on-gap"));
  EXPECT_EQ(RunCommand(arguments).code, kExitGap);
  EXPECT_EQ(RunCommand(arguments).code, kExitRefused);
}

// Signals are blocked on all threads, as in the program, where nothing starts
// before TerminationSignals does.
class SignalsTest : public CliTest {
 protected:
  SignalsTest() {
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    pthread_sigmask(SIG_BLOCK, &blocked, &previous_);
  }
  ~SignalsTest() override { pthread_sigmask(SIG_SETMASK, &previous_, nullptr); }

 private:
  sigset_t previous_;
};

TEST_F(SignalsTest, TailEndsWellOnSigterm) {
  FakeEventService gateway(
      {[](grpc::ServerContext& context, const v1::SubscribeRequest& request,
          const FakeEventService::Send& send) {
        kill(getpid(), SIGTERM);
        return FakeEventService::FallsSilentAfter({ResponseOf({7})})(
            context, request, send);
      }});
  EXPECT_EQ(RunCommand({"tail", "--address", gateway.address()}).code, kExitOk);
}

TEST_F(SignalsTest, TheFirstIsTold) {
  for (const int number : {SIGTERM, SIGINT}) {
    TerminationSignals signals;
    WakeFlag told;
    const TerminationSignals::Handler handler(signals, [&told] { told.Set(); });
    kill(getpid(), number);
    EXPECT_TRUE(told.Wait());
    signals.Wait();
  }
}

TEST_F(SignalsTest, OneThatHasComeIsToldAtOnce) {
  TerminationSignals signals;
  kill(getpid(), SIGTERM);
  signals.Wait();
  bool told = false;
  const TerminationSignals::Handler handler(signals, [&told] { told = true; });
  EXPECT_TRUE(told);
}

TEST_F(SignalsTest, TheSecondEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto end_by = [](int second) {
    TerminationSignals signals;
    kill(getpid(), SIGTERM);
    signals.Wait();
    kill(getpid(), second);
    WakeFlag().Wait();
  };
  EXPECT_EXIT(end_by(SIGINT), ::testing::ExitedWithCode(130), "");
  EXPECT_EXIT(end_by(SIGTERM), ::testing::ExitedWithCode(143), "");
}

}  // namespace
}  // namespace waggle
