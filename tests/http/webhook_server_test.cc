#include "http/webhook_server.h"

#include <fstream>
#include <memory>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/mutex.h"
#include "bindbee/samples.h"
#include "bindbee/signature.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "http/webhook_client.h"
#include "ingest/receiver.h"
#include "store/memory/memory_event_store.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/temp_dir.h"
#include "tests/http/raw_http.h"
#include "tests/http/test_tls.h"

namespace waggle {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::PostRequest;
using testing::RawClient;
using testing::RawResponse;
using testing::WaitFor;

constexpr std::string_view kKey = "whsec_test";
constexpr std::string_view kPath = "/webhooks/production";

// The door over the real receiver and a store in memory.
class WebhookServerTest : public ::testing::Test {
 protected:
  WebhookServerTest()
      : store_(clock_), receiver_(Endpoints(), {}, store_, clock_, metrics_) {
    store_.Start([](auto) {});
  }
  ~WebhookServerTest() override {
    if (server_) server_->Stop();
    store_.Close();
  }

  static std::vector<Endpoint> Endpoints() {
    std::vector<Endpoint> endpoints(1);
    endpoints[0].name = "production";
    endpoints[0].signing_keys.emplace_back(std::string(kKey));
    return endpoints;
  }

  void Start() {
    server_.emplace(options_, std::vector<std::string>{"production"}, receiver_,
                    metrics_, max_failures_per_minute_);
    ASSERT_TRUE(server_->Listen("127.0.0.1", 0).ok());
  }

  RawClient Connect() { return RawClient(server_->port()); }

  static std::string Field(std::string_view signature) {
    return absl::StrCat(kSignatureHeader, ": ", std::string(signature), "\r\n");
  }
  static std::string Signed(std::string_view body) {
    return PostRequest(kPath, body, Field(Sign(kKey, body)));
  }
  static std::string_view Body() { return FindSample("sync_completed")->body; }

  RawResponse Ask(std::string_view request) {
    RawClient client = Connect();
    client.Send(request);
    const RawResponse response = client.Read();
    if (response.status >= 400) {
      EXPECT_TRUE(client.AtEnd());
    }
    return response;
  }

  double Count(const std::string& endpoint, const std::string& result) {
    return metrics_
        .Counter("waggle_webhook_requests_total",
                 "Webhooks by what became of them; without an endpoint if it "
                 "is not known.",
                 {{"endpoint", endpoint}, {"result", result}})
        .Value();
  }

  void ExpectNothingStored() {
    EXPECT_EQ(store_.Bounds().last, store_.Bounds().trimmed_through);
  }

  FakeClock clock_;
  Metrics metrics_;
  MemoryEventStore store_;
  Receiver receiver_;
  GuardOptions options_;
  double max_failures_per_minute_ = 600;
  std::optional<WebhookServer> server_;
};

TEST_F(WebhookServerTest, StoresAndAnswersWithIdAndSequence) {
  Start();
  const RawResponse response = Ask(Signed(Body()));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.Header("Content-Type"), "application/json");
  std::smatch match;
  ASSERT_TRUE(std::regex_match(
      response.body, match,
      std::regex(R"re(\{"id":"([-0-9a-f]{36})","sequence":(\d+),)re"
                 R"re("duplicate":false\}\n)re")))
      << response.body;
  EXPECT_EQ(match[2], absl::StrCat(store_.Bounds().last.value()));
  EXPECT_TRUE(store_.ReadById(match[1].str(), false).ok());
  EXPECT_EQ(Count("production", "accepted"), 1);
}

TEST_F(WebhookServerTest, ARepetitionIsAnsweredWithTheFirstIdAndSequence) {
  Start();
  std::string first = Ask(Signed(Body())).body;
  const RawResponse second = Ask(Signed(Body()));
  EXPECT_EQ(second.status, 200);
  const size_t flag = first.find("false");
  ASSERT_NE(flag, std::string::npos);
  EXPECT_EQ(second.body, first.replace(flag, 5, "true"));
  EXPECT_EQ(Count("production", "duplicate"), 1);
}

TEST_F(WebhookServerTest, TheAnswerWaitsForTheStore) {
  Start();
  store_.PauseCommits();
  RawClient client = Connect();
  client.Send(Signed(Body()));
  // A request that is served meanwhile shows that this one is not just late.
  EXPECT_EQ(Ask(PostRequest(kPath, "{}")).status, 401);
  EXPECT_FALSE(client.Readable());
  store_.ResumeCommits();
  EXPECT_EQ(client.Read().status, 200);
}

