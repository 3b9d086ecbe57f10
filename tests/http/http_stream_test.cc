// Answers that come in parts, through a real server.
#include "http/http_stream.h"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "http/guarded_server.h"
#include "tests/http/raw_http.h"
#include "tests/http/test_tls.h"

namespace waggle {
namespace {

using ::testing::HasSubstr;
using testing::RawClient;
using testing::RawResponse;
using testing::WaitFor;

constexpr std::string_view kRequest = "GET /s HTTP/1.1\r\nHost: h\r\n\r\n";

struct RecordingSource : HttpStreamSource {
  void OnWritten() override { ++written; }
  void OnClosed() override { ++closed; }

  std::atomic<int> written = 0;
  std::atomic<int> closed = 0;
};

// Begins a stream for each request, now or when it is told to.
class StreamingHandler : public HttpHandler {
 public:
  std::optional<HttpResponse> Screen(const HttpRequest&) override {
    return std::nullopt;
  }
  void OnRefused(const Refusal&, const HttpRequest&) override {}

  void Handle(HttpRequest, HttpResponder respond) override {
    MutexLock lock(mu_);
    if (holding_) {
      held_.push_back(std::move(respond));
    } else {
      Begin(respond);
    }
  }

  void Hold() {
    MutexLock lock(mu_);
    holding_ = true;
  }
  bool held() {
    MutexLock lock(mu_);
    return !held_.empty();
  }
  void Release() {
    MutexLock lock(mu_);
    for (HttpResponder& respond : held_) Begin(respond);
    held_.clear();
  }

  std::shared_ptr<HttpStream> WaitForStream() {
    std::shared_ptr<HttpStream> stream;
    WaitFor([&] {
      MutexLock lock(mu_);
      stream = stream_;
      return stream != nullptr;
    });
    return stream;
  }

  const std::shared_ptr<RecordingSource> source =
      std::make_shared<RecordingSource>();

 private:
  void Begin(HttpResponder& respond) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    stream_ = std::make_shared<HttpStream>(source);
    respond([lease = stream_->Lease()]() mutable {
      HttpResponse response;
      response.content_type = "text/plain";
      response.headers.emplace_back("X-Test", "yes");
      response.stream = std::move(lease);
      return response;
    });
  }

  Mutex mu_;
  bool holding_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<HttpResponder> held_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<HttpStream> stream_ ABSL_GUARDED_BY(mu_);
};

enum class Over { kTcp, kTls };

class HttpStreamTest : public ::testing::TestWithParam<Over> {
 protected:
  void Start() {
    if (GetParam() == Over::kTls) {
      tls_.emplace();
      options_.tls_context = [context = tls_->server()] { return context; };
    }
    server_.emplace(options_, handler_);
    ASSERT_TRUE(server_->Listen("127.0.0.1", 0).ok());
  }

  RawClient Ask(std::string_view request = kRequest) {
    RawClient client(server_->port(),
                     {.tls = tls_.has_value() ? tls_->client() : nullptr});
    client.Send(request);
    return client;
  }

  void WaitForClose() {
    WaitFor([this] { return handler_.source->closed == 1; });
    WaitFor([this] { return server_->connections() == 0; });
  }

  std::optional<testing::TestTls> tls_;
  GuardOptions options_;
  StreamingHandler handler_;
  std::optional<GuardedServer> server_;
};

INSTANTIATE_TEST_SUITE_P(Over, HttpStreamTest,
                         ::testing::Values(Over::kTcp, Over::kTls),
                         [](const auto& info) {
                           return info.param == Over::kTls ? "Tls" : "Tcp";
                         });

TEST_P(HttpStreamTest, PartsArriveAsTheyAreWritten) {
  Start();
  RawClient client = Ask();
  const RawResponse head = client.Read();
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.Header("Transfer-Encoding"), "chunked");
  EXPECT_EQ(head.Header("Connection"), "close");
  EXPECT_EQ(head.Header("Content-Type"), "text/plain");
  EXPECT_EQ(head.Header("X-Test"), "yes");
  const auto stream = handler_.WaitForStream();
  for (int i = 1; i <= 3; ++i) {
    const std::string part(static_cast<size_t>(i) * 1000, 'p');
    stream->Write(part);
    EXPECT_EQ(client.ReadChunk(), part);
    WaitFor([&] { return handler_.source->written == i; });
  }
  EXPECT_EQ(server_->buffered_bytes(), 0u);
  stream->End("last");
  EXPECT_EQ(client.ReadChunk(), "last");
  EXPECT_EQ(client.ReadChunk(), "");
  EXPECT_TRUE(client.AtEnd());
  WaitFor([this] { return handler_.source->closed == 1; });
  stream->Write("after the end");
}

TEST_P(HttpStreamTest, AnHttp10ClientReadsToTheEndOfTheConnection) {
  Start();
  RawClient client = Ask("GET /s HTTP/1.0\r\n\r\n");
  const RawResponse head = client.Read();
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.Header("Transfer-Encoding"), "");
  handler_.WaitForStream()->End("all of it");
  EXPECT_EQ(client.ReadToEnd(), "all of it");
}

