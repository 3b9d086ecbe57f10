#include "http/webhook_server.h"

#include <chrono>
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
#include "event/proto_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "http/webhook_client.h"
#include "ingest/receiver.h"
#include "ingest/trace_context.h"
#include "store/memory/memory_event_store.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/recorded_deliveries.h"
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

  void Start(const std::string& host = "127.0.0.1") {
    options_.endpoints = {"production"};
    server_.emplace(options_, receiver_, recorder_, metrics_);
    ASSERT_TRUE(server_->Listen(host, 0).ok());
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
  RecordedDeliveries refused_;
  DeliveryRecorder recorder_{1000, refused_, clock_, metrics_};
  WebhookOptions options_;
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
  options_.max_failures_per_minute = 3;
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
  options_.max_failures_per_minute = 1;
  Start();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Ask(Signed(Body())).status, 200);
  EXPECT_EQ(Ask(PostRequest(kPath, Body())).status, 401);
  EXPECT_EQ(Ask(PostRequest(kPath, Body())).status, 429);
}

TEST_F(WebhookServerTest, AnExhaustedAddressIsRefusedBeforeAHopelessBody) {
  options_.max_failures_per_minute = 1;
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
  options_.guard.tls_context = [context] { return context; };
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
  options_.guard.max_body_bytes = 1000;
  options_.guard.request_timeout = absl::Milliseconds(100);
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

// --- The delivery log. ---

class DeliveryTest : public WebhookServerTest {
 protected:
  static constexpr char kTraceparent[] =
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

  // Of the one request that was refused since the last call.
  v1::Delivery Refused() {
    const std::vector<v1::Delivery> all = refused_.all();
    EXPECT_EQ(all.size(), seen_ + 1);
    seen_ = all.size();
    return all.empty() ? v1::Delivery() : all.back();
  }

  void ExpectRefused(v1::DeliveryOutcome outcome, uint32_t status) {
    const v1::Delivery delivery = Refused();
    EXPECT_EQ(delivery.outcome(), outcome);
    EXPECT_EQ(delivery.http_status(), status);
    EXPECT_EQ(delivery.endpoint(), "production");
    EXPECT_EQ(delivery.path(), "");
    EXPECT_EQ(delivery.remote_address(), "127.0.0.1");
    EXPECT_TRUE(delivery.has_received_at());
    EXPECT_FALSE(delivery.has_commit_duration());
    EXPECT_EQ(delivery.key_fingerprint(), "");
    EXPECT_EQ(ParseTraceparent(delivery.traceparent()), delivery.traceparent());
  }

  v1::Delivery Accepted() {
    const auto deliveries = store_.DeliveriesOf(store_.Bounds().last, 10);
    EXPECT_TRUE(deliveries.ok()) << deliveries.status();
    EXPECT_EQ(deliveries->size(), 1u);
    return deliveries->empty() ? v1::Delivery() : deliveries->front();
  }

  size_t seen_ = 0;
};

TEST_F(DeliveryTest, OfAnAcceptedWebhookIsRecordedWithIt) {
  Start();
  Ask(PostRequest(kPath, Body(),
                  absl::StrCat(Field(Sign(kKey, Body())),
                               "Traceparent: ", kTraceparent, "\r\n")));
  const v1::Delivery delivery = Accepted();
  EXPECT_EQ(delivery.outcome(), v1::DELIVERY_OUTCOME_ACCEPTED);
  EXPECT_EQ(delivery.http_status(), 200u);
  EXPECT_EQ(delivery.endpoint(), "production");
  EXPECT_EQ(delivery.remote_address(), "127.0.0.1");
  EXPECT_EQ(delivery.size_bytes(), Body().size());
  EXPECT_EQ(delivery.traceparent(), kTraceparent);
  EXPECT_TRUE(delivery.has_read_duration());
  EXPECT_TRUE(delivery.has_verify_duration());
  EXPECT_TRUE(refused_.all().empty());
}

TEST_F(DeliveryTest, TheTimeOfReadingIsFromTheFirstByteToTheLast) {
  Start();
  RawClient client = Connect();
  const std::string request = Signed(Body());
  const auto before = std::chrono::steady_clock::now();
  client.Send(request.substr(0, 1));
  // Whoever reads this one has read that byte.
  EXPECT_EQ(Ask(PostRequest(kPath, "{}")).status, 401);
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(Ask(PostRequest(kPath, "{}")).status, 401);
  const auto rest = std::chrono::steady_clock::now();
  client.Send(request.substr(1));
  EXPECT_EQ(client.Read().status, 200);
  const auto after = std::chrono::steady_clock::now();
  const absl::Duration read = ToDuration(Accepted().read_duration());
  EXPECT_GE(read, absl::FromChrono(rest - begun));
  EXPECT_LE(read, absl::FromChrono(after - before));
}

TEST_F(DeliveryTest, SilenceBetweenRequestsIsNotReading) {
  Start();
  RawClient client = Connect();
  client.Send(Signed(Body()));
  EXPECT_EQ(client.Read().status, 200);
  EXPECT_EQ(Ask(PostRequest(kPath, "{}")).status, 401);
  const auto before = std::chrono::steady_clock::now();
  client.Send(Signed("{}"));
  EXPECT_EQ(client.Read().status, 200);
  const auto after = std::chrono::steady_clock::now();
  EXPECT_LE(ToDuration(Accepted().read_duration()),
            absl::FromChrono(after - before));
}

TEST_F(DeliveryTest, OfWhatIsNotAuthenticSaysSo) {
  options_.max_failures_per_minute = 1;
  Start();
  EXPECT_EQ(
      Ask(PostRequest(kPath, Body(), Field(Sign("other", Body())))).status,
      401);
  v1::Delivery delivery = refused_.all().at(0);
  EXPECT_EQ(delivery.size_bytes(), Body().size());
  EXPECT_TRUE(delivery.has_read_duration());
  EXPECT_TRUE(delivery.has_verify_duration());
  ExpectRefused(v1::DELIVERY_OUTCOME_UNAUTHENTICATED, 401);
  EXPECT_EQ(
      Ask(PostRequest(kPath, Body(), Field(Sign("other", Body())))).status,
      429);
  ExpectRefused(v1::DELIVERY_OUTCOME_THROTTLED, 429);
  EXPECT_EQ(Ask(PostRequest(kPath, Body())).status, 429);
  EXPECT_FALSE(refused_.all().at(2).has_read_duration());
  ExpectRefused(v1::DELIVERY_OUTCOME_THROTTLED, 429);
}

TEST_F(DeliveryTest, OfWhatTheGuardRefusesSaysWhy) {
  options_.guard.max_body_bytes = 1000;
  options_.guard.request_timeout = absl::Milliseconds(100);
  Start();
  Ask(absl::StrCat("GET ", std::string(kPath), " HTTP/1.1\r\nHost: h\r\n\r\n"));
  ExpectRefused(v1::DELIVERY_OUTCOME_METHOD_NOT_ALLOWED, 405);
  Ask(Signed(std::string(1001, ' ')));
  ExpectRefused(v1::DELIVERY_OUTCOME_TOO_LARGE, 413);
  Ask(absl::StrCat("POST ", std::string(kPath),
                   " HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"));
  ExpectRefused(v1::DELIVERY_OUTCOME_MALFORMED, 400);
  Ask(absl::StrCat("POST ", std::string(kPath),
                   " HTTP/1.1\r\nA: ", std::string(9000, 'a')));
  ExpectRefused(v1::DELIVERY_OUTCOME_HEADER_TOO_LARGE, 431);
  Ask(Signed(Body().substr(0, 500)).substr(0, 400));
  EXPECT_FALSE(refused_.all().back().has_read_duration());
  ExpectRefused(v1::DELIVERY_OUTCOME_TIMEOUT, 408);
}

TEST_F(DeliveryTest, OfAnotherPathHoldsItsBeginning) {
  Start();
  Ask(PostRequest("/webhooks/" + std::string(100, 'x'), Body()));
  const v1::Delivery delivery = Refused();
  EXPECT_EQ(delivery.outcome(), v1::DELIVERY_OUTCOME_NOT_FOUND);
  EXPECT_EQ(delivery.http_status(), 404u);
  EXPECT_EQ(delivery.endpoint(), "");
  EXPECT_EQ(delivery.path(), "/webhooks/" + std::string(54, 'x'));
}

TEST_F(DeliveryTest, WhatTheStoreCannotTakeIsRecordedAsAuthentic) {
  Start();
  store_.FailWith(absl::ResourceExhaustedError("full"));
  Ask(Signed(Body()));
  const v1::Delivery delivery = Refused();
  EXPECT_EQ(delivery.outcome(), v1::DELIVERY_OUTCOME_UNAVAILABLE);
  EXPECT_EQ(delivery.http_status(), 503u);
  EXPECT_EQ(delivery.type_name(), "connector_synced");
  EXPECT_NE(delivery.key_fingerprint(), "");
  EXPECT_NE(delivery.connector_id(), "");
  EXPECT_TRUE(delivery.has_verify_duration());
  EXPECT_EQ(delivery.event_id(), "");
}

TEST_F(DeliveryTest, WhileDrainingSaysSo) {
  Start();
  server_->BeginDrain();
  Ask(Signed(Body()));
  ExpectRefused(v1::DELIVERY_OUTCOME_DRAINING, 503);
}

TEST_F(DeliveryTest, EveryRequestIsTheEndpointsLast) {
  Start();
  Ask(PostRequest("/webhooks/other", Body()));
  EXPECT_EQ(receiver_.Endpoints()[0].last_request_at, absl::InfinitePast());
  Ask(absl::StrCat("GET ", std::string(kPath), " HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_EQ(receiver_.Endpoints()[0].last_request_at, clock_.Now());
  EXPECT_EQ(receiver_.Endpoints()[0].last_accepted_at, absl::InfinitePast());
}

TEST_F(DeliveryTest, TracesThatAreNotValidAreReplaced) {
  Start();
  const std::string field = absl::StrCat("traceparent: ", kTraceparent, "\r\n");
  Ask(PostRequest(kPath, Body(), field));
  EXPECT_EQ(Refused().traceparent(), kTraceparent);
  Ask(PostRequest(kPath, Body(), field + field));
  const std::string made = Refused().traceparent();
  EXPECT_NE(made, kTraceparent);
  EXPECT_EQ(ParseTraceparent(made), made);
}

TEST_F(DeliveryTest, AnAddressIsWrittenAlikeOnASocketOfBothFamilies) {
  Start("::ffff:127.0.0.1");
  Ask(Signed(Body()));
  EXPECT_EQ(Accepted().remote_address(), "127.0.0.1");
}

// --- Proxies. ---

class ProxyTest : public DeliveryTest {
 protected:
  static std::string From(std::string_view client) {
    return absl::StrCat("X-Forwarded-For: ", std::string(client), "\r\n");
  }
  void Trust(const char* network) {
    options_.trusted_proxies.push_back(*IpNetwork::FromText(network));
  }
};

TEST_F(ProxyTest, NobodyIsBelievedUnlessConfigured) {
  Start();
  Ask(PostRequest(kPath, Body(), From("192.0.2.1")));
  ExpectRefused(v1::DELIVERY_OUTCOME_UNAUTHENTICATED, 401);
}

TEST_F(ProxyTest, ATrustedOneTellsTheClientsAddress) {
  Trust("127.0.0.0/8");
  Start();
  Ask(PostRequest(kPath, Body(), From("192.0.2.1")));
  EXPECT_EQ(Refused().remote_address(), "192.0.2.1");
  Ask(PostRequest("/", Body(), From("192.0.2.2") + From("192.0.2.3")));
  EXPECT_EQ(Refused().remote_address(), "192.0.2.3");
  Ask(PostRequest(kPath, Body(),
                  Field(Sign(kKey, Body())) + From("192.0.2.1")));
  EXPECT_EQ(Accepted().remote_address(), "192.0.2.1");
}

// Its own entry would be the last.
TEST_F(ProxyTest, IsNotBelievedBeforeItsHeaderIsThere) {
  Trust("127.0.0.1");
  options_.guard.request_timeout = absl::Milliseconds(100);
  Start();
  Ask(absl::StrCat("POST ", std::string(kPath), " HTTP/1.1\r\nHost: h\r\n",
                   From("192.0.2.1")));
  ExpectRefused(v1::DELIVERY_OUTCOME_TIMEOUT, 408);
}

TEST_F(ProxyTest, FailuresAreTheClientsNotTheProxys) {
  Trust("127.0.0.1");
  options_.max_failures_per_minute = 1;
  Start();
  EXPECT_EQ(Ask(PostRequest(kPath, "{}", From("192.0.2.1"))).status, 401);
  EXPECT_EQ(Ask(PostRequest(kPath, "{}", From("192.0.2.1"))).status, 429);
  EXPECT_EQ(Ask(PostRequest(kPath, "{}", From("192.0.2.2"))).status, 401);
  EXPECT_EQ(Ask(PostRequest(kPath, "{}")).status, 401);
}

TEST_F(ProxyTest, ConnectionsAreTheProxys) {
  Trust("127.0.0.1");
  options_.guard.max_connections_per_address = 1;
  Start();
  RawClient first = Connect();
  first.Send(PostRequest(kPath, Body(),
                         Field(Sign(kKey, Body())) + From("192.0.2.1")));
  EXPECT_EQ(first.Read().status, 200);
  RawClient second = Connect();
  EXPECT_EQ(second.Read().status, 503);
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
  EXPECT_THAT(
      log, HasSubstr(absl::StrCat(
               R"("trace":")",
               std::string(TraceIdOf(refused_.all()[0].traceparent())), "\"")));
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
  options_.guard.tls_context = [&] {
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