TEST_F(WebhookServerTest, TheSignatureFieldsNameHasNoCase) {
  Start();
  const std::string field =
      absl::StrCat("x-bindbee-webhook-SIGNATURE:", Sign(kKey, Body()), "\r\n");
  EXPECT_EQ(Ask(PostRequest(kPath, Body(), field)).status, 200);
}

TEST_F(WebhookServerTest, EverySignatureProblemHasTheSameAnswer) {
  Start();
  const std::string good = Sign(kKey, Body());
  const std::vector<std::string> fields = {
      "",
      Field(""),
      Field("?"),
      Field(good) + Field(good),
      Field(good.substr(0, 43)),
      Field("sha256=" + good),
      Field(good + ", " + good),
      Field(Sign("another key", Body())),
      Field(Sign(kKey, "another body")),
  };
  std::optional<RawResponse> first;
  for (const std::string& field : fields) {
    const RawResponse response = Ask(PostRequest(kPath, Body(), field));
    if (!first) first = response;
    EXPECT_EQ(response.status, 401) << field;
    EXPECT_EQ(response.head, first->head) << field;
    EXPECT_EQ(response.body, first->body) << field;
  }
  EXPECT_EQ(first->Header("Content-Type"), "application/problem+json");
  EXPECT_NE(first->Header("WWW-Authenticate"), "");
  EXPECT_EQ(Count("production", "unauthenticated"), fields.size());
  ExpectNothingStored();
}

TEST_F(WebhookServerTest, TooManyFailuresFromAnAddressAreAnswered429) {
  max_failures_per_minute_ = 3;
  Start();
  const std::string wrong =
      PostRequest(kPath, Body(), Field(Sign("another key", Body())));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Ask(wrong).status, 401);
  const RawResponse response = Ask(wrong);
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(response.Header("Content-Type"), "application/problem+json");
  EXPECT_EQ(response.Header("Retry-After"), "20");
  EXPECT_EQ(response.Header("Connection"), "close");
  EXPECT_EQ(Count("production", "unauthenticated"), 3);
  EXPECT_EQ(Count("production", "throttled"), 1);
  ExpectNothingStored();

  // Nothing else is refused for it: neither what is authentic, nor others.
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Ask(Signed(Body())).status, 200);
  RawClient other(server_->port(), {.source = "127.0.0.2"});
  other.Send(wrong);
  EXPECT_EQ(other.Read().status, 401);
}

TEST_F(WebhookServerTest, WhatSucceedsTakesNothingFromTheFailuresOfAnAddress) {
  max_failures_per_minute_ = 1;
  Start();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Ask(Signed(Body())).status, 200);
  EXPECT_EQ(Ask(PostRequest(kPath, Body())).status, 401);
  EXPECT_EQ(Ask(PostRequest(kPath, Body())).status, 429);
}

TEST_F(WebhookServerTest, AnExhaustedAddressIsRefusedBeforeAHopelessBody) {
  max_failures_per_minute_ = 1;
  Start();
  EXPECT_EQ(Ask(PostRequest(kPath, "{}")).status, 401);
  const std::string good = Sign(kKey, Body());
  // The body never comes.
  for (const std::string& fields :
       {std::string(), Field(""), Field(good.substr(0, 43)), Field(good + "="),
        Field(good) + Field(good)}) {
    EXPECT_EQ(Ask(absl::StrCat("POST ", std::string(kPath),
                               " HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n",
                               fields, "\r\n"))
                  .status,
              429)
        << fields;
  }
  EXPECT_EQ(Count("production", "throttled"), 5);
}

TEST_F(WebhookServerTest, AFailedHandshakeIsCounted) {
  const testing::TestTls tls;
  const auto context = tls.server();
  options_.tls_context = [context] { return context; };
  Start();
  RawClient plain = Connect();
  plain.Send(Signed(Body()));
  plain.ReadToEnd();
  WaitFor([&] { return Count("", "handshake_failed") == 1; });
  RawClient client(server_->port(), {.tls = tls.client()});
  client.Send(Signed(Body()));
  EXPECT_EQ(client.Read().status, 200);
}

TEST_F(WebhookServerTest, AQueryIsIgnored) {
  Start();
  EXPECT_EQ(Ask(PostRequest(absl::StrCat(std::string(kPath), "?a=/b"), Body(),
                            Field(Sign(kKey, Body()))))
                .status,
            200);
}

