// Who is let in, what they see, and what happens when that changes.
#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "api/gate.h"
#include "base/sha256.h"
#include "event/wire.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/grpc_call.h"
#include "tests/fakes/jwt_issuer.h"
#include "tests/fakes/test_deliveries.h"
#include "tests/fakes/wait_for.h"
#include "tests/rpc/rpc_fixture.h"

namespace waggle::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using waggle::testing::JwkSet;
using waggle::testing::JwtSigner;
using waggle::testing::WaitFor;

constexpr char kIssuer[] = "https://issuer.example";

std::string DigestOf(const std::string& token) {
  const Sha256Digest digest = Sha256({token});
  return absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(digest.data()), digest.size()));
}

std::string Principal(const std::string& token, const std::string& rights) {
  return absl::StrCat("principals { name: '", token, "' token_sha256: '",
                      DigestOf(token), "' ", rights, " }");
}

constexpr char kAll[] =
    "allow {} capabilities: 'personal_data' capabilities: 'raw_payload'";

class AccessTest : public RpcTest {
 protected:
  AccessTest() : signer_(JwtSigner::Es256("key-1")) {
    clock.Set(absl::Now());
    access = std::make_unique<AccessControl>(
        JwtOptions{kIssuer, "waggle", absl::Seconds(30)}, clock);
    EXPECT_TRUE(access->SetJwks(JwkSet({signer_.Jwk()})).ok());
  }

  void SetPolicy(const std::string& text) {
    const absl::Status status =
        access->SetPolicy(FromText<config::v1::Access>(text));
    ASSERT_TRUE(status.ok()) << status;
  }

  std::string Jwt(absl::Duration expires_in,
                  const std::string& subject = "worker") const {
    return signer_.Sign(absl::StrCat(
        R"({"iss":")", kIssuer, R"(","aud":"waggle","sub":")", subject,
        R"(","exp":)", absl::ToUnixSeconds(clock.Now() + expires_in), "}"));
  }

  // Three events: of tenant_0, tenant_1 and tenant_2, by bob@example.com.
  void AppendTenants() {
    for (int i = 0; i < 3; ++i) {
      v1::Event event;
      event.set_type(v1::EVENT_TYPE_EMPLOYEES_CHANGED);
      event.set_type_name("employee_data_changed");
      event.mutable_connector()->set_origin_id(absl::StrCat("tenant_", i));
      event.mutable_connector()->set_end_user_name("Bob");
      event.mutable_connector()->set_end_user_email("bob@example.com");
      Append(store, NumberedEvent(i + 1, event));
    }
  }

  grpc::Status ListAs(const std::string& token,
                      const v1::ListEventsRequest& request,
                      v1::ListEventsResponse* response = nullptr) {
    v1::ListEventsResponse ignored;
    grpc::ClientContext context;
    context.set_deadline(CallDeadline());
    if (!token.empty()) {
      context.AddMetadata("authorization", "Bearer " + token);
    }
    return stub->ListEvents(&context, request,
                            response == nullptr ? &ignored : response);
  }

  std::unique_ptr<TestStream> SubscribeAs(const std::string& token,
                                          const v1::SubscribeRequest& request) {
    return std::make_unique<TestStream>(*stub, request, "Bearer " + token);
  }

  JwtSigner signer_;
};

// --- Every door, for everybody. ---

struct Outcome {
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string reason = "";

  friend bool operator==(const Outcome&, const Outcome&) = default;
  friend void PrintTo(const Outcome& outcome, std::ostream* out) {
    *out << outcome.code << " " << outcome.reason;
  }
};

const Outcome kMissing{grpc::StatusCode::UNAUTHENTICATED,
                       "CREDENTIALS_MISSING"};
const Outcome kInvalid{grpc::StatusCode::UNAUTHENTICATED,
                       "CREDENTIALS_INVALID"};
const Outcome kUnknown{grpc::StatusCode::PERMISSION_DENIED,
                       "PRINCIPAL_UNKNOWN"};
