#include "http/guarded_server.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/http/raw_http.h"
#include "tests/http/test_tls.h"

namespace waggle {
namespace {

using ::testing::HasSubstr;
using testing::PostRequest;
using testing::RawClient;
using testing::RawResponse;
using ::testing::StartsWith;
using testing::WaitFor;

// Answers each request with its method, path and body's size, or holds the
// answers back until it is told to give them.
class FakeHandler : public HttpHandler {
 public:
  std::optional<HttpResponse> Screen(const HttpRequest& request) override {
    if (request.path() == "/nowhere") {
      return ProblemResponse(404, "Go elsewhere.");
    }
    if (request.path() == "/early") return HttpResponse();
    return std::nullopt;
  }

  void Handle(HttpRequest request, HttpResponder respond) override {
    HttpResponse response;
    response.content_type = "text/plain";
    response.body =
        absl::StrCat(std::string(request.method()), " ",
                     std::string(request.path()), " ", request.body.size());
    if (request.path() == "/big") response.body.assign(8 << 20, 'b');
    if (request.path() == "/unanswered") return;
    MutexLock lock(mu_);
    handled_.push_back(request.remote_address);
    if (holding_) {
      held_.emplace_back(std::move(respond), std::move(response));
    } else {
      respond([response = std::move(response)] { return response; });
    }
  }

  void OnRefused(const Refusal& refusal, const HttpRequest& request) override {
    MutexLock lock(mu_);
    refused_.push_back(refusal.reason);
  }

  void Hold() {
    MutexLock lock(mu_);
    holding_ = true;
  }
  size_t held() {
    MutexLock lock(mu_);
    return held_.size();
  }
  void Release() {
    std::vector<std::pair<HttpResponder, HttpResponse>> held;
    {
      MutexLock lock(mu_);
      holding_ = false;
      held.swap(held_);
    }
    for (auto& [respond, response] : held) {
      respond([response = std::move(response)] { return response; });
    }
  }
  std::vector<std::string> handled() {
    MutexLock lock(mu_);
    return handled_;
  }
  std::vector<RefusalReason> refused() {
    MutexLock lock(mu_);
    return refused_;
  }

 private:
  Mutex mu_;
  bool holding_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::pair<HttpResponder, HttpResponse>> held_
      ABSL_GUARDED_BY(mu_);
  std::vector<std::string> handled_ ABSL_GUARDED_BY(mu_);
  std::vector<RefusalReason> refused_ ABSL_GUARDED_BY(mu_);
};

class GuardedServerTest : public ::testing::Test {
 protected:
  void Start() {
    server_.emplace(options_, handler_);
    ASSERT_TRUE(server_->Listen("127.0.0.1", 0).ok());
  }

  // Before Start().
  void UseTls() {
    tls_.emplace();
    const auto context = tls_->server();
    options_.tls_context = [context] { return context; };
    client_tls_ = tls_->client();
  }

  RawClient Connect(RawClient::Options options = {}) {
    options.tls = client_tls_;
    return RawClient(server_->port(), options);
  }

  // A well-behaved client on a connection of its own; returns how long it took.
  std::chrono::steady_clock::duration ExpectServed() {
    const auto start = std::chrono::steady_clock::now();
    RawClient client = Connect();
    client.Send(PostRequest("/good", "body"));
    EXPECT_EQ(client.Read().body, "POST /good 4");
    return std::chrono::steady_clock::now() - start;
  }

  std::optional<testing::TestTls> tls_;
  std::shared_ptr<SSL_CTX> client_tls_;
  GuardOptions options_;
  FakeHandler handler_;
  std::optional<GuardedServer> server_;
};

using PlainServerTest = GuardedServerTest;

enum class Over { kTcp, kTls };

std::string NameOf(Over over) { return over == Over::kTls ? "Tls" : "Tcp"; }

// What holds whether there is TLS or not.
class EitherServerTest : public GuardedServerTest,
                         public ::testing::WithParamInterface<Over> {
 protected:
  EitherServerTest() {
    if (GetParam() == Over::kTls) UseTls();
  }
};

INSTANTIATE_TEST_SUITE_P(Over, EitherServerTest,
                         ::testing::Values(Over::kTcp, Over::kTls),
                         [](const auto& info) { return NameOf(info.param); });

TEST_P(EitherServerTest, AnswersAndKeepsTheConnection) {
  Start();
  RawClient client = Connect();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(client.Send(PostRequest("/p", std::string(i, 'b'))));
    const RawResponse response = client.Read();
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, absl::StrCat("POST /p ", i));
    EXPECT_EQ(response.Header("Connection"), "");
  }
  EXPECT_EQ(server_->connections(), 1u);
  EXPECT_EQ(handler_.handled().front(), "127.0.0.1");
}

TEST_P(EitherServerTest, AnswersPipelinedRequestsInTheirOrder) {
  Start();
  RawClient client = Connect();
  std::string requests;
  for (int i = 0; i < 50; ++i) {
    absl::StrAppend(&requests, PostRequest(absl::StrCat("/", i), "xyz"));
  }
  client.Send(requests);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(client.Read().body, absl::StrCat("POST /", i, " 3"));
  }
}