TEST_P(HttpStreamTest, APartBeforeTheAnswerBeganFollowsIt) {
  handler_.Hold();
  Start();
  RawClient client = Ask();
  WaitFor([this] { return handler_.held(); });
  handler_.Release();
  handler_.WaitForStream()->Write("first");
  EXPECT_EQ(client.Read().status, 200);
  EXPECT_EQ(client.ReadChunk(), "first");
}

TEST_P(HttpStreamTest, ALargePartReachesASlowClientWhole) {
  Start();
  RawClient client = Ask();
  const auto stream = handler_.WaitForStream();
  const std::string part(size_t{8} << 20, 'x');
  stream->Write(part);
  EXPECT_EQ(client.Read().status, 200);
  EXPECT_EQ(client.ReadChunk(), part);
  WaitFor([this] { return handler_.source->written == 1; });
}

TEST_P(HttpStreamTest, AClientThatDoesNotReadIsCut) {
  options_.stall_timeout = absl::Milliseconds(200);
  Start();
  RawClient client = Ask();
  handler_.WaitForStream()->Write(std::string(size_t{64} << 20, 'x'));
  WaitForClose();
  EXPECT_EQ(handler_.source->written, 0);
}

TEST_P(HttpStreamTest, TheSystemHoldsLittleForAClientThatDoesNotRead) {
  options_.stall_timeout = absl::Milliseconds(200);
  Start();
  RawClient client = Ask();
  handler_.WaitForStream()->Write(std::string(size_t{1} << 20, 'x'));
  WaitForClose();
  EXPECT_EQ(handler_.source->written, 0);
}

TEST_P(HttpStreamTest, ASilentStreamIsNotCut) {
  options_.stall_timeout = absl::Milliseconds(50);
  options_.idle_timeout = absl::Milliseconds(50);
  Start();
  RawClient client = Ask();
  const auto stream = handler_.WaitForStream();
  EXPECT_EQ(client.Read().status, 200);
  // By the time that a silent connection is closed, the stream is there.
  RawClient silent(server_->port(),
                   {.tls = tls_.has_value() ? tls_->client() : nullptr});
  EXPECT_TRUE(silent.AtEnd());
  stream->Write("still here");
  EXPECT_EQ(client.ReadChunk(), "still here");
}

TEST_P(HttpStreamTest, AClientThatGoesClosesTheStream) {
  Start();
  {
    RawClient client = Ask();
    EXPECT_EQ(client.Read().status, 200);
  }
  WaitForClose();
}

TEST_P(HttpStreamTest, AResetClosesTheStream) {
  Start();
  RawClient client = Ask();
  EXPECT_EQ(client.Read().status, 200);
  client.Reset();
  WaitForClose();
}

TEST_P(HttpStreamTest, AClientThatWentBeforeTheAnswerClosesTheStream) {
  handler_.Hold();
  Start();
  Ask();
  WaitFor([this] { return handler_.held(); });
  handler_.Release();
  WaitForClose();
}

TEST_P(HttpStreamTest, WhatTheClientStillSendsIsDropped) {
  Start();
  RawClient client = Ask();
  EXPECT_EQ(client.Read().status, 200);
  client.Send(kRequest);
  const auto stream = handler_.WaitForStream();
  stream->Write("a part");
  EXPECT_EQ(client.ReadChunk(), "a part");
  stream->End();
  EXPECT_EQ(client.ReadChunk(), "");
  EXPECT_TRUE(client.AtEnd());
}

TEST_P(HttpStreamTest, AClientThatSendsWithoutEndIsCut) {
  Start();
  RawClient client = Ask();
  EXPECT_EQ(client.Read().status, 200);
  while (client.Send(std::string(64 << 10, 'x'))) {
  }
  WaitForClose();
}

TEST_P(HttpStreamTest, CutEndsAClientThatDoesNotRead) {
  Start();
  RawClient client = Ask();
  const auto stream = handler_.WaitForStream();
  stream->Write(std::string(size_t{64} << 20, 'x'));
  stream->Cut();
  WaitForClose();
}

TEST_P(HttpStreamTest, StoppingClosesTheStreams) {
  Start();
  RawClient client = Ask();
  EXPECT_EQ(client.Read().status, 200);
  const auto stream = handler_.WaitForStream();
  server_->Stop();
  EXPECT_EQ(handler_.source->closed, 1);
  stream->Write("too late");
  server_.reset();
  stream->End("too late");
}

TEST_P(HttpStreamTest, AnAnswerAfterStopClosesItsStream) {
  handler_.Hold();
  Start();
  RawClient client = Ask();
  WaitFor([this] { return handler_.held(); });
  server_->Stop();
  handler_.Release();
  EXPECT_EQ(handler_.source->closed, 1);
}

TEST_P(HttpStreamTest, DrainingDoesNotWaitForAStream) {
  Start();
  RawClient client = Ask();
  EXPECT_EQ(client.Read().status, 200);
  server_->BeginDrain();
  EXPECT_TRUE(server_->WaitUntilIdle(absl::Seconds(60)));
  handler_.WaitForStream()->Write("goes on");
  EXPECT_EQ(client.ReadChunk(), "goes on");
}

}  // namespace
}  // namespace waggle