const Outcome kNoRight{grpc::StatusCode::PERMISSION_DENIED, "RIGHT_MISSING"};

// What comes of a method for those who may call it.
struct Method {
  std::string request;
  Outcome allowed;
  // Health says whether the gateway serves, and that to everybody.
  bool open = false;
  // The call is ended after so many messages: it does not end by itself.
  size_t max_messages = SIZE_MAX;
  // It gives events, and takes the right to read them; otherwise a capability.
  bool gives_events = true;
};

const Outcome kEndedByUs{grpc::StatusCode::CANCELLED, ""};

std::map<std::string, Method> Surface() {
  // stop_when_caught_up, so that it ends.
  const std::string bounded = "\x28\x01";
  return {
      {"/waggle.v1.EventService/Subscribe", {bounded, {}}},
      {"/waggle.v1.EventService/ListEvents", {"", {}}},
      // Past the gate an empty id is no id.
      {"/waggle.v1.EventService/GetEvent",
       {"", {grpc::StatusCode::INVALID_ARGUMENT, "INVALID_ARGUMENT"}}},
      {"/waggle.v1.DeliveryService/ListDeliveries",
       {"", {}, false, SIZE_MAX, false}},
      {"/waggle.v1.DeliveryService/GetDelivery",
       {"",
        {grpc::StatusCode::INVALID_ARGUMENT, "INVALID_ARGUMENT"},
        false,
        SIZE_MAX,
        false}},
      {"/waggle.v1.DeliveryService/WatchDeliveries",
       {"", kEndedByUs, false, 1, false}},
      {"/waggle.v1.DeliveryService/CheckDelivery",
       {"",
        {grpc::StatusCode::INVALID_ARGUMENT, "INVALID_ARGUMENT"},
        false,
        SIZE_MAX,
        false}},
      {"/waggle.v1.GatewayService/GetGateway",
       {"", {}, false, SIZE_MAX, false}},
      {"/waggle.v1.GatewayService/ListSubscribers",
       {"", {}, false, SIZE_MAX, false}},
      {"/grpc.health.v1.Health/Check", {"", {}, true}},
      {"/grpc.health.v1.Health/Watch", {"", kEndedByUs, true, 1}},
  };
}

class SurfaceTest : public AccessTest {
 protected:
  SurfaceTest() {
    SetPolicy(absl::StrCat(
        Principal("full", absl::StrCat(kAll, " capabilities: 'deliveries'")),
        Principal("ops", "capabilities: 'admin'"), Principal("plain", kAll),
        "principals { name: 'jwt' jwt_subjects: 'worker' "
        "allow {} capabilities: 'deliveries' }"));
    GrpcOptions options;
    options.reflection = false;
    Start(options);
  }

  Outcome Call(const std::string& method, const std::string& request,
               const std::vector<std::string>& authorizations,
               size_t max_messages = SIZE_MAX) {
    const grpc::Status status =
        RawCall(method, request, authorizations, max_messages).status;
    // Which the client gives itself, without details.
    if (status.error_code() == grpc::StatusCode::CANCELLED) return kEndedByUs;
    const RichStatus rich(status);
    return {rich.code, rich.reason()};
  }
};