TEST_P(EitherServerTest, TakesARequestByteByByte) {
  Start();
  RawClient client = Connect();
  for (const char c : PostRequest("/p", "body")) client.Send({&c, 1});
  EXPECT_EQ(client.Read().body, "POST /p 4");
}

TEST_P(EitherServerTest, TakesABodyOfTheLargestSizeInLengthOrChunks) {
  Start();
  RawClient client = Connect();
  const std::string body(1 << 20, 'b');
  client.Send(PostRequest("/p", body));
  EXPECT_EQ(client.Read().body, "POST /p 1048576");
  client.Send(
      "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  client.Send("100000\r\n" + body + "\r\n0\r\n\r\n");
  EXPECT_EQ(client.Read().body, "POST /p 1048576");
}

TEST_P(EitherServerTest, SendsALargeAnswerAsTheClientTakesIt) {
  Start();
  RawClient client = Connect();
  client.Send(PostRequest("/big", ""));
  client.Send(PostRequest("/next", ""));
  EXPECT_EQ(client.Read().body.size(), size_t{8} << 20);
  EXPECT_EQ(client.Read().body, "POST /next 0");
}

TEST_P(EitherServerTest, DropsAClientThatDoesNotTakeItsAnswer) {
  options_.write_timeout = absl::Milliseconds(100);
  Start();
  RawClient client = Connect();
  client.Send(PostRequest("/big", ""));
  WaitFor([&] { return !handler_.handled().empty(); });
  WaitFor([&] { return server_->connections() == 0; });
  EXPECT_EQ(server_->buffered_bytes(), 0u);
}

TEST_P(EitherServerTest, AnswersAClientThatEndedItsSideAfterTheRequest) {
  Start();
  for (int i = 0; i < 20; ++i) {
    RawClient client = Connect();
    client.Send(PostRequest("/p", "body"));
    client.HalfClose();
    EXPECT_EQ(client.Read().status, 200);
    EXPECT_TRUE(client.AtEnd());
  }
}

TEST_P(EitherServerTest, AnswersALateAnswerToAClientThatEndedItsSide) {
  handler_.Hold();
  Start();
  RawClient client = Connect();
  client.Send(PostRequest("/p", "body"));
  WaitFor([&] { return handler_.held() == 1; });
  client.Send(PostRequest("/q", ""));
  client.HalfClose();
  handler_.Release();
  EXPECT_EQ(client.Read().body, "POST /p 4");
  EXPECT_EQ(client.Read().body, "POST /q 0");
  EXPECT_TRUE(client.AtEnd());
}

TEST_P(EitherServerTest, DropsARequestThatEndsHalfWay) {
  Start();
  RawClient client = Connect();
  const std::string request = PostRequest("/p", "body");
  client.Send(request.substr(0, request.size() - 1));
  client.HalfClose();
  EXPECT_EQ(client.ReadToEnd(), "");
  EXPECT_TRUE(handler_.handled().empty());
  EXPECT_THAT(handler_.refused(),
              ::testing::ElementsAre(RefusalReason::kAborted));
}

TEST_P(EitherServerTest, AClientThatGoesBetweenRequestsAbortsNone) {
  Start();
  RawClient client = Connect();
  client.Send(PostRequest("/p", "body"));
  EXPECT_EQ(client.Read().status, 200);
  client.HalfClose();
  EXPECT_EQ(client.ReadToEnd(), "");
  EXPECT_THAT(handler_.refused(), ::testing::IsEmpty());
}

TEST_P(EitherServerTest, SurvivesClientsThatVanishAtAnyMoment) {
  handler_.Hold();
  Start();
  const std::string request = PostRequest("/p", "body");
  for (size_t size = 0; size <= request.size(); size += 7) {
    RawClient client = Connect();
    client.Send(request.substr(0, size));
    client.Reset();
  }
  RawClient client = Connect();
  client.Send(request);
  WaitFor([&] { return handler_.held() == 1; });
  client.Reset();
  handler_.Release();
  WaitFor([&] { return server_->connections() == 0; });
  EXPECT_EQ(server_->buffered_bytes(), 0u);
  ExpectServed();
}

TEST_P(EitherServerTest, ClosesAfterTheAnswerWhereTheClientAsksForIt) {
  Start();
  RawClient one = Connect();
  one.Send(PostRequest("/p", "", "Connection: close\r\n"));
  const RawResponse response = one.Read();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.Header("Connection"), "close");
  EXPECT_TRUE(one.AtEnd());

  RawClient old = Connect();
  old.Send("POST /p HTTP/1.0\r\nContent-Length: 2\r\n\r\nab");
  EXPECT_EQ(old.Read().body, "POST /p 2");
  EXPECT_TRUE(old.AtEnd());
}