TEST_F(WebhookServerTest, OtherPathsAre404) {
  Start();
  for (const std::string_view path :
       {"/", "/webhooks", "/webhooks/", "/webhooks/production/",
        "/webhooks/Production", "/webhooks/productio", "/webhooks/production/x",
        "//webhooks/production", "/webhooks/../webhooks/production",
        "/x/webhooks/production", "/webhooks/production%2f", "*"}) {
    const RawResponse response =
        Ask(PostRequest(path, Body(), Field(Sign(kKey, Body()))));
    EXPECT_EQ(response.status, 404) << path;
    EXPECT_EQ(response.Header("Content-Type"), "application/problem+json");
  }
  EXPECT_EQ(Count("", "not_found"), 12);
  ExpectNothingStored();
}

TEST_F(WebhookServerTest, OtherMethodsAre405) {
  Start();
  for (const std::string_view method :
       {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "post", "BREW"}) {
    RawClient client = Connect();
    client.Send(absl::StrCat(std::string(method), " ", std::string(kPath),
                             " HTTP/1.1\r\nHost: h\r\n\r\n"));
    const RawResponse response = client.Read(method == "HEAD");
    EXPECT_EQ(response.status, 405) << method;
    EXPECT_EQ(response.Header("Allow"), "POST");
    EXPECT_TRUE(client.AtEnd()) << method;
  }
  EXPECT_EQ(Count("production", "method_not_allowed"), 7);
}

TEST_F(WebhookServerTest, RefusalsOfTheGuardAreCountedForTheEndpoint) {
  options_.max_body_bytes = 1000;
  options_.request_timeout = absl::Milliseconds(100);
  Start();
  EXPECT_EQ(Ask(Signed(std::string(1001, ' '))).status, 413);
  EXPECT_EQ(Count("production", "too_large"), 1);
  EXPECT_EQ(Ask(absl::StrCat("POST ", std::string(kPath),
                             " HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"))
                .status,
            400);
  EXPECT_EQ(Count("production", "malformed"), 1);
  EXPECT_EQ(Ask(absl::StrCat("POST ", std::string(kPath),
                             " HTTP/1.1\r\nA: ", std::string(9000, 'a')))
                .status,
            431);
  EXPECT_EQ(Count("production", "header_too_large"), 1);
  EXPECT_EQ(Ask(Signed(Body().substr(0, 500)).substr(0, 400)).status, 408);
  EXPECT_EQ(Count("production", "timeout"), 1);
}

TEST_F(WebhookServerTest, AStoreThatCannotWriteIs503WithRetryAfter) {
  Start();
  for (const absl::StatusCode code :
       {absl::StatusCode::kUnavailable, absl::StatusCode::kResourceExhausted}) {
    store_.FailWith(absl::Status(code, "the reason"));
    const RawResponse response = Ask(Signed(Body()));
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.Header("Retry-After"), "2");
    EXPECT_THAT(response.body, Not(HasSubstr("the reason")));
  }
  EXPECT_EQ(Count("production", "unavailable"), 2);
  store_.FailWith(absl::OkStatus());
  EXPECT_EQ(Ask(Signed(Body())).status, 200);
}

TEST_F(WebhookServerTest, DrainingRefusesNewWebhooksAndFinishesTheOthers) {
  Start();
  store_.PauseCommits();
  RawClient waiting = Connect();
  waiting.Send(Signed(Body()));
  WaitFor([&] {
    return metrics_
               .Counter("waggle_webhook_body_bytes_total",
                        "Bytes of the bodies of complete webhooks.")
               .Value() > 0;
  });
  server_->BeginDrain();
  const RawResponse refused = Ask(Signed(Body()));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.Header("Retry-After"), "2");
  EXPECT_EQ(Count("production", "draining"), 1);
  EXPECT_FALSE(server_->WaitUntilIdle(absl::Milliseconds(10)));
  store_.ResumeCommits();
  EXPECT_TRUE(server_->WaitUntilIdle(absl::Seconds(10)));
  EXPECT_EQ(waiting.Read().status, 200);
}

TEST_F(WebhookServerTest, ShowsItsOpenConnections) {
  Start();
  RawClient client = Connect();
  client.Send(Signed(Body()));
  client.Read();
  server_->RefreshMetrics();
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("waggle_webhook_connections 1"));
}

TEST_F(WebhookServerTest, LogsALineAWebhookWithoutItsSecrets) {
  ConfigureLog(LogLevel::kInfo, LogFormat::kJson);
  ::testing::internal::CaptureStderr();
  Start();
  Ask(Signed(Body()));
  Ask(PostRequest(kPath, Body(), Field(Sign("wrong", Body()))));
  server_->Stop();
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr(R"("event":"webhook","endpoint":"production",)"
                             R"("remote":"127.0.0.1")"));
  EXPECT_THAT(log,
              HasSubstr(R"("result":"accepted","type":"connector_synced")"));
  EXPECT_THAT(log, HasSubstr(R"("status":401,"result":"unauthenticated")"));
  EXPECT_THAT(log, Not(HasSubstr(Sign(kKey, Body()))));
  EXPECT_THAT(log, Not(HasSubstr(Sign("wrong", Body()))));
  EXPECT_THAT(log, Not(HasSubstr("@")));
}

