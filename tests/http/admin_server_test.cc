#include "http/admin_server.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/mock_operator_api.h"
#include "tests/http/raw_http.h"
#include "tests/http/test_tls.h"

namespace waggle {
namespace {

using ::testing::_;
using ::testing::HasSubstr;
using testing::MockOperatorApi;
using ::testing::NiceMock;
using testing::PostRequest;
using testing::RawClient;
using testing::RawResponse;

constexpr std::string_view kOperator = "Authorization: Bearer operator\r\n";
constexpr std::string_view kReader = "Authorization: Bearer reader\r\n";
constexpr std::string_view kJson = "Content-Type: application/json\r\n";
constexpr std::string_view kListDeliveries =
    "/waggle.v1.DeliveryService/ListDeliveries";

class AdminServerTest : public ::testing::Test {
 protected:
  explicit AdminServerTest(bool open = true, bool loopback = false)
      : open_(open),
        server_({.readiness =
                     [this] {
                       MutexLock lock(mu_);
                       return readiness_;
                     },
                 .authenticate =
                     [this](std::optional<std::string_view> authorization) {
                       MutexLock lock(mu_);
                       return Authenticate(authorization);
                     },
                 .open = open,
                 .loopback = loopback,
                 .refresh_metrics = [this] { gauge_.Set(7); }},
                metrics_, api_) {
    EXPECT_TRUE(server_.Listen("127.0.0.1", 0).ok());
  }

  void SetReadiness(absl::Status readiness) {
    MutexLock lock(mu_);
    readiness_ = std::move(readiness);
  }

  absl::StatusOr<Caller> Authenticate(
      std::optional<std::string_view> authorization) const {
    auto principal = std::make_shared<Principal>();
    principal->name = "anonymous";
    if (authorization == "Bearer unknown") {
      return absl::PermissionDeniedError("nobody is known by it");
    }
    if (authorization.has_value() || !open_) {
      if (authorization != "Bearer operator" &&
          authorization != "Bearer reader") {
        return absl::UnauthenticatedError("not valid");
      }
      principal->name = std::string(authorization->substr(7));
    }
    principal->rights.admin = principal->name == "operator";
    return Caller{.principal = principal, .identity = principal->name};
  }

  // What was set up before happens before what the server does for the client:
  // the socket does not tell ThreadSanitizer so, the lock does.
  RawClient Connect() {
    MutexLock lock(mu_);
    return RawClient(server_.port());
  }

  RawResponse Ask(std::string_view method, std::string_view path,
                  std::string_view fields = "") {
    RawClient client = Connect();
    client.Send(absl::StrCat(AsAbsl(method), " ", AsAbsl(path),
                             " HTTP/1.1\r\nHost: h\r\n", AsAbsl(fields),
                             "\r\n"));
    return client.Read(method == "HEAD");
  }

  RawResponse Post(std::string_view path, std::string_view body,
                   std::string_view fields) {
    RawClient client = Connect();
    client.Send(PostRequest(path, body, fields));
    return client.Read();
  }