TEST_P(EitherServerTest, AnswersHeadWithoutABody) {
  Start();
  RawClient client = Connect();
  client.Send("HEAD /p HTTP/1.1\r\nHost: h\r\n\r\n");
  const RawResponse response = client.Read(/*to_head=*/true);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.Header("Content-Length"), "9");
  client.Send(PostRequest("/q", ""));
  EXPECT_EQ(client.Read().body, "POST /q 0");
}

TEST_P(EitherServerTest, ContinuesWhereTheClientExpectsIt) {
  Start();
  RawClient client = Connect();
  client.Send(
      "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n"
      "Expect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.Read().status, 100);
  client.Send("body");
  EXPECT_EQ(client.Read().body, "POST /p 4");
}

TEST_P(EitherServerTest, RefusesABodyThatWasAnnouncedInsteadOfContinuing) {
  Start();
  RawClient client = Connect();
  client.Send(
      "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 40000000\r\n"
      "Expect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.Read().status, 413);
}

TEST_P(EitherServerTest, AnswersBeforeTheBodyWhereTheHandlerScreensItOut) {
  Start();
  RawClient client = Connect();
  client.Send("POST /nowhere HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n");
  const RawResponse response = client.Read();
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.Header("Connection"), "close");
}

TEST_P(EitherServerTest, AnEarlyAnswerIsTheLastEvenIfItIsGood) {
  Start();
  RawClient client = Connect();
  const std::string hidden = PostRequest("/smuggled", "");
  client.Send(PostRequest("/early", hidden) + hidden);
  const RawResponse response = client.Read();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.Header("Connection"), "close");
  EXPECT_TRUE(client.AtEnd());
  EXPECT_TRUE(handler_.handled().empty());
}

TEST_P(EitherServerTest, AHandlerThatForgetsARequestAnswers500) {
  Start();
  RawClient client = Connect();
  client.Send(PostRequest("/unanswered", ""));
  EXPECT_EQ(client.Read().status, 500);
}

struct MalformedCase {
  std::string name;
  std::string bytes;
  int status;
};

class MalformedTest
    : public GuardedServerTest,
      public ::testing::WithParamInterface<std::tuple<Over, MalformedCase>> {
 protected:
  MalformedTest() {
    if (std::get<Over>(GetParam()) == Over::kTls) UseTls();
  }
};