// A new method is called by nobody until it has a rule, and fails this test
// until it has its line in Surface().
TEST_F(SurfaceTest, NoMethodIsOpenToWhoeverMayNotCallIt) {
  const std::map<std::string, Method> surface = Surface();
  for (const char* service_name : {v1::EventService::service_full_name(),
                                   v1::DeliveryService::service_full_name(),
                                   v1::GatewayService::service_full_name()}) {
    const auto* service =
        google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
            service_name);
    ASSERT_NE(service, nullptr) << service_name;
    for (int i = 0; i < service->method_count(); ++i) {
      const std::string name = absl::StrCat("/", service->full_name(), "/",
                                            service->method(i)->name());
      EXPECT_TRUE(surface.contains(name)) << name;
    }
  }
  const std::string expired = "Bearer " + Jwt(-absl::Minutes(5));
  const std::string stranger = "Bearer " + Jwt(absl::Minutes(5), "stranger");
  const std::vector<std::pair<std::vector<std::string>, Outcome>> callers = {
      {{}, kMissing},
      {{"Bearer wrong"}, kInvalid},
      {{"Bearer full", "Bearer full"}, kInvalid},
      {{"Basic ZnVsbDpmdWxs"}, kInvalid},
      {{"full"}, kInvalid},
      {{""}, kInvalid},
      {{expired}, kInvalid},
      {{stranger}, kUnknown},
  };
  for (const auto& [name, method] : surface) {
    for (const auto& [authorizations, outcome] : callers) {
      EXPECT_EQ(Call(name, method.request, authorizations, method.max_messages),
                method.open ? method.allowed : outcome)
          << name << " " << (authorizations.empty() ? "" : authorizations[0]);
    }
    EXPECT_EQ(Call(name, method.request, {"Bearer full"}, method.max_messages),
              method.allowed)
        << name;
    EXPECT_EQ(Call(name, method.request, {"Bearer " + Jwt(absl::Minutes(5))},
                   method.max_messages),
              method.allowed)
        << name;
  }
  // A token that was good a moment ago.
  SetPolicy(Principal("ops", "allow {}"));
  for (const auto& [name, method] : surface) {
    EXPECT_EQ(Call(name, method.request, {"Bearer full"}, method.max_messages),
              method.open ? method.allowed : kInvalid)
        << name;
  }
}

// The services that there are, as the server itself lists them.
TEST_F(AccessTest, EveryServiceIsOneThatTheSurfaceKnows) {
  Start();
  // ServerReflectionRequest { list_services: "*" }
  const RawAnswer answer =
      RawCall("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
              "\x3a\x01*");
  ASSERT_EQ(answer.messages.size(), 1u);
  std::vector<std::string> services;
  // ServerReflectionResponse { list_services_response: 6 { service: 1 {
  // name: 1 } } }
  const auto take_name = [&](const wire::Field& field) {
    if (field.number == 1) services.emplace_back(field.bytes);
    return true;
  };
  const auto take_service = [&](const wire::Field& field) {
    return field.number != 1 || wire::VisitFields(field.bytes, take_name);
  };
  ASSERT_TRUE(
      wire::VisitFields(answer.messages[0], [&](const wire::Field& field) {
        return field.number != 6 ||
               wire::VisitFields(field.bytes, take_service);
      }));
  EXPECT_THAT(services,
              ::testing::UnorderedElementsAre(
                  "waggle.v1.EventService", "waggle.v1.DeliveryService",
                  "waggle.v1.GatewayService", "grpc.health.v1.Health",
                  "grpc.reflection.v1alpha.ServerReflection"));
}