  const bool open_;
  Metrics metrics_;
  prometheus::Gauge& gauge_ = metrics_.Gauge("waggle_test", "For this test.");
  NiceMock<MockOperatorApi> api_;
  Mutex mu_;
  absl::Status readiness_ ABSL_GUARDED_BY(mu_);
  AdminServer server_;
};

// A door that asks for credentials.
class ClosedAdminServerTest : public AdminServerTest {
 protected:
  ClosedAdminServerTest() : AdminServerTest(false) {}
};

// An open one on loopback.
class LocalAdminServerTest : public AdminServerTest {
 protected:
  LocalAdminServerTest() : AdminServerTest(true, true) {}
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

// Every page by its rule: one without a rule is for nobody, and fails here.
TEST_F(ClosedAdminServerTest, OnlyProbesAndThePageItselfAreForEverybody) {
  for (const AdminServer::Page& page : AdminServer::pages()) {
    const bool open = page.audience == AdminServer::Audience::kEverybody;
    for (const char* method : {"GET", "HEAD"}) {
      EXPECT_EQ(Ask(method, page.path, kOperator).status, 200) << page.path;
      EXPECT_EQ(Ask(method, page.path).status, open ? 200 : 401) << page.path;
      EXPECT_EQ(Ask(method, page.path, kReader).status, open ? 200 : 403)
          << page.path;
    }
    EXPECT_EQ(Ask("POST", page.path).status, open ? 405 : 401) << page.path;
    EXPECT_EQ(open, page.path == "/" || page.path == "/healthz" ||
                        page.path == "/readyz" ||
                        page.path.starts_with("/page/"))
        << page.path;
  }
}

TEST_F(ClosedAdminServerTest, SaysWhatCredentialsItWants) {
  const std::string right(kOperator);
  for (const std::string& fields :
       {std::string(), std::string("Authorization:\r\n"), right + right,
        "Authorization: Bearer wrong\r\n" + right}) {
    for (const std::string_view path :
         {std::string_view("/metrics"), kListDeliveries}) {
      const RawResponse response = Ask("GET", path, fields);
      EXPECT_EQ(response.status, 401) << fields;
      EXPECT_EQ(response.Header("WWW-Authenticate"), "Bearer");
      EXPECT_EQ(response.Header("Content-Type"), "application/problem+json");
    }
  }
  const RawResponse forbidden = Ask("GET", "/metrics", kReader);
  EXPECT_EQ(forbidden.status, 403);
  EXPECT_EQ(forbidden.Header("Content-Type"), "application/problem+json");
}

// Neither learns a stranger what there is, nor is anything open by mistake.
TEST_F(ClosedAdminServerTest, WhatDoesNotExistIsNotForEverybodyEither) {
  for (const char* path :
       {"/page/", "/metrics/", "/METRICS", "/healthz/", "/index.html", "*",
        "/waggle.v1.EventService/Subscribe"}) {
    EXPECT_EQ(Ask("GET", path).status, 401) << path;
    EXPECT_EQ(Ask("GET", path, kOperator).status, 404) << path;
  }
}

TEST_F(ClosedAdminServerTest, TellsMethodsWhoCalls) {
  std::vector<std::string> callers;
  ON_CALL(api_, ListDeliveries(_, _))
      .WillByDefault([&](const auto&, const Caller& caller)
                         -> absl::StatusOr<v1::ListDeliveriesResponse> {
        {
          MutexLock lock(mu_);
          callers.push_back(caller.principal->name);
        }
        if (caller.principal->rights.admin) {
          return v1::ListDeliveriesResponse();
        }
        return absl::PermissionDeniedError("this takes \"deliveries\"");
      });
  const RawResponse allowed = Post(
      kListDeliveries, "{}", absl::StrCat(AsAbsl(kJson), AsAbsl(kOperator)));
  EXPECT_EQ(allowed.status, 200);
  EXPECT_EQ(allowed.body, "{}");
  EXPECT_EQ(allowed.Header("Content-Type"), "application/json");
  EXPECT_EQ(allowed.Header("Cache-Control"), "no-store");
  const RawResponse denied =
      Post(kListDeliveries, "{}", absl::StrCat(AsAbsl(kJson), AsAbsl(kReader)));
  EXPECT_EQ(denied.status, 403);
  EXPECT_THAT(denied.body, HasSubstr(R"(this takes \"deliveries\")"));
  EXPECT_EQ(
      Post(kListDeliveries, "{}",
           absl::StrCat(AsAbsl(kJson), "Authorization: Bearer unknown\r\n"))
          .status,
      403);
  EXPECT_EQ(Post(kListDeliveries, "{}", kJson).status, 401);
  MutexLock lock(mu_);
  EXPECT_THAT(callers, ::testing::ElementsAre("operator", "reader"));
}

// With credentials, a name is as good as an address: no stranger's page has
// them.
TEST_F(ClosedAdminServerTest, AnswersMethodsUnderAnyName) {
  RawClient client = Connect();
  client.Send(absl::StrCat("POST ", AsAbsl(kListDeliveries),
                           " HTTP/1.1\r\nHost: waggle.example.com\r\n"
                           "Content-Length: 2\r\n",
                           AsAbsl(kJson), AsAbsl(kOperator), "\r\n{}"));
  EXPECT_EQ(client.Read().status, 200);
}

TEST_F(AdminServerTest, AnswersMethodsWithoutCredentialsWhereItIsOpen) {
  for (const JsonMethod& method : JsonMethods()) {
    EXPECT_EQ(Post(method.path, "{}", kJson).status, 200) << method.path;
    EXPECT_EQ(Ask("POST", method.path, kJson).status, 421) << method.path;
  }
}

TEST_F(AdminServerTest, AnswersMethodsOnlyToItsOwnPageWhereItIsOpen) {
  EXPECT_CALL(api_, ListDeliveries(_, _)).Times(8);
  const auto status = [this](std::string_view host, std::string_view fields) {
    RawClient client = Connect();
    client.Send(absl::StrCat(
        "POST ", AsAbsl(kListDeliveries), " HTTP/1.1\r\nHost: ", AsAbsl(host),
        "\r\nContent-Length: 2\r\n", AsAbsl(kJson), AsAbsl(fields), "\r\n{}"));
    return client.Read().status;
  };
  for (const char* host :
       {"127.0.0.1", "127.0.0.1:8081", "localhost:8081", "[::1]:8081"}) {
    EXPECT_EQ(status(host, ""), 200) << host;
  }
  EXPECT_EQ(status("127.0.0.1:8081", "Origin: http://127.0.0.1:8081\r\n"), 200);
  EXPECT_EQ(status("LOCALHOST", "Origin: https://localhost\r\n"), 200);
  for (const char* host :
       {"evil.example", "evil.example:8081", "localhost.evil.example", "",
        "127.0.0.1.evil.example", "[::1", "[evil]", "::1", "1"}) {
    EXPECT_EQ(status(host, ""), 421) << host;
  }
  for (const char* origin :
       {"http://evil.example", "http://127.0.0.1:8082", "http://127.0.0.1",
        "null", "", "127.0.0.1:8081"}) {
    EXPECT_EQ(
        status("127.0.0.1:8081", absl::StrCat("Origin: ", origin, "\r\n")), 403)
        << origin;
  }
  // What a page sends without a look at the answer has no Origin.
  const auto from = [&](absl::string_view site) {
    return status("127.0.0.1:8081",
                  absl::StrCat("Sec-Fetch-Site: ", site, "\r\n"));
  };
  for (const char* site : {"same-origin", "none"}) {
    EXPECT_EQ(from(site), 200) << site;
  }
  for (const char* site : {"cross-site", "same-site", ""}) {
    EXPECT_EQ(from(site), 403) << site;
  }
}

// A page could have been loaded by any name that leads to this machine.
TEST_F(LocalAdminServerTest, ShowsMetricsUnderNoName) {
  const auto ask = [this](std::string_view path, std::string_view host) {
    RawClient client = Connect();
    client.Send(absl::StrCat("GET ", AsAbsl(path),
                             " HTTP/1.1\r\nHost: ", AsAbsl(host), "\r\n\r\n"));
    return client.Read();
  };
  for (const char* host : {"127.0.0.1:8081", "localhost", "[::1]:8081"}) {
    EXPECT_EQ(ask("/metrics", host).status, 200) << host;
  }
  const RawResponse response = ask("/metrics", "evil.example:8081");
  EXPECT_EQ(response.status, 421);
  EXPECT_THAT(response.body, HasSubstr("localhost"));
  EXPECT_EQ(ask("/healthz", "evil.example").status, 200);
}

TEST_F(AdminServerTest, RefusesWhatAFormOfAnotherPageCouldSend) {
  EXPECT_CALL(api_, ListDeliveries(_, _)).Times(0);
  for (const char* fields :
       {"", "Content-Type: text/plain\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: text/plain; application/json\r\n",
        "Content-Type: application/json\r\nContent-Type: text/plain\r\n"}) {
    EXPECT_EQ(Post(kListDeliveries, "{}", fields).status, 415) << fields;
  }
}

TEST_F(AdminServerTest, TellsWhatIsWrongWithACall) {
  const std::pair<absl::Status, int> kinds[] = {
      {absl::InvalidArgumentError("bad \"field\""), 400},
      {absl::PermissionDeniedError("lacks"), 403},
      {absl::NotFoundError("none"), 404},
      {absl::ResourceExhaustedError("much"), 429},
      {absl::UnavailableError("closed"), 503},
      {absl::InternalError("broken"), 500}};
  absl::Status failure;
  ON_CALL(api_, ListDeliveries(_, _))
      .WillByDefault(
          [&](const auto&,
              const auto&) -> absl::StatusOr<v1::ListDeliveriesResponse> {
            MutexLock lock(mu_);
            return failure;
          });
  for (const auto& [status, http] : kinds) {
    {
      MutexLock lock(mu_);
      failure = status;
    }
    const RawResponse response =
        Post(kListDeliveries, "{}",
             "Content-Type: application/json; charset=utf-8\r\n");
    EXPECT_EQ(response.status, http) << status;
    EXPECT_EQ(response.Header("Content-Type"), "application/problem+json");
    EXPECT_EQ(response.Header("Retry-After"), http == 503 ? "1" : "");
  }
  EXPECT_EQ(Post(kListDeliveries, R"({"<b>":1})", kJson).status, 400);
  EXPECT_EQ(Post(kListDeliveries, std::string(70'000, ' '), kJson).status, 413);
}

TEST_F(AdminServerTest, MethodsThatTakeLongAreBoundedAndKeepNoProbeWaiting) {
  constexpr int kMore = 8;
  absl::Notification go;
  ON_CALL(api_, CheckDelivery(_, _))
      .WillByDefault([&](const auto&, const auto&) {
        go.WaitForNotification();
        return v1::CheckDeliveryResponse();
      });
  const std::string call =
      PostRequest("/waggle.v1.DeliveryService/CheckDelivery", "{}", kJson);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < AdminServer::kMaxCalls + kMore; ++i) {
    clients.push_back(std::make_unique<RawClient>(Connect()));
    clients.back()->Send(call);
  }
  const auto answered = [](const auto& client) { return client->Readable(); };
  testing::WaitFor([&] {
    return std::count_if(clients.begin(), clients.end(), answered) == kMore;
  });
  EXPECT_EQ(Ask("GET", "/readyz").status, 200);
  EXPECT_EQ(Ask("GET", "/metrics").status, 200);
  const auto waiting = std::partition(clients.begin(), clients.end(), answered);
  EXPECT_EQ(waiting - clients.begin(), kMore);
  for (auto client = clients.begin(); client != waiting; ++client) {
    EXPECT_EQ((*client)->Read().status, 503);
  }
  go.Notify();
  for (auto client = waiting; client != clients.end(); ++client) {
    EXPECT_EQ((*client)->Read().status, 200);
  }
}

TEST_F(AdminServerTest, EndsWithCallsUnderWay) {
  // The call's too, which may outlive the test's body.
  const auto begun = std::make_shared<absl::Notification>();
  const auto go = std::make_shared<absl::Notification>();
  ON_CALL(api_, CheckDelivery(_, _))
      .WillByDefault([begun, go](const auto&, const auto&) {
        begun->Notify();
        go->WaitForNotification();
        return v1::CheckDeliveryResponse();
      });
  RawClient client = Connect();
  client.Send(
      PostRequest("/waggle.v1.DeliveryService/CheckDelivery", "{}", kJson));
  begun->WaitForNotification();
  server_.Stop();
  go->Notify();
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(AdminServerTest, ServesThePageAndNothingFromElsewhere) {
  const RawResponse page = Ask("GET", "/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.Header("Content-Type"), "text/html; charset=utf-8");
  const std::string policy = page.Header("Content-Security-Policy");
  for (const char* rule :
       {"default-src 'none'", "script-src 'self'", "base-uri 'none'",
        "form-action 'none'", "frame-ancestors 'none'",
        "require-trusted-types-for 'script'"}) {
    EXPECT_THAT(policy, HasSubstr(rule));
  }
  EXPECT_THAT(policy, ::testing::Not(HasSubstr("unsafe")));
  EXPECT_EQ(page.Header("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(page.Header("Referrer-Policy"), "no-referrer");
  EXPECT_EQ(page.Header("Cache-Control"), "no-cache");
  for (const AdminServer::Page& file : AdminServer::pages()) {
    if (file.content.empty()) continue;
    EXPECT_EQ(Ask("GET", file.path).body, file.content) << file.path;
  }
}

TEST_F(AdminServerTest, ServesOverTls) {
  const testing::TestTls tls;
  const auto context = tls.server();
  AdminServer server({.readiness = [] { return absl::OkStatus(); },
                      .authenticate = [](auto) { return Caller(); },
                      .open = true,
                      .tls_context = [context] { return context; }},
                     metrics_, api_);
  ASSERT_TRUE(server.Listen("127.0.0.1", 0).ok());
  RawClient client(server.port(), {.tls = tls.client()});
  client.Send("GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(client.Read().status, 200);
}

TEST_F(AdminServerTest, RefusesOtherPathsAndMethods) {
  EXPECT_EQ(Ask("GET", "/page").status, 404);
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