// Also: a request that hides in what follows is never served.
TEST_P(MalformedTest, IsAnsweredOnceAndClosed) {
  Start();
  RawClient client = Connect();
  const auto& [over, bad] = GetParam();
  client.Send(bad.bytes + PostRequest("/smuggled", ""));
  const RawResponse response = client.Read();
  EXPECT_EQ(response.status, bad.status);
  EXPECT_EQ(response.Header("Connection"), "close");
  EXPECT_EQ(response.Header("Content-Type"), "application/problem+json");
  EXPECT_THAT(response.body,
              HasSubstr(absl::StrCat("\"status\":", bad.status)));
  EXPECT_TRUE(client.AtEnd());
  EXPECT_TRUE(handler_.handled().empty());
  EXPECT_EQ(handler_.refused().size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(
    EachCase, MalformedTest,
    ::testing::Combine(
        ::testing::Values(Over::kTcp, Over::kTls),
        ::testing::Values(
            MalformedCase{"Garbage", "not http\r\n", 400},
            MalformedCase{"LineFeeds", "POST / HTTP/1.1\nHost: h\n\n", 400},
            MalformedCase{"LengthAndChunks",
                          "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                          400},
            MalformedCase{"TwoLengths",
                          "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n"
                          "Content-Length: 9\r\n\r\n",
                          400},
            MalformedCase{"NegativeLength",
                          "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n"
                          "\r\n",
                          400},
            MalformedCase{"NegativeChunk",
                          "POST / HTTP/1.1\r\nHost: h\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n-2\r\n",
                          400},
            MalformedCase{"NoHost", "POST / HTTP/1.1\r\n\r\n", 400},
            MalformedCase{"LongBody",
                          "POST / HTTP/1.1\r\nHost: h\r\n"
                          "Content-Length: 1048577\r\n\r\n",
                          413},
            MalformedCase{"LongTarget", "GET /" + std::string(5000, 'a'), 414},
            MalformedCase{"Compressed",
                          "POST / HTTP/1.1\r\nHost: h\r\n"
                          "Content-Encoding: gzip\r\n\r\n",
                          415},
            MalformedCase{"OtherExpectation",
                          "POST / HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n",
                          417},
            MalformedCase{"LongField",
                          "GET / HTTP/1.1\r\nA: " + std::string(9000, 'b'),
                          431},
            MalformedCase{"OtherVersion", "GET / HTTP/3.0\r\n", 505})),
    [](const auto& info) {
      return NameOf(std::get<Over>(info.param)) +
             std::get<MalformedCase>(info.param).name;
    });

TEST_P(EitherServerTest, TheRestOfARefusedRequestIsNeverServed) {
  Start();
  RawClient client = Connect();
  const std::string hidden = PostRequest("/smuggled", "");
  client.Send(PostRequest("/nowhere", hidden) + hidden);
  EXPECT_THAT(client.ReadToEnd(), StartsWith("HTTP/1.1 404"));
  EXPECT_TRUE(handler_.handled().empty());
}

TEST_P(EitherServerTest, EndlessFieldsAreRefusedAndTheAnswerArrives) {
  Start();
  RawClient client = Connect();
  client.Send("POST / HTTP/1.1\r\nHost: h\r\n");
  const std::string field = "X-Padding: " + std::string(1000, 'x') + "\r\n";
  int sent = 0;
  while (!client.Readable() && ++sent < 10000) {
    if (!client.Send(field)) break;
  }
  EXPECT_EQ(client.Read().status, 431);
  EXPECT_LT(server_->buffered_bytes(), 100000u);
}

TEST_P(EitherServerTest, EndlessChunksAreRefusedAndTheAnswerArrives) {
  Start();
  RawClient client = Connect();
  client.Send(
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "400\r\n" + std::string(1024, 'x') + "\r\n";
  int sent = 0;
  while (!client.Readable() && ++sent < 10000) {
    if (!client.Send(chunk)) break;
  }
  EXPECT_EQ(client.Read().status, 413);
  EXPECT_THAT(handler_.refused(),
              ::testing::ElementsAre(RefusalReason::kBodyTooLarge));
}

// A reset could destroy the answer before the client has read it.
TEST_P(EitherServerTest, AClientThatIsStillSendingIsNotResetByTheAnswer) {
  Start();
  RawClient client = Connect();
  client.Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n");
  EXPECT_EQ(client.Read().status, 413);
  for (int i = 0; i < 16; ++i) {
    EXPECT_TRUE(client.Send(std::string(64 << 10, 'x')));
  }
  EXPECT_TRUE(client.AtEnd());
  EXPECT_FALSE(client.was_reset());
}

TEST_P(EitherServerTest, AClientThatSendsOnAfterTheLastAnswerIsCutOff) {
  options_.linger_timeout = absl::Milliseconds(100);
  Start();
  RawClient client = Connect();
  client.Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n");
  EXPECT_EQ(client.Read().status, 413);
  WaitFor([&] { return !client.Send("x"); });
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_P(EitherServerTest, ARequestThatStopsHalfWayIsAnswered408) {
  options_.request_timeout = absl::Milliseconds(100);
  Start();
  for (const std::string& part :
       {std::string("P"), std::string("POST / HTTP/1.1\r\nHost: h\r\n"),
        PostRequest("/p", "body").substr(0, 58)}) {
    RawClient client = Connect();
    client.Send(part);
    EXPECT_EQ(client.Read().status, 408);
    EXPECT_TRUE(client.AtEnd());
  }
}

TEST_P(EitherServerTest, ARequestThatDripsIsAnswered408HoweverItDrips) {
  options_.request_timeout = absl::Milliseconds(200);
  Start();
  RawClient client = Connect();
  const auto start = std::chrono::steady_clock::now();
  client.Send("POST / HTTP/1.1\r\nHost: h\r\nA: ");
  // Never silent for long, so only the time of the whole request tells.
  WaitFor([&] {
    client.Send("x");
    return client.Readable();
  });
  EXPECT_EQ(client.Read().status, 408);
  EXPECT_GE(std::chrono::steady_clock::now() - start,
            std::chrono::milliseconds(200));
}

TEST_P(EitherServerTest, ASilentConnectionIsClosedWithoutAWord) {
  options_.idle_timeout = absl::Milliseconds(100);
  Start();
  RawClient silent = Connect();
  EXPECT_TRUE(silent.AtEnd());
  RawClient used = Connect();
  used.Send(PostRequest("/p", ""));
  EXPECT_EQ(used.Read().status, 200);
  EXPECT_TRUE(used.AtEnd());
}

TEST_P(EitherServerTest, NoCrowdKeepsAnotherFromBeingServed) {
  options_.request_timeout = absl::Seconds(60);
  options_.max_connections_per_address = 4096;
  Start();
  std::vector<RawClient> crowd;
  const std::string half = PostRequest("/p", "body").substr(0, 50);
  // Idle after a request; silent from the start; stuck within a request.
  for (int i = 0; i < 1000; ++i) {
    crowd.push_back(Connect());
    crowd.back().Send(PostRequest("/p", ""));
    ASSERT_EQ(crowd.back().Read().status, 200);
    crowd.push_back(Connect());
  }
  for (int i = 0; i < 200; ++i) {
    crowd.push_back(Connect());
    crowd.back().Send(half);
  }
  WaitFor([&] { return server_->connections() == 2200; });
  std::atomic<bool> stop{false};
  std::thread drip([&] {
    while (!stop) {
      for (size_t i = 2000; i < crowd.size(); ++i) crowd[i].Send("x");
      std::this_thread::sleep_for(std::chrono::milliseconds(5));  // the pace
    }
  });
  std::vector<std::chrono::steady_clock::duration> times;
  for (int i = 0; i < 21; ++i) times.push_back(ExpectServed());
  stop = true;
  drip.join();
  // The median, because the machine may be busy with other tests.
  std::nth_element(times.begin(), times.begin() + 10, times.end());
  EXPECT_LT(times[10], std::chrono::seconds(1));
}

TEST_P(EitherServerTest, TheConnectionAboveTheLimitIsAnswered503) {
  options_.max_connections = 2;
  Start();
  RawClient one = Connect();
  std::optional<RawClient> two(Connect());
  RawClient three = Connect();
  const RawResponse response = three.Read();
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.Header("Retry-After"), "2");
  EXPECT_TRUE(three.AtEnd());
  // Those within it go on, and room that is made is used.
  one.Send(PostRequest("/p", ""));
  EXPECT_EQ(one.Read().status, 200);
  two.reset();
  three.Reset();
  WaitFor([&] { return server_->connections() == 1; });
  ExpectServed();
}

TEST_F(PlainServerTest, AFloodOfConnectionsStaysBounded) {
  options_.max_connections = 10;
  Start();
  std::vector<RawClient> flood;
  for (int i = 0; i < 300; ++i) {
    flood.push_back(Connect());
  }
  for (int i = 10; i < 300; ++i) {
    const RawResponse response = flood[i].Read();
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.Header("Retry-After"), "2");
    EXPECT_TRUE(flood[i].AtEnd());
  }
  EXPECT_LE(server_->connections(), 10u + 64u);
  flood[0].Send(PostRequest("/p", ""));
  EXPECT_EQ(flood[0].Read().status, 200);
}

TEST_F(PlainServerTest, OneAddressTakesOnlyItsShareOfTheConnections) {
  options_.max_connections_per_address = 3;
  Start();
  std::vector<RawClient> greedy;
  for (int i = 0; i < 3; ++i) {
    greedy.push_back(Connect());
    greedy.back().Send(PostRequest("/p", ""));
    EXPECT_EQ(greedy.back().Read().status, 200);
  }
  RawClient beyond = Connect();
  const RawResponse response = beyond.Read();
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.Header("Retry-After"), "2");
  EXPECT_TRUE(beyond.AtEnd());
  EXPECT_THAT(handler_.refused(),
              ::testing::ElementsAre(RefusalReason::kTooManyFromAddress));

  RawClient other = Connect({.source = "127.0.0.2"});
  other.Send(PostRequest("/p", ""));
  EXPECT_EQ(other.Read().status, 200);

  greedy.pop_back();
  beyond.Reset();
  WaitFor([&] { return server_->connections() == 3; });
  ExpectServed();
}

// Those that are told so must not fill the room of the others.
TEST_F(PlainServerTest, AFloodFromOneAddressLeavesRoomForOthers) {
  options_.max_connections_per_address = 2;
  options_.max_connections = 4;
  options_.linger_timeout = absl::Seconds(60);
  Start();
  std::vector<RawClient> flood;
  for (int i = 0; i < 300; ++i) flood.push_back(Connect());
  for (int i = 2; i < 300; ++i) EXPECT_EQ(flood[i].Read().status, 503);
  EXPECT_LE(server_->connections(), 2u + 64u);
  RawClient other = Connect({.source = "127.0.0.2"});
  other.Send(PostRequest("/p", ""));
  EXPECT_EQ(other.Read().status, 200);
}

TEST_P(EitherServerTest, SilentConnectionsMakeRoomWhenTheDoorIsFull) {
  options_.max_connections = 8;
  Start();
  RawClient useful = Connect();
  useful.Send(PostRequest("/p", ""));
  EXPECT_EQ(useful.Read().status, 200);
  std::vector<RawClient> silent;
  for (int i = 0; i < 7; ++i) silent.push_back(Connect());
  WaitFor([&] { return server_->connections() == 8; });
  WaitFor([&] { return server_->connections() <= 6; });
  ExpectServed();
  useful.Send(PostRequest("/p", ""));
  EXPECT_EQ(useful.Read().status, 200);
}

TEST_F(PlainServerTest, TheCountOfAnAddressStaysExactUnderChange) {
  options_.max_connections_per_address = 8;
  Start();
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([this, i] {
      for (int j = 0; j < 100; ++j) {
        RawClient client = Connect();
        client.Send(PostRequest("/p", ""));
        if (j % 2 == i % 2) {
          client.Read();
        } else {
          client.Reset();
        }
      }
    });
  }
  for (std::thread& client : clients) client.join();
  WaitFor([&] { return server_->connections() == 0; });
  // Neither more nor less than the limit come in now.
  std::vector<RawClient> all;
  for (int i = 0; i < 8; ++i) {
    all.push_back(Connect());
    all.back().Send(PostRequest("/p", ""));
    EXPECT_EQ(all.back().Read().status, 200);
  }
  EXPECT_EQ(Connect().Read().status, 503);
}

TEST_P(EitherServerTest, TheRequestThatGrowsBeyondTheBudgetIsAnswered503) {
  options_.max_buffered_bytes = 1 << 20;
  Start();
  // Just under the budget; the rest of its body never comes.
  RawClient hog = Connect();
  hog.Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" +
           std::string(400 << 10, 'x'));
  WaitFor([&] { return server_->buffered_bytes() >= size_t{400} << 10; });
  std::vector<RawClient> more;
  int refused = 0;
  for (int i = 0; i < 4; ++i) {
    more.push_back(Connect());
    more.back().Send(PostRequest("/p", std::string(900 << 10, 'x')));
    const RawResponse response = more.back().Read();
    if (response.status != 503) continue;
    ++refused;
    EXPECT_EQ(response.Header("Retry-After"), "2");
  }
  EXPECT_EQ(refused, 4);
  // What was refused is no longer held.
  WaitFor([&] { return server_->buffered_bytes() < size_t{600} << 10; });
  ExpectServed();
  hog.Reset();
  WaitFor([&] { return server_->buffered_bytes() == 0; });
}