TEST_F(AccessTest, AMethodWithoutARuleIsForNobody) {
  access = AccessControl::Open(clock);
  CallCounts counts((GateLimits()));
  Gate gate(*access, counts, metrics);
  Admission admission;
  const RichStatus status(
      ToGrpc(gate.Admit({}, "/waggle.v1.EventService/New", admission)));
  EXPECT_EQ(status.code, grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(status.reason(), "METHOD_NOT_ALLOWED");
}

TEST_F(SurfaceTest, WithoutTheRightToReadEventsNoneIsGiven) {
  v1::GetEventRequest get;
  get.set_id(EventId(1));
  for (const auto& [name, method] : Surface()) {
    if (method.open || !method.gives_events) continue;
    const std::string request = name == "/waggle.v1.EventService/GetEvent"
                                    ? get.SerializeAsString()
                                    : method.request;
    EXPECT_EQ(Call(name, request, {"Bearer ops"}), kNoRight) << name;
  }
}

TEST_F(SurfaceTest, WhatOperatorsAskTakesACapability) {
  for (const auto& [name, method] : Surface()) {
    if (method.open || method.gives_events) continue;
    EXPECT_EQ(Call(name, method.request, {"Bearer plain"}), kNoRight) << name;
    EXPECT_EQ(Call(name, method.request, {"Bearer ops"}, method.max_messages),
              method.allowed)
        << name << ": admin implies it";
  }
}

TEST_F(SurfaceTest, WhatThereIsNotIsUnimplemented) {
  for (const char* name :
       {"/waggle.v1.EventService/Other", "/waggle.v1.Other/Subscribe",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}) {
    EXPECT_EQ(RawCall(name, "", {"Bearer full"}).status.error_code(),
              grpc::StatusCode::UNIMPLEMENTED)
        << name;
  }
}

TEST_F(AccessTest, RefusalsAreCounted) {
  SetPolicy(Principal("full", kAll));
  Start();
  ListAs("", {});
  ListAs("wrong", {});
  ListAs("wrong", {});
  const std::string text = metrics.Serialize();
  EXPECT_THAT(
      text,
      HasSubstr("waggle_grpc_refused_total{reason=\"credentials_missing\"} 1"));
  EXPECT_THAT(
      text,
      HasSubstr("waggle_grpc_refused_total{reason=\"credentials_invalid\"} 2"));
}

// --- Rights. ---

TEST_F(AccessTest, RequestsWithoutFiltersGetWhatTheirCallerMaySee) {
  SetPolicy(Principal("narrow", "allow { origin_ids: 'tenant_1' }"));
  Start();
  AppendTenants();
  v1::ListEventsResponse page;
  ASSERT_TRUE(ListAs("narrow", {}, &page).ok());
  ASSERT_EQ(page.events_size(), 1);
  EXPECT_EQ(page.events(0).connector().origin_id(), "tenant_1");
  EXPECT_THAT(SubscribeAs("narrow", FromEarliest())->ReadSequences(1),
              ElementsAre(2));
}

TEST_F(AccessTest, AskingForMoreIsRefusedWithWhatIsMissing) {
  SetPolicy(Principal("narrow", "allow { origin_ids: 'tenant_1' }"));
  Start();
  const auto refusal = [this](const std::string& request) {
    return RichStatus(
        SubscribeAs("narrow", FromText<v1::SubscribeRequest>(request))
            ->Finish());
  };
  for (const char* request :
       {"filters { origin_ids: 'tenant_2' }",
        "filters { origin_ids: ['tenant_1', 'tenant_2'] }",
        "filters { origin_ids: 'tenant_1' } filters { endpoints: 'bindbee' }",
        "filters {}"}) {
    const RichStatus status = refusal(request);
    EXPECT_EQ(status.code, grpc::StatusCode::PERMISSION_DENIED) << request;
    EXPECT_EQ(status.reason(), "RIGHT_MISSING") << request;
    EXPECT_EQ(status.Metadata("right"), "origin_ids") << request;
    EXPECT_EQ(status.Metadata("principal"), "narrow") << request;
    EXPECT_THAT(status.Metadata("field"), HasSubstr("filters[")) << request;
  }
  EXPECT_EQ(refusal("include_payload: true").Metadata("right"), "raw_payload");
  // A filter that is wrong is wrong for everybody.
  EXPECT_EQ(refusal("filters { origin_ids: '' }").reason(), "INVALID_ARGUMENT");
}

TEST_F(AccessTest, WithoutPersonalDataNobodyIsNamed) {
  SetPolicy(
      absl::StrCat(Principal("plain", "allow {}"), Principal("full", kAll)));
  Start();
  AppendTenants();
  v1::ListEventsResponse page;
  ASSERT_TRUE(ListAs("full", {}, &page).ok());
  ASSERT_EQ(page.events_size(), 3);
  EXPECT_EQ(page.events(0).connector().end_user_email(), "bob@example.com");
  const std::string id = page.events(0).id();
  page.Clear();
  ASSERT_TRUE(ListAs("plain", {}, &page).ok());
  ASSERT_EQ(page.events_size(), 3);
  EXPECT_EQ(page.SerializeAsString().find("bob"), std::string::npos);
  EXPECT_FALSE(page.events(0).connector().has_end_user_name());
  EXPECT_EQ(page.events(0).connector().origin_id(), "tenant_0");

  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer plain");
  v1::GetEventRequest get;
  v1::GetEventResponse got;
  get.set_id(id);
  ASSERT_TRUE(stub->GetEvent(&context, get, &got).ok());
  EXPECT_FALSE(got.event().connector().has_end_user_email());

  auto stream = SubscribeAs("plain", FromEarliest());
  v1::SubscribeResponse response;
  do {
    ASSERT_TRUE(stream->Read(response));
  } while (response.events().empty());
  EXPECT_EQ(response.SerializeAsString().find("bob"), std::string::npos);
}

TEST_F(AccessTest, AnEventOutsideTheRightsIsRefusedByWhatExcludesIt) {
  SetPolicy(absl::StrCat(Principal("full", kAll),
                         Principal("narrow",
                                   "allow { origin_ids: 'tenant_1' "
                                   "event_types: 'employee_data_changed' }")));
  Start();
  AppendTenants();
  v1::ListEventsResponse page;
  ASSERT_TRUE(ListAs("full", {}, &page).ok());
  for (const v1::Event& event : page.events()) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer narrow");
    v1::GetEventRequest get;
    v1::GetEventResponse got;
    get.set_id(event.id());
    const RichStatus status(stub->GetEvent(&context, get, &got));
    if (event.connector().origin_id() == "tenant_1") {
      EXPECT_EQ(status.code, grpc::StatusCode::OK);
    } else {
      EXPECT_EQ(status.reason(), "RIGHT_MISSING");
      EXPECT_EQ(status.Metadata("right"), "origin_ids");
    }
  }
}