TEST_F(WebhookServerTest, StrangersCannotFloodTheLog) {
  ::testing::internal::CaptureStderr();
  Start();
  for (int i = 0; i < 200; ++i) {
    Ask("GET /" + std::string(1000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n");
  }
  server_->Stop();
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(Count("", "not_found"), 200);
  // Room for a slow machine, where the requests take more than a second.
  EXPECT_LT(std::count(log.begin(), log.end(), '\n'), 150);
  EXPECT_THAT(log, Not(HasSubstr(std::string(100, 'a'))));
}

TEST_F(WebhookServerTest, TheClientPostsAndReadsTheReply) {
  Start();
  const std::string url =
      absl::StrCat("http://127.0.0.1:", server_->port(), std::string(kPath));
  const std::string body(Body());
  auto reply = PostWebhook(url, body, kSignatureHeader, Sign(kKey, body),
                           absl::Seconds(10));
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->status, 200);
  EXPECT_THAT(reply->body, HasSubstr("\"duplicate\":false"));
  EXPECT_EQ(reply->retry_after, std::nullopt);

  store_.FailWith(absl::UnavailableError("busy"));
  reply = PostWebhook(url, "{}", kSignatureHeader, Sign(kKey, "{}"),
                      absl::Seconds(10));
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->status, 503);
  EXPECT_EQ(reply->retry_after, "2");
}

TEST_F(WebhookServerTest, TheClientPostsOverTlsToWhomItCanVerify) {
  const testing::TestTls tls;
  std::shared_ptr<SSL_CTX> context = tls.server();
  Mutex mu;
  options_.tls_context = [&] {
    MutexLock lock(mu);
    return context;
  };
  Start();
  const TempDir dir;
  const std::string ca_file = dir.File("ca.pem");
  std::ofstream(ca_file) << tls.authority_pem();
  const std::string body(Body());
  const auto post = [&](const std::string& host, const std::string& ca) {
    return PostWebhook(absl::StrCat("https://", host, ":", server_->port(),
                                    std::string(kPath)),
                       body, kSignatureHeader, Sign(kKey, body),
                       absl::Seconds(10), {.ca_file = ca});
  };
  for (const std::string host : {"127.0.0.1", "localhost"}) {
    const auto reply = post(host, ca_file);
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->status, 200);
  }
  // The system does not know the authority.
  const absl::Status stranger = post("localhost", "").status();
  EXPECT_EQ(stranger.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(std::string(stranger.message()), HasSubstr("certificate"));
  const absl::Status no_file = post("localhost", ca_file + "x").status();
  EXPECT_EQ(no_file.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(no_file.message()), HasSubstr(ca_file + "x"));
  EXPECT_EQ(PostWebhook(absl::StrCat("http://127.0.0.1:", server_->port()),
                        body, kSignatureHeader, "", absl::Seconds(10))
                .status()
                .code(),
            absl::StatusCode::kUnavailable);
  {
    MutexLock lock(mu);
    context = tls.server("elsewhere");
  }
  EXPECT_EQ(post("localhost", ca_file).status().code(),
            absl::StatusCode::kUnauthenticated);
  server_->Stop();
}

TEST_F(WebhookServerTest, TheClientSaysWhyItGotNoReply) {
  Start();
  const std::string address =
      absl::StrCat("http://127.0.0.1:", server_->port());
  store_.PauseCommits();
  const std::string body(Body());
  EXPECT_EQ(PostWebhook(address + std::string(kPath), body, kSignatureHeader,
                        Sign(kKey, body), absl::Milliseconds(200))
                .status()
                .code(),
            absl::StatusCode::kDeadlineExceeded);
  server_->Stop();
  const absl::Status refused =
      PostWebhook(address, "", kSignatureHeader, "", absl::Seconds(10))
          .status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("cannot connect"));
}

TEST(WebhookClientTest, RefusesWhatIsNotAUrl) {
  for (const char* url : {"", "127.0.0.1:8080", "ftp://127.0.0.1/", "https://",
                          "http://", "http:///p", "http://h:0/",
                          "http://h:99999/", "http://h:x/", "http://u:p@h/"}) {
    EXPECT_EQ(PostWebhook(url, "", kSignatureHeader, "", absl::Seconds(1))
                  .status()
                  .code(),
              absl::StatusCode::kInvalidArgument)
        << url;
  }
}

}  // namespace
}  // namespace waggle