TEST_P(EitherServerTest, TheRequestAboveTheLimitIsAnswered503) {
  options_.max_requests = 2;
  handler_.Hold();
  Start();
  std::vector<RawClient> waiting;
  for (int i = 0; i < 2; ++i) {
    waiting.push_back(Connect());
    waiting.back().Send(PostRequest("/p", ""));
  }
  WaitFor([&] { return handler_.held() == 2; });
  RawClient third = Connect();
  third.Send(PostRequest("/p", ""));
  const RawResponse response = third.Read();
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.Header("Retry-After"), "2");
  handler_.Release();
  for (RawClient& client : waiting) EXPECT_EQ(client.Read().status, 200);
  ExpectServed();
}

TEST_P(EitherServerTest, DrainingFinishesWhatHasBegunAndRefusesTheRest) {
  handler_.Hold();
  Start();
  RawClient begun = Connect();
  const std::string request = PostRequest("/begun", "body");
  begun.Send(request.substr(0, 40));
  WaitFor([&] { return server_->buffered_bytes() > 0; });
  RawClient served = Connect();
  served.Send(PostRequest("/served", ""));
  WaitFor([&] { return handler_.held() == 1; });
  RawClient idle = Connect();

  server_->BeginDrain();
  EXPECT_FALSE(server_->WaitUntilIdle(absl::Milliseconds(20)));
  idle.Send(PostRequest("/late", ""));
  RawResponse refused = idle.Read();
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.Header("Retry-After"), "2");
  RawClient fresh = Connect();
  fresh.Send(PostRequest("/late", ""));
  EXPECT_EQ(fresh.Read().status, 503);

  begun.Send(request.substr(40));
  WaitFor([&] { return handler_.held() == 2; });
  handler_.Release();
  EXPECT_TRUE(server_->WaitUntilIdle(absl::Seconds(10)));
  const RawResponse last = served.Read();
  EXPECT_EQ(last.body, "POST /served 0");
  EXPECT_EQ(last.Header("Connection"), "close");
  EXPECT_EQ(begun.Read().body, "POST /begun 4");
  EXPECT_TRUE(begun.AtEnd());
}