TEST_F(AccessTest, PagesGoOnWhenRightsChangeBetweenThem) {
  SetPolicy(Principal("narrow", "allow {}"));
  Start();
  AppendTenants();
  v1::ListEventsRequest request;
  request.set_page_size(1);
  v1::ListEventsResponse page;
  ASSERT_TRUE(ListAs("narrow", request, &page).ok());
  SetPolicy(Principal("narrow", "allow { origin_ids: 'tenant_2' }"));
  request.set_page_token(page.next_page_token());
  page.Clear();
  ASSERT_TRUE(ListAs("narrow", request, &page).ok());
  ASSERT_EQ(page.events_size(), 1);
  EXPECT_EQ(page.events(0).connector().origin_id(), "tenant_2");
}

// --- Rights that change. ---

class ChangingRightsTest : public AccessTest {
 protected:
  // A stream that is open.
  std::unique_ptr<TestStream> Open(const std::string& token,
                                   const std::string& request = "") {
    auto stream = SubscribeAs(token, FromText<v1::SubscribeRequest>(request));
    v1::SubscribeResponse response;
    EXPECT_TRUE(stream->Read(response));
    return stream;
  }
};

TEST_F(ChangingRightsTest, WhoIsNobodyAnyMoreIsCutOff) {
  SetPolicy(absl::StrCat(Principal("a", kAll), Principal("b", kAll)));
  Start();
  auto a = Open("a");
  auto b = Open("b");
  SetPolicy(Principal("b", kAll));
  const RichStatus status(a->Finish());
  EXPECT_EQ(status.code, grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(status.reason(), "CREDENTIALS_INVALID");
  AppendNumbered(store, 1, 1);
  EXPECT_THAT(b->ReadSequences(1), ElementsAre(1));
}

TEST_F(ChangingRightsTest, WhatIsNoLongerAllowedEnds) {
  SetPolicy(Principal("a", kAll));
  Start();
  auto filtered = Open("a", "filters { origin_ids: 'tenant_1' }");
  auto raw = Open("a", "include_payload: true");
  SetPolicy(Principal("a", "allow { origin_ids: 'tenant_2' }"));
  EXPECT_EQ(RichStatus(filtered->Finish()).Metadata("right"), "origin_ids");
  EXPECT_EQ(RichStatus(raw->Finish()).Metadata("right"), "raw_payload");
}

TEST_F(ChangingRightsTest, WhoAsksForWhatTheyMaySeeComesBackForWhatIsLeft) {
  SetPolicy(Principal("a", kAll));
  Start();
  auto everything = Open("a");
  SetPolicy(Principal("a", "allow { origin_ids: 'tenant_1' }"));
  RichStatus status(everything->Finish());
  EXPECT_EQ(status.code, grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.reason(), "STREAM_ROTATED");
  // Personal data alone.
  SetPolicy(Principal("a", "allow {} capabilities: 'personal_data'"));
  auto named = Open("a", "filters { origin_ids: 'tenant_1' }");
  SetPolicy(Principal("a", "allow {}"));
  status = RichStatus(named->Finish());
  EXPECT_EQ(status.reason(), "STREAM_ROTATED");
}

TEST_F(ChangingRightsTest, WatchesOfDeliveriesEndWithTheirRight) {
  SetPolicy(absl::StrCat(Principal("a", "capabilities: 'deliveries'"),
                         Principal("b", "capabilities: 'deliveries'"),
                         Principal("c", "capabilities: 'deliveries'")));
  Start();
  TestWatch a(*delivery_stub, "", "Bearer a");
  TestWatch b(*delivery_stub, "", "Bearer b");
  TestWatch c(*delivery_stub, "", "Bearer c");
  v1::WatchDeliveriesResponse response;
  for (TestWatch* watch : {&a, &b, &c}) ASSERT_TRUE(watch->Read(response));
  SetPolicy(absl::StrCat(Principal("a", "allow {}"),
                         Principal("c", "capabilities: 'admin'")));
  const RichStatus status(a.Finish());
  EXPECT_EQ(status.reason(), "RIGHT_MISSING");
  EXPECT_EQ(status.Metadata("right"), "deliveries");
  EXPECT_EQ(RichStatus(b.Finish()).reason(), "CREDENTIALS_INVALID");
  Append(store, DeliveredEvent(1, clock.Now()));
  EXPECT_THAT(c.ReadIdsThrough(1), ElementsAre(1));
}

TEST_F(ChangingRightsTest, RightsThatGrowLeaveStreamsAlone) {
  SetPolicy(Principal("a", "allow { origin_ids: 'tenant_1' }"));
  Start();
  auto stream = Open("a");
  auto gone = Open("a");
  SetPolicy(absl::StrCat(
      Principal("a", "allow { origin_ids: ['tenant_1', 'tenant_2'] }"),
      Principal("b", kAll)));
  // Proves that streams have been looked at.
  auto b = Open("b");
  SetPolicy(Principal("a", "allow { origin_ids: ['tenant_1', 'tenant_2'] }"));
  EXPECT_EQ(RichStatus(b->Finish()).code, grpc::StatusCode::UNAUTHENTICATED);
  AppendTenants();
  EXPECT_THAT(stream->ReadSequences(1), ElementsAre(2));
}

TEST_F(ChangingRightsTest, AClientThatDoesNotReadIsCutToo) {
  SetPolicy(absl::StrCat(Principal("a", kAll), Principal("b", kAll)));
  Start();
  auto stream = Open("a");
  v1::Event large;
  large.set_type_name(std::string(64 << 10, 'x'));
  for (int i = 0; i < 400; ++i) Append(store, NumberedEvent(i + 1, large));
  SetPolicy(Principal("b", kAll));
  // The stream is gone on the server's side though nobody reads.
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (metrics.Serialize().find("waggle_subscribers 0\n") ==
         std::string::npos) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::yield();
  }
}

