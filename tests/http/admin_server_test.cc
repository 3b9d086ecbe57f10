#include "http/admin_server.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/http/raw_http.h"

namespace waggle {
namespace {

using ::testing::HasSubstr;
using testing::RawClient;
using testing::RawResponse;

class AdminServerTest : public ::testing::Test {
 protected:
  AdminServerTest()
      : server_({.readiness =
                     [this] {
                       MutexLock lock(mu_);
                       return readiness_;
                     },
                 .refresh_metrics = [this] { gauge_.Set(7); }},
                metrics_) {
    EXPECT_TRUE(server_.Listen("127.0.0.1", 0).ok());
  }

  void SetReadiness(absl::Status readiness) {
    MutexLock lock(mu_);
    readiness_ = std::move(readiness);
  }

  RawResponse Ask(const std::string& method, const std::string& path) {
    RawClient client(server_.port());
    client.Send(
        absl::StrCat(method, " ", path, " HTTP/1.1\r\nHost: h\r\n\r\n"));
    return client.Read(method == "HEAD");
  }

  Metrics metrics_;
  prometheus::Gauge& gauge_ = metrics_.Gauge("waggle_test", "For this test.");
  Mutex mu_;
  absl::Status readiness_ ABSL_GUARDED_BY(mu_);
  AdminServer server_;
};

TEST_F(AdminServerTest, IsHealthyWhileItAnswers) {
  SetReadiness(absl::UnavailableError("the disk is full"));
  EXPECT_EQ(Ask("GET", "/healthz").status, 200);
  EXPECT_EQ(Ask("GET", "/healthz").body, "ok\n");
}

TEST_F(AdminServerTest, IsReadyOrSaysWhyNot) {
  EXPECT_EQ(Ask("GET", "/readyz").status, 200);
  SetReadiness(absl::UnavailableError("the disk is full"));
  const RawResponse response = Ask("GET", "/readyz");
  EXPECT_EQ(response.status, 503);
  EXPECT_THAT(response.body, HasSubstr("the disk is full"));
}

TEST_F(AdminServerTest, ShowsMetricsAsTheyAreNow) {
  const RawResponse response = Ask("GET", "/metrics");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.Header("Content-Type"),
              HasSubstr("text/plain; version=0.0.4"));
  EXPECT_THAT(response.body, HasSubstr("waggle_test 7"));
}

TEST_F(AdminServerTest, AnswersHead) {
  const RawResponse response = Ask("HEAD", "/healthz");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.Header("Content-Length"), "3");
}

TEST_F(AdminServerTest, RefusesOtherPathsAndMethods) {
  EXPECT_EQ(Ask("GET", "/").status, 404);
  EXPECT_EQ(Ask("GET", "/healthz/").status, 404);
  const RawResponse response = Ask("POST", "/metrics");
  EXPECT_EQ(response.status, 405);
  EXPECT_EQ(response.Header("Allow"), "GET, HEAD");
}

}  // namespace
}  // namespace waggle