TEST_P(EitherServerTest, AnswersAfterStopAreDropped) {
  handler_.Hold();
  Start();
  RawClient client = Connect();
  client.Send(PostRequest("/p", ""));
  WaitFor([&] { return handler_.held() == 1; });
  server_->Stop();
  EXPECT_TRUE(client.AtEnd());
  EXPECT_EQ(server_->connections(), 0u);
  server_.reset();
  handler_.Release();
}

TEST_P(EitherServerTest, StopsUnderLoad) {
  Start();
  std::vector<std::thread> clients;
  std::atomic<int> answered{0};
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&answered, client = Connect()]() mutable {
      while (client.Send(PostRequest("/p", "body")) &&
             client.Read().status == 200) {
        ++answered;
      }
    });
  }
  WaitFor([&] { return answered > 200; });
  server_->Stop();
  for (std::thread& client : clients) client.join();
}

class TlsServerTest : public GuardedServerTest {
 protected:
  TlsServerTest() { UseTls(); }

  RawClient ConnectOnly() { return Connect({.handshake = false}); }
};

TEST_F(TlsServerTest, TakesEitherVersionAndTheirFeatures) {
  Start();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    SSL_CTX_set_max_proto_version(client_tls_.get(), version);
    RawClient client = Connect();
    EXPECT_EQ(SSL_version(client.ssl()), version);
    for (int i = 0; i < 3; ++i) {
      client.Send(PostRequest("/p", "body"));
      EXPECT_EQ(client.Read().body, "POST /p 4");
      // A record without data, before the next request.
      if (version == TLS1_3_VERSION) {
        SSL_key_update(client.ssl(), SSL_KEY_UPDATE_REQUESTED);
      }
    }
  }
}

