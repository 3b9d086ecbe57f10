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
#include "tests/cli/fake_gateway.h"
#include "tests/fakes/failing_fsync.h"
#include "tests/fakes/read_file.h"
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
       {"serve", "tail", "send", "sign", "check-config", "deliveries", "trace",
        "top", "health", "backup", "export", "import"}) {
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
           {"tail", "--max-batch", "257"},
           {"deliveries", "--outcome", "nope"},
           {"deliveries", "--since", "nope"},
           {"deliveries", "--type", "sync_completed"},
           {"deliveries", "--limit", "0"},
           {"deliveries", "--follow", "--until", "1h"},
           {"trace"},
           {"trace", "--sync", "a", "--record", "b"},
           {"trace", "--sync", ""},
           {"trace", "--sync", "a", "--since", "nope"},
           {"top", "--tls-cert", "x"},
           {"health", "--timeout", "fast"},
           {"health", "--live", "--grpc", "127.0.0.1:1"},
           {"backup"},
           {"backup", "x", "--data", "a", "--config", "b"},
           {"export", "--format", "xml"},
           {"export", "--from", "nope"},
           {"import"},
           {"import", "x", "--format", "xml"}}) {
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

TEST_F(CliTest, DeliveriesAreATableOrJson) {
  FakeGateway gateway;
  gateway.Record(1, 5);
  const std::vector<std::string> arguments = {
      "deliveries", "--address", gateway.address(), "--limit", "2",
      "--outcome",  "Too-Large", "--event",         "e"};
  const Outcome table = RunCommand(arguments);
  EXPECT_EQ(table.code, kExitOk) << table.err;
  EXPECT_THAT(table.out, HasSubstr("OUTCOME"));
  EXPECT_THAT(table.err, HasSubstr("there are older ones"));
  std::vector<std::string> as_json = arguments;
  as_json.insert(as_json.end(), {"--output", "json"});
  EXPECT_EQ(RunCommand(as_json).out, "{\"id\":\"4\"}\n{\"id\":\"5\"}\n");
  const v1::DeliveryFilter filter = gateway.lists()[0].filter();
  EXPECT_EQ(filter.outcomes(0), v1::DELIVERY_OUTCOME_TOO_LARGE);
  EXPECT_EQ(filter.event_ids(0), "e");
}

TEST_F(CliTest, TraceAsksUntilEverythingWasLookedAt) {
  FakeGateway gateway;
  v1::CheckDeliveryResponse part;
  part.add_events()->mutable_event()->set_sequence(1);
  part.mutable_searched_since()->set_seconds(1);
  part.mutable_searched_until()->set_seconds(2);
  part.set_truncated(true);
  gateway.parts.push_back(part);
  part.mutable_events(0)->mutable_event()->set_sequence(2);
  part.mutable_searched_until()->set_seconds(3);
  part.set_truncated(false);
  gateway.parts.push_back(part);
  const Outcome trace = RunCommand(
      {"trace", "--address", gateway.address(), "--record", "emp_42"});
  EXPECT_EQ(trace.code, kExitOk) << trace.err;
  EXPECT_THAT(trace.out, StartsWith("record emp_42: 2 events"));
  ASSERT_EQ(gateway.checks().size(), 2u);
  EXPECT_EQ(gateway.checks()[0].record_id(), "emp_42");
  EXPECT_EQ(gateway.checks()[1].since().seconds(), 2);
}

// A gateway whose answers do not get on is not asked for ever.
TEST_F(CliTest, TraceEndsIfItDoesNotGetOn) {
  FakeGateway gateway;
  v1::CheckDeliveryResponse part;
  part.mutable_searched_since()->set_seconds(1);
  part.mutable_searched_until()->set_seconds(1);
  part.set_truncated(true);
  gateway.parts = {part, part, part, part};
  const Outcome trace =
      RunCommand({"trace", "--address", gateway.address(), "--sync", "s",
                  "--since", "1970-01-01T00:00:01Z"});
  EXPECT_EQ(trace.code, kExitOk) << trace.err;
  EXPECT_EQ(gateway.checks().size(), 1u);
  EXPECT_THAT(trace.out, HasSubstr("There is more"));
}

TEST_F(CliTest, TopIsPrintedOnceWhereThereIsNoTerminal) {
  FakeGateway gateway;
  gateway.state.set_version("1.2.3");
  gateway.subscribers.add_subscribers()->set_principal("billing");
  const Outcome top = RunCommand({"top", "--address", gateway.address()});
  EXPECT_EQ(top.code, kExitOk) << top.err;
  EXPECT_THAT(top.out, HasSubstr("waggle 1.2.3"));
  EXPECT_THAT(top.out, HasSubstr("billing"));
}

TEST_F(CliTest, WhatTheGatewayRefusesHasItsExitCode) {
  FakeGateway gateway;
  gateway.status = FakeError{
      grpc::StatusCode::UNAUTHENTICATED,
      "CREDENTIALS_MISSING",
      std::nullopt,
      {}}.ToStatus();
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{
           {"deliveries"}, {"trace", "--sync", "s"}, {"top", "--once"}}) {
    std::vector<std::string> all = arguments;
    all.insert(all.end(), {"--address", gateway.address()});
    const Outcome refused = RunCommand(all);
    EXPECT_EQ(refused.code, kExitRefused) << arguments[0];
    EXPECT_THAT(refused.err, HasSubstr("--token-file")) << arguments[0];
    EXPECT_THAT(refused.out, IsEmpty());
  }
}

