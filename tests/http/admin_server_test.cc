#include "http/admin_server.h"

#include <atomic>
#include <optional>
#include <string>
#include <string_view>
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
                 .authorize =
                     [this](std::optional<std::string_view> authorization) {
                       return Judge(authorization);
                     },
                 .refresh_metrics = [this] { gauge_.Set(7); }},
                metrics_) {
    EXPECT_TRUE(server_.Listen("127.0.0.1", 0).ok());
  }

  void SetReadiness(absl::Status readiness) {
    MutexLock lock(mu_);
    readiness_ = std::move(readiness);
  }

  // From now on it asks for credentials.
  void Close() { closed_ = true; }

  AdminServer::Access Judge(std::optional<std::string_view> authorization) {
    if (!closed_ || authorization == "Bearer operator") {
      return AdminServer::Access::kAllowed;
    }
    return authorization == "Bearer reader"
               ? AdminServer::Access::kForbidden
               : AdminServer::Access::kUnauthenticated;
  }

  RawResponse Ask(const std::string& method, const std::string& path,
                  const std::string& fields = "") {
    RawClient client(server_.port());
    client.Send(absl::StrCat(method, " ", path, " HTTP/1.1\r\nHost: h\r\n",
                             fields, "\r\n"));
    return client.Read(method == "HEAD");
  }

  Metrics metrics_;
  prometheus::Gauge& gauge_ = metrics_.Gauge("waggle_test", "For this test.");
  std::atomic<bool> closed_{false};
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
  const RawResponse metrics = Ask("HEAD", "/metrics");
  EXPECT_EQ(metrics.status, 200);
  EXPECT_EQ(metrics.body, "");
  EXPECT_NE(metrics.Header("Content-Length"), "0");
}

TEST_F(AdminServerTest, OnlyProbesAreForEverybody) {
  Close();
  std::vector<std::string_view> open;
  for (const AdminServer::Page& page : AdminServer::pages()) {
    const std::string path(page.path);
    for (const char* method : {"GET", "HEAD"}) {
      EXPECT_EQ(Ask(method, path, "Authorization: Bearer operator\r\n").status,
                200)
          << path;
      EXPECT_EQ(Ask(method, path).status, page.open ? 200 : 401) << path;
      EXPECT_EQ(Ask(method, path, "Authorization: Bearer reader\r\n").status,
                page.open ? 200 : 403)
          << path;
    }
    EXPECT_EQ(Ask("POST", path).status, page.open ? 405 : 401) << path;
    if (page.open) open.push_back(page.path);
  }
  EXPECT_THAT(open, ::testing::ElementsAre("/healthz", "/readyz"));
}

TEST_F(AdminServerTest, SaysWhatCredentialsItWants) {
  Close();
  const std::string right = "Authorization: Bearer operator\r\n";
  for (const std::string& fields :
       {std::string(), std::string("Authorization:\r\n"), right + right,
        "Authorization: Bearer wrong\r\n" + right}) {
    const RawResponse response = Ask("GET", "/metrics", fields);
    EXPECT_EQ(response.status, 401) << fields;
    EXPECT_EQ(response.Header("WWW-Authenticate"), "Bearer");
    EXPECT_EQ(response.Header("Content-Type"), "application/problem+json");
  }
  const RawResponse forbidden =
      Ask("GET", "/metrics", "Authorization: Bearer reader\r\n");
  EXPECT_EQ(forbidden.status, 403);
  EXPECT_EQ(forbidden.Header("Content-Type"), "application/problem+json");
}

// Neither learns a stranger what there is, nor is anything open by mistake.
TEST_F(AdminServerTest, WhatDoesNotExistIsNotForEverybodyEither) {
  Close();
  for (const char* path : {"/", "/metrics/", "/METRICS", "/healthz/", "*"}) {
    EXPECT_EQ(Ask("GET", path).status, 401) << path;
    EXPECT_EQ(Ask("GET", path, "Authorization: Bearer operator\r\n").status,
              404)
        << path;
  }
}

TEST_F(AdminServerTest, ServesOverTls) {
  const testing::TestTls tls;
  const auto context = tls.server();
  AdminServer server({.readiness = [] { return absl::OkStatus(); },
                      .tls_context = [context] { return context; }},
                     metrics_);
  ASSERT_TRUE(server.Listen("127.0.0.1", 0).ok());
  RawClient client(server.port(), {.tls = tls.client()});
  client.Send("GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(client.Read().status, 200);
}

TEST_F(AdminServerTest, RefusesOtherPathsAndMethods) {
  EXPECT_EQ(Ask("GET", "/").status, 404);
  EXPECT_EQ(Ask("GET", "/healthz/").status, 404);
  const RawResponse response = Ask("POST", "/metrics");
  EXPECT_EQ(response.status, 405);
  EXPECT_EQ(response.Header("Allow"), "GET, HEAD");
}

TEST_F(AdminServerTest, OneAddressDoesNotKeepTheProbesOut) {
  std::vector<RawClient> idle;
  for (int i = 0; i < 300; ++i) idle.emplace_back(server_.port());
  RawClient probe(server_.port(), {.source = "127.0.0.2"});
  probe.Send("GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(probe.Read().status, 200);
}

}  // namespace
}  // namespace waggle
