#include "ingest/receiver.h"

#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/fingerprint.h"
#include "bindbee/demo_key.h"
#include "bindbee/samples.h"
#include "bindbee/signature.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/time_util.h"
#include "gtest/gtest.h"
#include "store/memory/memory_event_store.h"
#include "tests/fakes/fake_clock.h"

namespace waggle {
namespace {

using ::google::protobuf::util::TimeUtil;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;

constexpr std::string_view kOldKey = "whsec_old";
constexpr char kTraceparent[] =
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

std::string_view Sample(std::string_view name) {
  return FindSample(name)->body;
}

// A change event: what it tells can honestly happen twice.
std::string_view Change() { return Sample("employee_changed"); }
// One that Bindbee sends once for its sync.
std::string_view Completed() { return Sample("sync_completed"); }

class ReceiverTest : public ::testing::Test {
 protected:
  ReceiverTest() { MakeReceiver({}); }

  // Three endpoints; the first has an old key beside the new one.
  void MakeReceiver(ReceiverOptions options) {
    std::vector<Endpoint> endpoints(3);
    endpoints[0].name = "production";
    endpoints[0].signing_keys.emplace_back(std::string(kDemoKey));
    endpoints[0].signing_keys.emplace_back(std::string(kOldKey));
    endpoints[1].name = "development";
    endpoints[1].signing_keys.emplace_back(std::string(kDemoKey));
    endpoints[2].name = "production-2";
    endpoints[2].signing_keys.emplace_back(std::string(kDemoKey));
    receiver_ = std::make_unique<Receiver>(std::move(endpoints), options,
                                           store_, clock_, metrics_);
  }

  void SetKeys(const std::vector<std::string_view>& keys) {
    std::vector<Secret> secrets;
    for (const std::string_view key : keys) {
      secrets.emplace_back(std::string(key));
    }
    receiver_->SetSigningKeys("production", std::move(secrets));
  }

  static std::string VerifiedBy(std::string_view key) {
    return "waggle_signatures_verified_total{endpoint=\"production\",key=\"" +
           Fingerprint(Secret(std::string(key))) + "\"}";
  }

  // What became of a webhook, and the delivery as the receiver told it.
  struct Outcome {
    absl::StatusOr<Appended> appended;
    v1::Delivery delivery;
  };
  // One that was stored, or a duplicate.
  struct Posted {
    Appended appended;
    v1::Delivery delivery;
  };

  static Outcome Deliver(Receiver& receiver, ReceivedWebhook webhook) {
    std::promise<Outcome> outcome;
    receiver.Receive(
        std::move(webhook),
        [&outcome](absl::StatusOr<Appended> appended, DeliveryPtr delivery) {
          outcome.set_value({std::move(appended), *delivery});
        });
    return outcome.get_future().get();
  }

  Outcome Deliver(std::string_view endpoint,
                  const std::vector<std::string_view>& signatures,
                  std::string_view body) {
    ReceivedWebhook webhook;
    webhook.signatures = signatures;
    webhook.body = std::string(body);
    webhook.delivery.set_endpoint(std::string(endpoint));
    webhook.delivery.set_traceparent(kTraceparent);
    return Deliver(*receiver_, std::move(webhook));
  }

  absl::StatusOr<Appended> Receive(
      std::string_view endpoint,
      const std::vector<std::string_view>& signatures, std::string_view body) {
    return Deliver(endpoint, signatures, body).appended;
  }

  // Posts the body with a valid signature; must be stored or a duplicate.
  Posted Post(std::string_view body, std::string_view endpoint = "production") {
    Outcome outcome = Deliver(endpoint, {Sign(kDemoKey, body)}, body);
    EXPECT_TRUE(outcome.appended.ok()) << outcome.appended.status();
    return {std::move(outcome.appended).value_or(Appended{}),
            std::move(outcome.delivery)};
  }

  // The stored event, parsed.
  v1::Event Stored(std::string_view id) {
    const auto stored = store_.ReadById(id, /*include_payload=*/true);
    EXPECT_TRUE(stored.ok()) << stored.status();
    v1::Event event;
    if (stored.ok()) {
      EXPECT_TRUE(event.ParseFromString((*stored)->event));
      event.set_payload((*stored)->payload);
    }
    return event;
  }

  uint64_t StoredCount() { return store_.Bounds().last.value(); }