TEST_F(TlsServerTest, RefusesAVersionThatTheContextDoesNotAllow) {
  SSL_CTX_set_min_proto_version(client_tls_.get(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(client_tls_.get(), TLS1_1_VERSION);
  SSL_CTX_set_cipher_list(client_tls_.get(), "DEFAULT:@SECLEVEL=0");
  Start();
  RawClient client = ConnectOnly();
  EXPECT_FALSE(client.Handshake());
  WaitFor([&] { return server_->connections() == 0; });
  EXPECT_THAT(handler_.refused(),
              ::testing::ElementsAre(RefusalReason::kHandshakeFailed));
  SSL_CTX_set_max_proto_version(client_tls_.get(), 0);
  ExpectServed();
}

TEST_F(TlsServerTest, PlainHttpIsClosed) {
  Start();
  RawClient client = ConnectOnly();
  client.SendRaw(PostRequest("/p", "body"));
  EXPECT_FALSE(client.ReceiveRaw());
  EXPECT_TRUE(handler_.handled().empty());
  WaitFor([&] { return server_->connections() == 0; });
  EXPECT_THAT(handler_.refused(),
              ::testing::ElementsAre(RefusalReason::kHandshakeFailed));
}

TEST_F(TlsServerTest, ASilentClientIsDroppedAtTheDeadlineOfTheHandshake) {
  options_.handshake_timeout = absl::Milliseconds(100);
  Start();
  RawClient client = ConnectOnly();
  EXPECT_FALSE(client.ReceiveRaw());
  // It may have been a probe.
  EXPECT_THAT(handler_.refused(), ::testing::IsEmpty());
}

TEST_F(TlsServerTest, AHandshakeThatDripsIsDroppedAtTheDeadline) {
  options_.handshake_timeout = absl::Milliseconds(200);
  Start();
  RawClient client = ConnectOnly();
  const std::string hello = client.NextFlight();
  const auto start = std::chrono::steady_clock::now();
  // Never silent for long, and never whole.
  for (size_t i = 0; i + 1 < hello.size() && !client.Readable(); ++i) {
    client.SendRaw({&hello[i], 1});
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the pace
  }
  EXPECT_FALSE(client.ReceiveRaw());
  EXPECT_GE(std::chrono::steady_clock::now() - start,
            std::chrono::milliseconds(200));
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(TlsServerTest, AHandshakeByteByByteSucceeds) {
  Start();
  RawClient client = ConnectOnly();
  for (const char c : client.NextFlight()) client.SendRaw({&c, 1});
  ASSERT_TRUE(client.ReceiveRaw());
  ASSERT_TRUE(client.Handshake());
  client.Send(PostRequest("/p", "body"));
  EXPECT_EQ(client.Read().body, "POST /p 4");
}

TEST_F(TlsServerTest, ARequestInTheSegmentThatEndsTheHandshakeIsServed) {
  Start();
  for (int i = 0; i < 50; ++i) {
    RawClient client = ConnectOnly();
    client.SendRaw(client.NextFlight());
    std::string last;
    do {
      ASSERT_TRUE(client.ReceiveRaw());
      last = client.NextFlight(PostRequest("/p", "body"));
    } while (last.empty());
    client.SendRaw(last);
    EXPECT_EQ(client.Read().body, "POST /p 4");
  }
}

TEST_F(TlsServerTest, ManyRecordsInOneSegmentAreAllRead) {
  Start();
  RawClient client = Connect();
  for (int round = 0; round < 20; ++round) {
    std::string requests;
    for (int i = 0; i < 200; ++i) {
      absl::StrAppend(&requests, PostRequest("/p", "body"));
    }
    for (const char c : requests.substr(0, 100)) {
      SSL_write(client.ssl(), &c, 1);
    }
    client.Send(requests.substr(100));
    for (int i = 0; i < 200; ++i) {
      ASSERT_EQ(client.Read().body, "POST /p 4");
    }
  }
}

TEST_F(TlsServerTest, TakesLeaveOfItsClients) {
  options_.idle_timeout = absl::Milliseconds(100);
  Start();
  RawClient refused = Connect();
  refused.Send("not http\r\n");
  EXPECT_EQ(refused.Read().status, 400);
  EXPECT_TRUE(refused.AtEnd());
  EXPECT_TRUE(refused.took_leave());
  RawClient idle = Connect();
  EXPECT_TRUE(idle.AtEnd());
  EXPECT_TRUE(idle.took_leave());
}

// With the signal's default a write to a connection that is gone would end the
// process.
TEST_F(TlsServerTest, AResetAtAnyMomentRaisesNoSignal) {
  Start();
  const auto handler = signal(SIGPIPE, SIG_DFL);
  {
    RawClient client = ConnectOnly();
    const std::string hello = client.NextFlight();
    for (const size_t size : {size_t{1}, hello.size() / 2, hello.size()}) {
      RawClient resetting = ConnectOnly();
      resetting.SendRaw(std::string_view(hello).substr(0, size));
      resetting.Reset();
    }
  }
  const std::string request = PostRequest("/p", std::string(100 << 10, 'b'));
  for (size_t size = 0; size <= request.size(); size += 10 << 10) {
    RawClient client = Connect();
    client.Send(request.substr(0, size));
    client.Reset();
  }
  handler_.Hold();
  std::vector<RawClient> waiting;
  for (int i = 0; i < 10; ++i) {
    waiting.push_back(Connect());
    waiting.back().Send(PostRequest("/big", ""));
  }
  WaitFor([&] { return handler_.held() == 10; });
  for (RawClient& client : waiting) client.Reset();
  handler_.Release();
  WaitFor([&] { return server_->connections() == 0; });
  EXPECT_EQ(server_->buffered_bytes(), 0u);
  ExpectServed();
  signal(SIGPIPE, handler);
}

TEST_F(TlsServerTest, AFloodOfConnectionsIsAnsweredOrClosed) {
  options_.max_connections = 10;
  options_.handshake_timeout = absl::Seconds(60);
  Start();
  std::vector<RawClient> flood;
  for (int i = 0; i < 200; ++i) flood.push_back(ConnectOnly());
  EXPECT_LE(server_->connections(), 10u + 64u);
  int answered = 0;
  for (int i = 10; i < 200; ++i) {
    if (!flood[i].Handshake()) continue;
    const RawResponse response = flood[i].Read();
    if (response.status == 0) continue;
    EXPECT_EQ(response.status, 503);
    ++answered;
  }
  EXPECT_GE(answered, 64);
  ASSERT_TRUE(flood[0].Handshake());
  flood[0].Send(PostRequest("/p", ""));
  EXPECT_EQ(flood[0].Read().status, 200);
}

TEST_F(TlsServerTest, ANewCertificateBreaksNoConnection) {
  Mutex mu;
  std::shared_ptr<SSL_CTX> current = tls_->server("first");
  options_.tls_context = [&] {
    MutexLock lock(mu);
    return current;
  };
  Start();
  const auto shown = [](const RawClient& client) {
    X509* certificate = SSL_get1_peer_certificate(client.ssl());
    char name[64] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate),
                              NID_commonName, name, sizeof(name));
    X509_free(certificate);
    return std::string(name);
  };
  RawClient old = Connect();
  EXPECT_EQ(shown(old), "first");
  std::atomic<bool> stop{false};
  std::atomic<int> answered{0};
  std::atomic<int> failed{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back([&] {
      while (!stop) {
        RawClient client = Connect();
        for (int j = 0; j < 3; ++j) {
          client.Send(PostRequest("/p", "body"));
          ++(client.Read().status == 200 ? answered : failed);
        }
      }
    });
  }
  for (int i = 0; i < 20; ++i) {
    const int before = answered;
    auto next = tls_->server(absl::StrCat("number", i));
    {
      MutexLock lock(mu);
      current.swap(next);
    }
    next.reset();
    WaitFor([&] { return answered > before + 3; });
  }
  stop = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(shown(Connect()), "number19");
  old.Send(PostRequest("/p", "body"));
  EXPECT_EQ(old.Read().body, "POST /p 4");
}

TEST_F(TlsServerTest, WithoutAContextConnectionsAreClosed) {
  options_.tls_context = [] { return nullptr; };
  Start();
  RawClient client = ConnectOnly();
  EXPECT_FALSE(client.ReceiveRaw());
}

TEST_F(PlainServerTest, SaysWhyItCannotListen) {
  Start();
  FakeHandler other_handler;
  GuardedServer other({}, other_handler);
  const absl::Status in_use = other.Listen("127.0.0.1", server_->port());
  EXPECT_EQ(in_use.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(in_use.message()), HasSubstr("in use"));
  GuardedServer nowhere({}, other_handler);
  EXPECT_EQ(nowhere.Listen("not an address", 0).code(),
            absl::StatusCode::kInvalidArgument);
  GuardedServer elsewhere({}, other_handler);
  EXPECT_EQ(elsewhere.Listen("192.0.2.1", 0).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(PlainServerTest, ListensOnIpv6) {
  GuardedServer server({}, handler_);
  ASSERT_TRUE(server.Listen("::1", 0).ok());
  const int fd = socket(AF_INET6, SOCK_STREAM, 0);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(static_cast<uint16_t>(server.port()));
  address.sin6_addr = in6addr_loopback;
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
            0);
  const std::string request = PostRequest("/p", "");
  EXPECT_EQ(send(fd, request.data(), request.size(), 0),
            static_cast<ssize_t>(request.size()));
  char buffer[12];
  EXPECT_EQ(recv(fd, buffer, sizeof(buffer), MSG_WAITALL), 12);
  EXPECT_EQ(std::string_view(buffer, 12), "HTTP/1.1 200");
  EXPECT_THAT(handler_.handled(), ::testing::ElementsAre("::1"));
  close(fd);
}

}  // namespace
}  // namespace waggle