TEST_F(CliTest, WithoutAGatewayNothingHangs) {
  EXPECT_EQ(RunCommand({"deliveries", "--address", "127.0.0.1:1"}).code,
            kExitFailure);
  EXPECT_EQ(RunCommand({"health", "--url", "http://127.0.0.1:1"}).code,
            kExitFailure);
  EXPECT_EQ(RunCommand({"health", "--grpc", "127.0.0.1:1"}).code, kExitFailure);
}

TEST_F(CliTest, HealthByGrpc) {
  FakeGateway gateway;
  const std::vector<std::string> arguments = {"health", "--grpc",
                                              gateway.address()};
  EXPECT_EQ(RunCommand(arguments).code, kExitOk);
  gateway.serving = false;
  const Outcome not_serving = RunCommand(arguments);
  EXPECT_EQ(not_serving.code, kExitFailure);
  EXPECT_THAT(not_serving.err, HasSubstr("not serving"));
}

TEST_F(CliTest, ExportWritesAFileThatIsCompleteOrNotThere) {
  v1::SubscribeResponse response = ResponseOf({7});
  FakeEventService gateway(
      {FakeEventService::Sends(
           {response}, grpc::Status(grpc::StatusCode::UNAVAILABLE, "broken")),
       FakeEventService::Sends({ResponseOf({8})}, grpc::Status::OK),
       FakeEventService::Sends({response},
                               {grpc::StatusCode::PERMISSION_DENIED, "no"})});
  const std::vector<std::string> arguments = {"export", "--address",
                                              gateway.address(), "--output",
                                              dir_.File("events")};
  const Outcome done = RunCommand(arguments);
  EXPECT_EQ(done.code, kExitOk) << done.err;
  EXPECT_EQ(ReadFile(dir_.File("events")),
            "{\"sequence\":\"7\"}\n{\"sequence\":\"8\"}\n");
  const auto requests = gateway.requests();
  EXPECT_EQ(requests[0].position(), v1::START_POSITION_EARLIEST);
  EXPECT_TRUE(requests[0].include_payload());
  EXPECT_TRUE(requests[0].stop_when_caught_up());
  EXPECT_EQ(requests[1].after_cursor(), "cursor-7");
  // It is there, and stays.
  EXPECT_EQ(RunCommand(arguments).code, kExitFailure);
  const Outcome refused = RunCommand({"export", "--address", gateway.address(),
                                      "--output", dir_.File("others")});
  EXPECT_EQ(refused.code, kExitRefused);
  EXPECT_NE(access(dir_.File("others").c_str(), F_OK), 0);
}

TEST_F(CliTest, ImportSaysWhereItIsWrongAndLeavesNothing) {
  const std::string file = Write("events", "{\"id\":\"x\"}\n");
  const Outcome wrong =
      RunCommand({"import", file, "--data", dir_.File("data")});
  EXPECT_EQ(wrong.code, kExitFailure);
  EXPECT_THAT(wrong.err, HasSubstr(file + ", line 1: "));
  EXPECT_NE(access(dir_.File("data/events.db").c_str(), F_OK), 0);
  EXPECT_NE(access(dir_.File("data/import").c_str(), F_OK), 0);
  EXPECT_THAT(wrong.err, HasSubstr("nothing was imported"));
}

TEST_F(CliTest, ImportSaysThatEventsAreInPlaceButPerhapsNotDurable) {
  const std::string file = Write(
      "events",
      R"({"id":"01932f6e-4e6b-7cc0-a7f3-0a6c2d9e5b11","endpoint":"bindbee",)"
      R"("receivedAt":"2026-11-28T12:00:00Z","payload":"e30=","unrecognized":{}})");
  const std::string data = dir_.File("data");
  const FailingFsync failing(data, "events.db");
  const Outcome unsure = RunCommand({"import", file, "--data", data});
  EXPECT_EQ(unsure.code, kExitFailure);
  EXPECT_THAT(unsure.err, HasSubstr("the events are in place"));
  EXPECT_THAT(unsure.err, HasSubstr(data));
  EXPECT_THAT(unsure.err, Not(HasSubstr("nothing was imported")));
  EXPECT_EQ(access(dir_.File("data/events.db").c_str(), F_OK), 0);
}

TEST_F(CliTest, BackupSaysThatThereIsNoData) {
  const Outcome backup =
      RunCommand({"backup", dir_.File("copy"), "--data", dir_.File("data")});
  EXPECT_EQ(backup.code, kExitFailure);
  EXPECT_THAT(backup.err, HasSubstr(dir_.File("data")));
  EXPECT_NE(access(dir_.File("copy").c_str(), F_OK), 0);
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