  FakeClock clock_;
  MemoryEventStore store_{clock_};
  Metrics metrics_;
  std::unique_ptr<Receiver> receiver_;
};

TEST_F(ReceiverTest, StoresAnAuthenticWebhookAsATypedEvent) {
  clock_.Set(absl::FromUnixMicros(1'789'351'210'123'456));
  const Posted received = Post(Completed());
  EXPECT_FALSE(received.appended.duplicate);
  EXPECT_EQ(received.appended.sequence, Sequence(1));
  EXPECT_EQ(received.delivery.type_name(), "connector_synced");

  const v1::Event event = Stored(received.appended.id);
  EXPECT_EQ(event.id(), received.appended.id);
  EXPECT_EQ(event.sequence(), 1u);
  EXPECT_EQ(event.endpoint(), "production");
  EXPECT_EQ(TimeUtil::ToString(event.received_at()),
            "2026-09-14T02:00:10.123456Z");
  EXPECT_EQ(event.type(), v1::EVENT_TYPE_SYNC_COMPLETED);
  EXPECT_EQ(event.sync().number(), 13u);
  EXPECT_EQ(event.payload(), Completed());
}

TEST_F(ReceiverTest, StoresEverySampleWithItsBytes) {
  for (const waggle::Sample& sample : Samples()) {
    const Posted received = Post(sample.body);
    const v1::Event event = Stored(received.appended.id);
    EXPECT_EQ(event.type_name(), received.delivery.type_name());
    EXPECT_THAT(event.type_name(), Not(IsEmpty()));
    EXPECT_EQ(event.payload(), sample.body);
  }
  EXPECT_EQ(StoredCount(), Samples().size());
}

TEST_F(ReceiverTest, KeepsAuthenticBytesThatAreNoJson) {
  const Posted received = Post("not JSON");
  EXPECT_THAT(received.delivery.type_name(), IsEmpty());
  const v1::Event event = Stored(received.appended.id);
  EXPECT_THAT(event.unrecognized().problem(), HasSubstr("JSON"));
  EXPECT_EQ(event.payload(), "not JSON");
  EXPECT_TRUE(Post("not JSON").appended.duplicate);
  EXPECT_FALSE(Post("").appended.duplicate);
}

// --- What is refused. ---

struct Refused {
  const char* name;
  std::vector<std::string> signatures;
};

class UnauthenticatedTest : public ReceiverTest,
                            public ::testing::WithParamInterface<Refused> {};

TEST_P(UnauthenticatedTest, StoresNothingAndAnswersAlike) {
  const std::vector<std::string_view> signatures(GetParam().signatures.begin(),
                                                 GetParam().signatures.end());
  const absl::Status refused =
      Receive("production", signatures, Change()).status();
  const absl::Status reference = Receive("production", {}, "").status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(refused, reference);
  EXPECT_EQ(StoredCount(), 0u);
}

INSTANTIATE_TEST_SUITE_P(
    All, UnauthenticatedTest,
    ::testing::Values(
        Refused{"NoSignature", {}}, Refused{"EmptySignature", {""}},
        Refused{"Malformed", {"not base64!"}},
        Refused{"OfAnotherBody", {Sign(kDemoKey, Completed())}},
        Refused{"OfAnotherKey", {Sign("another", Change())}},
        Refused{"Several",
                {Sign(kDemoKey, Change()), Sign(kDemoKey, Change())}},
        Refused{"Unpadded", {Sign(kDemoKey, Change()).substr(0, 43)}}),
    [](const auto& info) { return info.param.name; });

TEST_F(ReceiverTest, KnowsItsEndpointsOnly) {
  for (const char* other : {"staging", "Production", ""}) {
    EXPECT_EQ(
        Receive(other, {Sign(kDemoKey, Change())}, Change()).status().code(),
        absl::StatusCode::kNotFound)
        << other;
  }
  EXPECT_EQ(StoredCount(), 0u);
}

TEST_F(ReceiverTest, EveryKeyOfTheEndpointVerifiesAndNoOther) {
  const std::string old_signature = Sign(kOldKey, Change());
  EXPECT_TRUE(Receive("production", {old_signature}, Change()).ok());
  EXPECT_EQ(Receive("development", {old_signature}, Change()).status().code(),
            absl::StatusCode::kUnauthenticated);
  // The same delivery, whoever signed it.
  EXPECT_TRUE(Post(Change()).appended.duplicate);
}

TEST_F(ReceiverTest, HandsOnWhatTheStoreRefuses) {
  store_.FailWith(absl::ResourceExhaustedError("full"));
  const absl::Status status =
      Receive("production", {Sign(kDemoKey, Change())}, Change()).status();
  EXPECT_EQ(status, absl::ResourceExhaustedError("full"));
  store_.FailWith(absl::OkStatus());
  EXPECT_FALSE(Post(Change()).appended.duplicate);
}

// --- Deduplication. ---

TEST_F(ReceiverTest, ARetryGetsTheFirstOnesIdAndSequence) {
  const Posted first = Post(Change());
  clock_.Advance(absl::Seconds(59));
  const Posted second = Post(Change());
  EXPECT_TRUE(second.appended.duplicate);
  EXPECT_EQ(second.appended.id, first.appended.id);
  EXPECT_EQ(second.appended.sequence, first.appended.sequence);
  EXPECT_EQ(second.delivery.type_name(), "employee_data_changed");
  EXPECT_EQ(StoredCount(), 1u);
}

TEST_F(ReceiverTest, TheSameChangeAfterTheWindowIsAnotherEvent) {
  const Posted first = Post(Change());
  clock_.Advance(absl::Minutes(10) + absl::Seconds(1));
  const Posted second = Post(Change());
  EXPECT_FALSE(second.appended.duplicate);
  EXPECT_NE(second.appended.id, first.appended.id);
  EXPECT_EQ(StoredCount(), 2u);
}

TEST_F(ReceiverTest, TheWindowIsConfigurable) {
  MakeReceiver({.identity = {.dedup_window = absl::Hours(2)}});
  Post(Change());
  clock_.Advance(absl::Hours(1));
  EXPECT_TRUE(Post(Change()).appended.duplicate);
}

class OncePerSyncTest : public ReceiverTest,
                        public ::testing::WithParamInterface<const char*> {};

TEST_P(OncePerSyncTest, IsADuplicateForAsLongAsItIsRetained) {
  const Posted first = Post(Sample(GetParam()));
  clock_.Advance(absl::Hours(24 * 365));
  const Posted replayed = Post(Sample(GetParam()));
  EXPECT_TRUE(replayed.appended.duplicate);
  EXPECT_EQ(replayed.appended.id, first.appended.id);
}

TEST_P(OncePerSyncTest, IsADuplicateWithinTheWindowOnlyIfSoConfigured) {
  MakeReceiver({.identity = {.dedup_syncs_while_retained = false}});
  Post(Sample(GetParam()));
  EXPECT_TRUE(Post(Sample(GetParam())).appended.duplicate);
  clock_.Advance(absl::Minutes(11));
  EXPECT_FALSE(Post(Sample(GetParam())).appended.duplicate);
}

INSTANTIATE_TEST_SUITE_P(All, OncePerSyncTest,
                         ::testing::Values("sync_started", "sync_completed",
                                           "sync_error"));

class RepeatableTest : public ReceiverTest,
                       public ::testing::WithParamInterface<const char*> {};

TEST_P(RepeatableTest, IsAnotherEventAfterTheWindow) {
  Post(Sample(GetParam()));
  EXPECT_TRUE(Post(Sample(GetParam())).appended.duplicate);
  clock_.Advance(absl::Minutes(11));
  EXPECT_FALSE(Post(Sample(GetParam())).appended.duplicate);
}

// The older shape tells of a sync without its id: nothing makes it unique.
INSTANTIATE_TEST_SUITE_P(All, RepeatableTest,
                         ::testing::Values("employee_changed", "data_modified",
                                           "unknown_event",
                                           "older_shape_synced"));

TEST_F(ReceiverTest, ASyncWithAnEndlessIdIsStoredAndDeduplicated) {
  const std::string body =
      R"({"webhook":{"event":"connector_synced"},"data":{},"sync":{"sync_id":")" +
      std::string(100'000, 'x') + R"("}})";
  EXPECT_FALSE(Post(body).appended.duplicate);
  clock_.Advance(absl::Hours(1));
  EXPECT_TRUE(Post(body).appended.duplicate);
}

TEST_F(ReceiverTest, OneBodyOnTwoEndpointsIsTwoEvents) {
  for (const std::string_view body : {Change(), Completed()}) {
    const Posted production = Post(body, "production");
    const Posted development = Post(body, "development");
    EXPECT_FALSE(development.appended.duplicate);
    EXPECT_NE(production.appended.id, development.appended.id);
    EXPECT_EQ(Stored(development.appended.id).endpoint(), "development");
  }
}

TEST_F(ReceiverTest, EndpointAndBodyDoNotRunTogether) {
  EXPECT_FALSE(Post("-2 body", "production").appended.duplicate);
  EXPECT_FALSE(Post(" body", "production-2").appended.duplicate);
}

TEST_F(ReceiverTest, OneByteMakesAnotherDelivery) {
  Post(Completed());
  EXPECT_FALSE(Post(std::string(Completed()) + "\n").appended.duplicate);
}

TEST_F(ReceiverTest, ArrivalsAtTheSameTimeOnManyThreadsAreDeduplicated) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([this] {
      for (const waggle::Sample& sample : Samples()) {
        const Posted received = Post(sample.body);
        EXPECT_EQ(Stored(received.appended.id).payload(), sample.body);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(StoredCount(), Samples().size());
}

// --- Ids. ---

TEST_F(ReceiverTest, IdsAreUuidsOfVersion7WithTheArrivalsMilliseconds) {
  clock_.Set(absl::FromUnixMillis(0x0123456789ab));
  for (const waggle::Sample& sample : Samples()) {
    EXPECT_THAT(Post(sample.body).appended.id,
                MatchesRegex("01234567-89ab-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-"
                             "[0-9a-f]{12}"));
  }
}

TEST_F(ReceiverTest, IdsFollowFromWhatArrivedAndWhen) {
  const std::string id = Post(Change()).appended.id;

  FakeClock same_time;
  MemoryEventStore other_store(same_time);
  Metrics other_metrics;
  std::vector<Endpoint> endpoints(1);
  endpoints[0].name = "production";
  endpoints[0].signing_keys.emplace_back(std::string(kOldKey));
  Receiver other({std::move(endpoints)}, {}, other_store, same_time,
                 other_metrics);
  const std::string signature = Sign(kOldKey, Change());
  const std::vector<std::string_view> signatures = {signature};
  ReceivedWebhook webhook;
  webhook.signatures = signatures;
  webhook.body = std::string(Change());
  webhook.delivery.set_endpoint("production");
  EXPECT_EQ(Deliver(other, std::move(webhook)).appended->id, id);
}

TEST_F(ReceiverTest, IdsOfOneMillisecondDiffer) {
  const std::string first = Post(Sample("sync_started")).appended.id;
  const std::string second = Post(Sample("sync_completed")).appended.id;
  EXPECT_EQ(first.substr(0, 13), second.substr(0, 13));
  EXPECT_NE(first, second);
}

// --- What is known of a delivery. ---

TEST_F(ReceiverTest, TellsOfADeliveryWhatItFoundOut) {
  clock_.Set(absl::FromUnixMicros(1'789'351'210'123'456));
  const v1::Delivery delivery = Post(Completed()).delivery;
  EXPECT_EQ(TimeUtil::ToString(delivery.received_at()),
            "2026-09-14T02:00:10.123456Z");
  EXPECT_EQ(delivery.endpoint(), "production");
  EXPECT_EQ(delivery.size_bytes(), Completed().size());
  EXPECT_EQ(delivery.key_fingerprint(),
            Fingerprint(Secret(std::string(kDemoKey))));
  EXPECT_EQ(delivery.type_name(), "connector_synced");
  EXPECT_EQ(delivery.connector_id(),
            Stored(Post(Completed()).appended.id).connector().id());
  EXPECT_THAT(delivery.connector_id(), Not(IsEmpty()));
  EXPECT_GT(TimeUtil::DurationToNanoseconds(delivery.verify_duration()), 0);
}

TEST_F(ReceiverTest, TellsOfWhatIsNotAuthenticOnlyThatItCame) {
  const v1::Delivery delivery =
      Deliver("production", {Sign("another", Change())}, Change()).delivery;
  EXPECT_TRUE(delivery.has_received_at());
  EXPECT_TRUE(delivery.has_verify_duration());
  EXPECT_EQ(delivery.size_bytes(), Change().size());
  EXPECT_EQ(delivery.traceparent(), kTraceparent);
  EXPECT_THAT(delivery.key_fingerprint(), IsEmpty());
  EXPECT_THAT(delivery.type_name(), IsEmpty());
  EXPECT_THAT(delivery.connector_id(), IsEmpty());
}

TEST_F(ReceiverTest, TheStoreRecordsTheDeliveryWithItsEvent) {
  const Posted first = Post(Change());
  const Posted again = Post(Change());
  const auto deliveries = store_.DeliveriesOf(first.appended.sequence, 10);
  ASSERT_TRUE(deliveries.ok()) << deliveries.status();
  ASSERT_EQ(deliveries->size(), 2u);
  EXPECT_EQ((*deliveries)[0].outcome(), v1::DELIVERY_OUTCOME_ACCEPTED);
  EXPECT_EQ((*deliveries)[1].outcome(), v1::DELIVERY_OUTCOME_DUPLICATE);
  for (const v1::Delivery& delivery : *deliveries) {
    EXPECT_EQ(delivery.http_status(), 200u);
    EXPECT_EQ(delivery.event_id(), first.appended.id);
    EXPECT_EQ(delivery.key_fingerprint(), first.delivery.key_fingerprint());
    EXPECT_EQ(delivery.type_name(), "employee_data_changed");
    EXPECT_EQ(delivery.traceparent(), kTraceparent);
  }
}

TEST_F(ReceiverTest, RecordsNoDeliveriesIfSoTold) {
  MakeReceiver({.record_deliveries = false});
  const Posted posted = Post(Change());
  const auto deliveries = store_.DeliveriesOf(posted.appended.sequence, 10);
  ASSERT_TRUE(deliveries.ok()) << deliveries.status();
  EXPECT_THAT(*deliveries, IsEmpty());
}

TEST_F(ReceiverTest, WhatABodyNamesItselfIsRecordedUpTo128Bytes) {
  // The last character that fits only in part.
  const std::string name = std::string(127, 'x') + "\u00e9\u00e9";
  const std::string body = R"({"webhook":{"event":")" + name +
                           R"("},"connector":{"connector_id":")" + name +
                           R"("}})";
  const Posted posted = Post(body);
  EXPECT_EQ(posted.delivery.type_name(), std::string(127, 'x'));
  EXPECT_EQ(Stored(posted.appended.id).type_name(), name);
}

TEST_F(ReceiverTest, TheEventKeepsItsFirstDeliverysTrace) {
  EXPECT_EQ(Stored(Post(Change()).appended.id).traceparent(), kTraceparent);
}

// --- How endpoints are doing. ---

TEST_F(ReceiverTest, ShowsItsEndpointsInTheOrderOfTheConfiguration) {
  const std::vector<EndpointSnapshot> endpoints = receiver_->Endpoints();
  ASSERT_EQ(endpoints.size(), 3u);
  EXPECT_EQ(endpoints[0].name, "production");
  EXPECT_EQ(endpoints[1].name, "development");
  EXPECT_EQ(endpoints[2].name, "production-2");
  ASSERT_EQ(endpoints[0].keys.size(), 2u);
  EXPECT_EQ(endpoints[0].keys[0].fingerprint,
            Fingerprint(Secret(std::string(kDemoKey))));
  EXPECT_EQ(endpoints[0].keys[1].fingerprint,
            Fingerprint(Secret(std::string(kOldKey))));
  for (const EndpointSnapshot& endpoint : endpoints) {
    EXPECT_EQ(endpoint.last_request_at, absl::InfinitePast());
    EXPECT_EQ(endpoint.last_accepted_at, absl::InfinitePast());
    EXPECT_FALSE(endpoint.verification_failing);
    for (const SigningKeySnapshot& key : endpoint.keys) {
      EXPECT_EQ(key.verified, 0u);
      EXPECT_EQ(key.last_verified_at, absl::InfinitePast());
    }
  }
}

TEST_F(ReceiverTest, ShowsWhenRequestsCameAndWereAccepted) {
  const absl::Time first = clock_.Now();
  Post(Change());
  clock_.Advance(absl::Seconds(1));
  const absl::Time second = clock_.Now();
  Post(Change());  // a duplicate
  clock_.Advance(absl::Seconds(1));
  const absl::Time third = clock_.Now();
  EXPECT_FALSE(Receive("production", {}, Change()).ok());
  EndpointSnapshot endpoint = receiver_->Endpoints()[0];
  EXPECT_EQ(endpoint.last_request_at, third);
  EXPECT_EQ(endpoint.last_accepted_at, second);
  EXPECT_EQ(endpoint.keys[0].verified, 2u);
  EXPECT_EQ(endpoint.keys[0].last_verified_at, second);
  EXPECT_EQ(endpoint.keys[1].verified, 0u);
  EXPECT_GT(second, first);

  clock_.Advance(absl::Seconds(1));
  receiver_->NoteRefused("production");
  receiver_->NoteRefused("none of them");
  EXPECT_EQ(receiver_->Endpoints()[0].last_request_at, clock_.Now());
  EXPECT_EQ(receiver_->Endpoints()[1].last_request_at, absl::InfinitePast());
}

TEST_F(ReceiverTest, WhatTheStoreRefusesIsNotAccepted) {
  store_.FailWith(absl::UnavailableError("busy"));
  EXPECT_FALSE(
      Receive("production", {Sign(kDemoKey, Change())}, Change()).ok());
  const EndpointSnapshot endpoint = receiver_->Endpoints()[0];
  EXPECT_EQ(endpoint.last_request_at, clock_.Now());
  EXPECT_EQ(endpoint.last_accepted_at, absl::InfinitePast());
  EXPECT_EQ(endpoint.keys[0].verified, 1u);
}

TEST_F(ReceiverTest, AKeyThatStandsInTwoFilesIsToldOnce) {
  SetKeys({kDemoKey, kDemoKey});
  Post(Change());
  const EndpointSnapshot endpoint = receiver_->Endpoints()[0];
  ASSERT_EQ(endpoint.keys.size(), 1u);
  EXPECT_EQ(endpoint.keys[0].verified, 1u);
}

TEST_F(ReceiverTest, AKeyThatComesBackGoesOnWhereItWas) {
  Post(Change());
  const absl::Time verified_at = clock_.Now();
  SetKeys({kOldKey});
  ASSERT_EQ(receiver_->Endpoints()[0].keys.size(), 1u);
  EXPECT_EQ(receiver_->Endpoints()[0].keys[0].verified, 0u);
  clock_.Advance(absl::Hours(1));
  SetKeys({kOldKey, kDemoKey});
  const EndpointSnapshot endpoint = receiver_->Endpoints()[0];
  EXPECT_EQ(endpoint.keys[1].verified, 1u);
  EXPECT_EQ(endpoint.keys[1].last_verified_at, verified_at);
}

// --- Metrics. ---

TEST_F(ReceiverTest, CountsWhatIsStoredByType) {
  Post(Change());
  Post(Change());  // a duplicate
  Post(Sample("older_shape_hook_key"));
  Post(Sample("unknown_event"));
  Post("not JSON");
  ASSERT_FALSE(Receive("production", {}, Completed()).ok());
  const std::string text = metrics_.Serialize();
  const std::string family = "waggle_events_appended_total";
  EXPECT_THAT(text, HasSubstr(family + "{type=\"employee_data_changed\"} 2\n"));
  EXPECT_THAT(text, HasSubstr(family + "{type=\"unrecognized\"} 2\n"));
  EXPECT_THAT(text, HasSubstr(family + "{type=\"connector_synced\"} 0\n"));
}

TEST_F(ReceiverTest, TellsWhenTheLastWebhookWasAccepted) {
  const std::string series =
      "waggle_endpoint_last_accepted_timestamp_seconds{endpoint=";
  clock_.Set(absl::FromUnixSeconds(1000));
  Post(Change());
  const std::string text = metrics_.Serialize();
  EXPECT_THAT(text, HasSubstr(series + "\"production\"} 1000\n"));
  EXPECT_THAT(text, HasSubstr(series + "\"development\"} 0\n"));
}

TEST_F(ReceiverTest, CountsWhichKeysAreInUse) {
  Post(Change());
  Post(Completed());
  ASSERT_TRUE(Receive("production", {Sign(kOldKey, Change())}, Change()).ok());
  const std::string text = metrics_.Serialize();
  EXPECT_THAT(text, HasSubstr(VerifiedBy(kDemoKey) + " 2\n"));
  EXPECT_THAT(text, HasSubstr(VerifiedBy(kOldKey) + " 1\n"));
  EXPECT_THAT(text, Not(HasSubstr(std::string(kDemoKey))));
}

// --- Keys that change. ---

TEST_F(ReceiverTest, ExchangedKeysCountAtOnce) {
  SetKeys({kOldKey});
  EXPECT_EQ(Receive("production", {Sign(kDemoKey, Change())}, Change())
                .status()
                .code(),
            absl::StatusCode::kUnauthenticated);
  EXPECT_TRUE(Receive("production", {Sign(kOldKey, Change())}, Change()).ok());
  // The other endpoints keep theirs.
  Post(Change(), "development");
  const std::string text = metrics_.Serialize();
  EXPECT_THAT(text, HasSubstr(VerifiedBy(kOldKey) + " 1\n"));
  EXPECT_THAT(text, HasSubstr(VerifiedBy(kDemoKey) + " 0\n"));
}

TEST_F(ReceiverTest, KeysRotateUnderLoadWithoutALostDelivery) {
  std::atomic<bool> stop = false;
  std::thread rotation([&] {
    while (!stop) {
      SetKeys({kDemoKey});
      SetKeys({kOldKey, kDemoKey});
      receiver_->Endpoints();
    }
  });
  std::vector<std::thread> senders;
  for (int i = 0; i < 4; ++i) {
    senders.emplace_back([&] {
      for (int n = 0; n < 500; ++n) Post(Change());
    });
  }
  for (std::thread& sender : senders) sender.join();
  stop = true;
  rotation.join();
  EXPECT_EQ(receiver_->Endpoints()[0].keys[1].verified, 2000u);
}

class FailingEndpointTest : public ReceiverTest {
 protected:
  void Fail() {
    EXPECT_EQ(Receive("production", {Sign("other", Change())}, Change())
                  .status()
                  .code(),
              absl::StatusCode::kUnauthenticated);
  }
  bool Failing() {
    const std::string series =
        "waggle_endpoint_verification_failing{endpoint=\"production\"} ";
    const std::string text = metrics_.Serialize();
    EXPECT_THAT(text, HasSubstr(series));
    return text.find(series + "1\n") != std::string::npos;
  }
};

TEST_F(FailingEndpointTest, IsToldAfterAMinuteWithoutAnAuthenticWebhook) {
  Post(Change());
  for (int i = 0; i < 4; ++i) Fail();
  clock_.Advance(absl::Seconds(59));
  Fail();
  EXPECT_FALSE(Failing());
  clock_.Advance(absl::Seconds(1));
  Fail();
  EXPECT_TRUE(Failing());
  // Of the others nothing is said.
  EXPECT_THAT(
      metrics_.Serialize(),
      HasSubstr(
          "waggle_endpoint_verification_failing{endpoint=\"development\"} 0"));
  Post(Change());
  EXPECT_FALSE(Failing());
}

TEST_F(FailingEndpointTest, IsShown) {
  for (int i = 0; i < 4; ++i) Fail();
  EXPECT_FALSE(receiver_->Endpoints()[0].verification_failing);
  clock_.Advance(absl::Minutes(1));
  Fail();
  EXPECT_TRUE(receiver_->Endpoints()[0].verification_failing);
  EXPECT_FALSE(receiver_->Endpoints()[1].verification_failing);
}

TEST_F(FailingEndpointTest, OneAuthenticWebhookBetweenFailuresClearsIt) {
  for (int i = 0; i < 10; ++i) {
    Fail();
    clock_.Advance(absl::Seconds(50));
    Post(Change());
    clock_.Advance(absl::Seconds(20));
  }
  EXPECT_FALSE(Failing());
}

TEST_F(FailingEndpointTest, AFewFailuresSayNothing) {
  for (int i = 0; i < 4; ++i) {
    Fail();
    clock_.Advance(absl::Seconds(30));
  }
  EXPECT_FALSE(Failing());
  Fail();
  EXPECT_TRUE(Failing());
}

TEST_F(FailingEndpointTest, AStrangerNowAndThenIsNoFailure) {
  for (int i = 0; i < 10; ++i) {
    Fail();
    clock_.Advance(absl::Minutes(11));
  }
  EXPECT_FALSE(Failing());
}

}  // namespace
}  // namespace waggle