TEST_F(ChangingRightsTest, AStreamLastsNoLongerThanTheTokenThatOpenedIt) {
  SetPolicy("principals { name: 'jwt' jwt_subjects: 'worker' allow {} }");
  Start();
  // Within the clock's skew it is still taken, for so long.
  auto stream = Open(Jwt(-absl::Seconds(28)));
  const RichStatus status(stream->Finish());
  EXPECT_EQ(status.reason(), "STREAM_ROTATED");
}

// --- Quotas. ---

// What was being written when its client went away is part of its lag.
TEST_F(AccessTest, WhatTheTransportDidNotTakeIsLagOfItsPrincipal) {
  SetPolicy(Principal("alice", kAll));
  Start();
  AppendNumbered(store, 1, 100, /*payload_size=*/100'000);
  {
    v1::SubscribeRequest flood = FromEarliest();
    flood.set_include_payload(true);
    TestStream stuck(*stub, flood, "Bearer alice");
    v1::SubscribeResponse first;
    ASSERT_TRUE(stuck.Read(first));
  }
  WaitFor([&] { return subscribers->open() == 0; });
  subscribers->UpdateMetrics();
  EXPECT_THAT(metrics.Serialize(),
              HasSubstr("waggle_client_lag_events{principal=\"alice\"} 100\n"));
}

TEST_F(AccessTest, StreamsArePerPrincipalAndAddress) {
  SetPolicy(absl::StrCat(Principal("a", kAll), Principal("b", kAll)));
  GrpcOptions options;
  options.streams = {
      .all = 100, .per_principal = 2, .per_address = 3, .per_connection = 100};
  Start(options);
  std::vector<std::unique_ptr<TestStream>> streams;
  for (const char* token : {"a", "a", "b"}) {
    streams.push_back(SubscribeAs(token, {}));
    v1::SubscribeResponse response;
    ASSERT_TRUE(streams.back()->Read(response)) << token;
  }
  for (const auto& [token, subject] :
       {std::pair{"a", "streams of one principal"},
        std::pair{"b", "streams of one address"}}) {
    const RichStatus status(SubscribeAs(token, {})->Finish());
    EXPECT_EQ(status.reason(), "TOO_MANY_STREAMS");
    ASSERT_TRUE(status.quota.has_value());
    EXPECT_EQ(status.quota->violations(0).subject(), subject);
  }
  EXPECT_THAT(
      metrics.Serialize(),
      HasSubstr("waggle_grpc_refused_total{reason=\"too_many_streams\"} 2"));
}

TEST_F(AccessTest, CallsASecondArePerPrincipalAndAddress) {
  SetPolicy(absl::StrCat(Principal("a", kAll), Principal("b", kAll)));
  GrpcOptions options;
  options.requests = {.requests_per_second_per_principal = 3,
                      .requests_per_second_per_address = 50};
  Start(options);
  const auto refused = [this](const std::string& token) {
    for (int i = 0; i < 1000; ++i) {
      const RichStatus status(ListAs(token, {}));
      if (status.reason() != "TOO_MANY_REQUESTS") continue;
      EXPECT_EQ(status.code, grpc::StatusCode::RESOURCE_EXHAUSTED);
      EXPECT_GT(status.RetryDelay(), 0);
      return status.quota->violations(0).subject();
    }
    return std::string();
  };
  EXPECT_EQ(refused("a"), "principal");
  EXPECT_TRUE(ListAs("b", {}).ok());
  // Nobody guesses faster than that.
  EXPECT_EQ(refused("wrong"), "address");
}

TEST(PeerAddressTest, IsTheAddressWithoutItsPort) {
  EXPECT_EQ(PeerAddress("ipv4:192.0.2.1:5000"), "192.0.2.1");
  EXPECT_EQ(PeerAddress("ipv6:%5B2001:db8::1%5D:5000"), "2001:db8::1");
  EXPECT_EQ(PeerAddress("ipv6:[::1]:5000"), "::1");
  EXPECT_EQ(PeerAddress("ipv6:%5Bfe80::1%25eth0%5D:5000"), "fe80::1");
  EXPECT_EQ(PeerAddress("unix:/run/waggle"), "unix:/run/waggle");
  EXPECT_EQ(PeerAddress(""), "");
}

}  // namespace
}  // namespace waggle::rpc
