// GET /v1/events through a real server, over a store in memory.
#include "http/event_door.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "api/event_streams.h"
#include "api/stream_registry.h"
#include "base/metrics.h"
#include "base/sha256.h"
#include "base/strings.h"
#include "base/thread_pool.h"
#include "event/cursor.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "http/admin_server.h"
#include "ops/subscriber_journal.h"
#include "store/memory/memory_event_store.h"
#include "stream/event_hub.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/intercepted_store.h"
#include "tests/fakes/mock_operator_api.h"
#include "tests/fakes/test_events.h"
#include "tests/http/raw_http.h"

namespace waggle {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::MockOperatorApi;
using ::testing::NiceMock;
using testing::RawClient;
using testing::RawResponse;
using testing::WaitFor;

// What stands between two empty lines of a stream.
struct Block {
  std::string id;
  std::string event;
  std::string data;
  std::string retry;
};

v1::Event EventOf(const Block& block) {
  v1::Event event;
  EXPECT_TRUE(
      google::protobuf::util::JsonStringToMessage(block.data, &event).ok())
      << block.data;
  return event;
}

// A client of the stream. Reads block by block.
class SseClient {
 public:
  explicit SseClient(RawClient client) : client_(std::move(client)) {
    head = client_.Read();
  }

  // Nothing at the end of the stream.
  std::optional<Block> Next() {
    size_t end;
    while ((end = text_.find("\n\n")) == std::string::npos) {
      const std::string chunk = client_.ReadChunk();
      if (chunk.empty()) return std::nullopt;
      text_.append(chunk);
    }
    Block block;
    for (const absl::string_view line :
         absl::StrSplit(text_.substr(0, end), '\n')) {
      const std::pair<std::string, std::string> field =
          absl::StrSplit(line, absl::MaxSplits(": ", 1));
      if (field.first == "id") block.id = field.second;
      if (field.first == "event") block.event = field.second;
      if (field.first == "data") block.data = field.second;
      if (field.first == "retry") block.retry = field.second;
    }
    text_.erase(0, end + 2);
    return block;
  }

  // The next block with data.
  std::optional<Block> NextEvent() {
    std::optional<Block> block;
    do {
      block = Next();
    } while (block.has_value() && block->data.empty());
    return block;
  }

  std::vector<Block> ReadEvents(size_t count) {
    std::vector<Block> blocks;
    while (blocks.size() < count) {
      std::optional<Block> block = NextEvent();
      if (!block.has_value()) break;
      blocks.push_back(*std::move(block));
    }
    return blocks;
  }

  std::vector<uint64_t> ReadSequences(size_t count) {
    std::vector<uint64_t> sequences;
    for (const Block& block : ReadEvents(count)) {
      sequences.push_back(EventOf(block).sequence());
    }
    return sequences;
  }

  RawResponse head;

 private:
  RawClient client_;
  std::string text_;
};

class EventDoorTest : public ::testing::Test {
 protected:
  ~EventDoorTest() override {
    store_.ReleaseReads();
    if (server_ != nullptr) server_->Stop();
    server_.reset();
    door_.reset();
    registry_.reset();
    store_.Close();
  }

  void Start() {
    if (access_ == nullptr) access_ = AccessControl::Open(clock_);
    hub_ = std::make_unique<EventHub>(store_, readers_, hub_options_);
    hub_->Start();
    journal_ = std::make_unique<SubscriberJournal>(memory_, *hub_, memory_,
                                                   *access_, clock_, metrics_);
    registry_ = std::make_unique<StreamRegistry>(stream_limits_,
                                                 [this] { journal_->Tick(); });
    streams_ = std::make_unique<EventStreams>(store_, *hub_, readers_,
                                              *registry_, *journal_, options_);
    calls_ = std::make_unique<CallCounts>(call_limits_);
    door_ = std::make_unique<EventDoor>(*streams_, *hub_, *access_, *calls_,
                                        metrics_, local_, limits_);
    AdminServer::Hooks hooks;
    hooks.readiness = [] { return absl::OkStatus(); };
    hooks.authenticate = [this](std::optional<std::string_view> value) {
      return access_->Authenticate({.authorization = value});
    };
    hooks.open = open_;
    hooks.serve_events = [this](const HttpRequest& request,
                                HttpResponder respond) {
      door_->Serve(request, std::move(respond));
    };
    server_ = std::make_unique<AdminServer>(hooks, metrics_, api_);
    ASSERT_TRUE(server_->Listen("127.0.0.1", 0).ok());
  }

  void SetPolicy(const std::string& text) {
    if (access_ == nullptr) {
      access_ = std::make_unique<AccessControl>(std::nullopt, clock_);
    }
    config::v1::Access policy;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &policy));
    ASSERT_TRUE(access_->SetPolicy(policy).ok());
  }
  // A principal whose token is its name.
  static std::string PrincipalText(const std::string& name,
                                   const std::string& rights) {
    const Sha256Digest digest = Sha256({name});
    return absl::StrCat(
        "principals { name: '", name, "' token_sha256: '",
        absl::BytesToHexString(absl::string_view(
            reinterpret_cast<const char*>(digest.data()), digest.size())),
        "' ", rights, " } ");
  }
  static std::string TokenOf(const std::string& name) {
    return absl::StrCat("Authorization: Bearer ", name, "\r\n");
  }

  RawClient Send(std::string_view query, std::string_view fields = "",
                 std::string_view host = "127.0.0.1",
                 std::string_view method = "GET") {
    RawClient client(server_->port());
    client.Send(absl::StrCat(AsAbsl(method), " /v1/events", AsAbsl(query),
                             " HTTP/1.1\r\nHost: ", AsAbsl(host), "\r\n",
                             AsAbsl(fields), "\r\n"));
    return client;
  }
  SseClient Open(std::string_view query, std::string_view fields = "") {
    SseClient client(Send(query, fields));
    EXPECT_EQ(client.head.status, 200);
    return client;
  }
  RawResponse Refused(std::string_view query, std::string_view fields = "") {
    RawResponse response = Send(query, fields).Read();
    EXPECT_EQ(response.Header("Content-Type"), "application/problem+json");
    EXPECT_EQ(response.Header("Connection"), "close");
    return response;
  }
  // All that matches, by a bounded read.
  std::vector<uint64_t> ReadAll(std::string_view query,
                                std::string_view fields = "") {
    SseClient client =
        Open(absl::StrCat("?stop_when_caught_up=true&", AsAbsl(query)), fields);
    return client.ReadSequences(SIZE_MAX);
  }

  std::string CursorAt(uint64_t sequence) const {
    return Cursor{store_.id(), Sequence(sequence)}.Encode();
  }
  void WaitForStreams(size_t count) {
    WaitFor([&] { return journal_->open() == count; });
  }
  void TrimAll() {
    clock_.Advance(absl::Hours(1));
    RetentionLimits limits;
    limits.max_age = absl::Minutes(1);
    ASSERT_TRUE(store_.Trim(limits).ok());
  }

  HubOptions hub_options_;
  StreamLimits stream_limits_;
  GateLimits call_limits_;
  EventStreams::Options options_;
  EventDoor::Limits limits_;
  bool open_ = true;
  std::shared_ptr<const Principal> local_;

  FakeClock clock_;
  Metrics metrics_;
  NiceMock<MockOperatorApi> api_;
  MemoryEventStore memory_{clock_};
  InterceptedStore store_{memory_};
  ThreadPool readers_{2};
  std::unique_ptr<AccessControl> access_;
  std::unique_ptr<EventHub> hub_;
  std::unique_ptr<SubscriberJournal> journal_;
  std::unique_ptr<StreamRegistry> registry_;
  std::unique_ptr<EventStreams> streams_;
  std::unique_ptr<CallCounts> calls_;
  std::unique_ptr<EventDoor> door_;
  std::unique_ptr<AdminServer> server_;
};

TEST_F(EventDoorTest, BeginsWithTheWayBackAndTheCursor) {
  Start();
  AppendNumbered(store_, 1, 3);
  SseClient client = Open("");
  EXPECT_EQ(client.head.Header("Content-Type"), "text/event-stream");
  EXPECT_EQ(client.head.Header("Cache-Control"), "no-store");
  EXPECT_EQ(client.Next()->retry, "1000");
  const std::optional<Block> first = client.Next();
  EXPECT_EQ(first->id, CursorAt(3));
  EXPECT_EQ(first->data, "");
}

TEST_F(EventDoorTest, EventsComeAsTheyAreStored) {
  Start();
  SseClient client = Open("");
  WaitForStreams(1);
  for (uint64_t n = 1; n <= 5; ++n) {
    Append(store_, NumberedEvent(n, EventOfConnector("c")));
    const std::optional<Block> block = client.NextEvent();
    ASSERT_TRUE(block.has_value());
    EXPECT_EQ(block->id, CursorAt(n));
    EXPECT_EQ(block->event, "");
    const v1::Event event = EventOf(*block);
    EXPECT_EQ(event.id(), EventId(n));
    EXPECT_EQ(event.sequence(), n);
    EXPECT_EQ(event.connector().id(), "c");
  }
}

TEST_F(EventDoorTest, EachIdResumesAfterItsEvent) {
  Start();
  AppendNumbered(store_, 1, 300);
  SseClient client = Open("?from=earliest&stop_when_caught_up=true");
  const std::vector<Block> blocks = client.ReadEvents(SIZE_MAX);
  ASSERT_EQ(blocks.size(), 300u);
  for (const size_t last : {size_t{1}, size_t{63}, size_t{64}, size_t{65},
                            size_t{200}, size_t{299}}) {
    const std::string field =
        absl::StrCat("Last-Event-ID: ", blocks[last - 1].id, "\r\n");
    const std::vector<uint64_t> rest = ReadAll("from=earliest", field);
    ASSERT_EQ(rest.size(), 300 - last);
    EXPECT_EQ(rest.front(), last + 1);
    EXPECT_EQ(ReadAll("after=" + blocks[last - 1].id), rest);
  }
}

TEST_F(EventDoorTest, ABoundedReadEnds) {
  Start();
  EXPECT_THAT(ReadAll("from=earliest"), IsEmpty());
  AppendNumbered(store_, 1, 3);
  EXPECT_THAT(ReadAll("from=earliest"), ElementsAre(1, 2, 3));
  EXPECT_THAT(ReadAll("from=latest"), IsEmpty());
  EXPECT_THAT(ReadAll("from=1970-01-01T00:00:00Z"), ElementsAre(1, 2, 3));
  EXPECT_THAT(ReadAll("from=9999-01-01T00:00:00Z"), IsEmpty());
}

TEST_F(EventDoorTest, OnlyWhatTheFiltersMatchIsSent) {
  Start();
  for (uint64_t n = 1; n <= 6; ++n) {
    v1::Event event = EventOfConnector(absl::StrCat("c", n % 3));
    event.set_type(n % 2 == 0 ? v1::EVENT_TYPE_SYNC_STARTED
                              : v1::EVENT_TYPE_SYNC_COMPLETED);
    Append(store_, NumberedEvent(n, event));
  }
  EXPECT_THAT(ReadAll("from=earliest&connector_id=c1&connector_id=c2"),
              ElementsAre(1, 2, 4, 5));
  EXPECT_THAT(ReadAll("from=earliest&connector_id=c1&type=sync_completed"),
              ElementsAre(1));
}

TEST_F(EventDoorTest, AHeartbeatMovesTheIdPastWhatDoesNotMatch) {
  Start();
  SseClient client = Open("?connector_id=other&heartbeat_interval=1");
  WaitForStreams(1);
  AppendNumbered(store_, 1, 5);
  std::optional<Block> block;
  do {
    block = client.Next();
    ASSERT_TRUE(block.has_value());
    EXPECT_EQ(block->data, "");
  } while (block->id != CursorAt(5));
}

TEST_F(EventDoorTest, PayloadsComeOnRequest) {
  Start();
  Append(store_, NumberedEvent(1, {}, "the body"));
  const auto payload = [this](std::string_view query) {
    return EventOf(*Open(query).NextEvent()).payload();
  };
  EXPECT_EQ(payload("?from=earliest"), "");
  EXPECT_EQ(payload("?from=earliest&include_payload=true"), "the body");
}

TEST_F(EventDoorTest, CloudEventsComeOnRequest) {
  Start();
  v1::Event event;
  event.set_type_name("connector_synced");
  event.set_endpoint("bindbee");
  Append(store_, NumberedEvent(1, event));
  SseClient client =
      Open("?from=earliest", "Accept: application/cloudevents+json\r\n");
  EXPECT_EQ(client.head.Header("Content-Type"), "text/event-stream");
  const std::optional<Block> block = client.NextEvent();
  EXPECT_EQ(block->id, CursorAt(1));
  EXPECT_THAT(block->data, HasSubstr(R"("specversion":"1.0")"));
  EXPECT_THAT(block->data, HasSubstr(R"("source":"/webhooks/bindbee")"));
}

struct Refusal400 {
  std::string query;
  std::string parameter;
};

TEST_F(EventDoorTest, ABadRequestNamesItsParameters) {
  options_.filters.max_values = 2;
  Start();
  for (const auto& [query, parameter] : std::vector<Refusal400>{
           {"?type=nonsense", "type"},
           {"?heartbeat_interval=0", "heartbeat_interval"},
           {"?heartbeat_interval=601", "heartbeat_interval"},
           {"?from=sometime", "from"},
           {"?unknown=1", "unknown"},
           {absl::StrCat("?origin_id=", std::string(600, 'x')), "origin_id"},
           {"?model=a&model=b&model=c", "filters"}}) {
    const RawResponse response = Refused(query);
    EXPECT_EQ(response.status, 400) << query;
    EXPECT_THAT(response.body,
                HasSubstr(absl::StrCat(R"("detail":")", parameter, ": ")));
    EXPECT_THAT(response.body, HasSubstr(R"("reason":"INVALID_ARGUMENT")"));
    EXPECT_THAT(response.body,
                HasSubstr(absl::StrCat(R"({"parameter":")", parameter, "\"")));
  }
}

TEST_F(EventDoorTest, ACursorThatCannotBeResumedSaysWhy) {
  Start();
  AppendNumbered(store_, 1, 3);
  TrimAll();
  AppendNumbered(store_, 4, 5);
  const auto resume = [this](const std::string& cursor) {
    return Refused("", absl::StrCat("Last-Event-ID: ", cursor, "\r\n"));
  };
  const RawResponse expired = resume(CursorAt(2));
  EXPECT_EQ(expired.status, 410);
  EXPECT_THAT(expired.body, HasSubstr(R"("reason":"CURSOR_EXPIRED")"));
  EXPECT_THAT(expired.body, HasSubstr(absl::StrCat(R"("earliest_cursor":")",
                                                   CursorAt(3), "\"")));
  EXPECT_THAT(expired.body, HasSubstr(R"("earliest_time":")"));
  EXPECT_THAT(ReadAll("after=" + CursorAt(3)), ElementsAre(4, 5));

  const RawResponse beyond = resume(CursorAt(6));
  EXPECT_EQ(beyond.status, 409);
  EXPECT_THAT(beyond.body, HasSubstr(R"("reason":"CURSOR_STORE_MISMATCH")"));

  const RawResponse malformed = resume("garbage");
  EXPECT_EQ(malformed.status, 400);
  EXPECT_THAT(malformed.body, HasSubstr(R"("reason":"CURSOR_MALFORMED")"));
  EXPECT_EQ(Refused("?after=").status, 400);

  const std::string id = absl::StrCat("Last-Event-ID: ", CursorAt(4), "\r\n");
  const RawResponse several = Send("", id + id).Read();
  EXPECT_EQ(several.status, 400);
  EXPECT_THAT(several.body, HasSubstr(R"("parameter":"Last-Event-ID")"));
}

TEST_F(EventDoorTest, AStreamThatRetentionOvertakesEndsWithTheReason) {
  hub_options_.tail_bytes = 0;
  Start();
  AppendNumbered(store_, 1, 3);
  store_.HoldReads();
  SseClient client = Open("?from=earliest");
  store_.WaitForReads(1);
  TrimAll();
  store_.ReleaseReads();
  const std::optional<Block> block = client.NextEvent();
  ASSERT_TRUE(block.has_value());
  EXPECT_EQ(block->event, "error");
  EXPECT_THAT(block->data, HasSubstr(R"("status":410)"));
  EXPECT_THAT(block->data, HasSubstr(R"("reason":"CURSOR_EXPIRED")"));
  EXPECT_EQ(client.Next(), std::nullopt);
  WaitForStreams(0);
}

TEST_F(EventDoorTest, AStoreThatCannotBeReadIsUnavailable) {
  hub_options_.tail_bytes = 0;
  Start();
  AppendNumbered(store_, 1, 3);
  store_.FailReadsWith(absl::UnavailableError("busy"));
  const RawResponse response = Refused("?from=2025-01-01T00:00:00Z");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.Header("Retry-After"), "1");
  EXPECT_THAT(response.body, HasSubstr(R"("reason":"STORE_UNAVAILABLE")"));
}

TEST_F(EventDoorTest, AClientThatGoesFreesItsStream) {
  Start();
  {
    SseClient client = Open("");
    WaitForStreams(1);
  }
  WaitForStreams(0);
}

TEST_F(EventDoorTest, AStreamIsAmongTheSubscribers) {
  Start();
  AppendNumbered(store_, 1, 3);
  SseClient client = Open("?connector_id=a&from=earliest&include_payload=true");
  WaitForStreams(1);
  const v1::ListSubscribersResponse list = journal_->List(10);
  ASSERT_EQ(list.subscribers_size(), 1);
  EXPECT_EQ(list.subscribers(0).principal(), "anonymous");
  EXPECT_EQ(list.subscribers(0).filters(0).connector_ids(0), "a");
}

TEST_F(EventDoorTest, DrainingEndsStreamsAndRefusesNewOnes) {
  Start();
  AppendNumbered(store_, 1, 2);
  SseClient client = Open("?from=earliest");
  EXPECT_THAT(client.ReadSequences(2), ElementsAre(1, 2));
  registry_->Drain();
  const std::optional<Block> block = client.NextEvent();
  ASSERT_TRUE(block.has_value());
  EXPECT_EQ(block->event, "error");
  EXPECT_THAT(block->data, HasSubstr(R"("status":503)"));
  EXPECT_THAT(block->data, HasSubstr(R"("reason":"STREAM_ROTATED")"));
  EXPECT_EQ(client.Next(), std::nullopt);
  EXPECT_TRUE(registry_->WaitUntilEmpty(absl::Seconds(60)));

  const RawResponse response = Refused("");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.Header("Retry-After"), "1");
}

TEST_F(EventDoorTest, AStreamEndsAtItsAge) {
  options_.max_stream_age = absl::Milliseconds(1);
  Start();
  SseClient client = Open("");
  const std::optional<Block> block = client.NextEvent();
  ASSERT_TRUE(block.has_value());
  EXPECT_EQ(block->event, "error");
  EXPECT_THAT(block->data, HasSubstr(R"("reason":"STREAM_ROTATED")"));
}

TEST_F(EventDoorTest, AbortingEndsAStreamWhoseStartIsBeingLookedFor) {
  Start();
  store_.HoldReads();
  RawClient client = Send("?from=2025-01-01T00:00:00Z");
  store_.WaitForReads(1);
  registry_->Drain();
  registry_->Abort();
  store_.ReleaseReads();
  EXPECT_TRUE(registry_->WaitUntilEmpty(absl::Seconds(60)));
}

TEST_F(EventDoorTest, StreamsBeyondTheDoorsLimitsWaitForOneToEnd) {
  limits_.max_streams_per_address = 2;
  Start();
  SseClient first = Open("");
  std::optional<SseClient> second(Open(""));
  const RawResponse response = Refused("");
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(response.Header("Retry-After"), "5");
  EXPECT_THAT(response.body, HasSubstr(R"("reason":"TOO_MANY_STREAMS")"));
  second.reset();
  WaitForStreams(1);
  WaitFor([this] { return Send("").Read().status == 200; });
}

TEST_F(EventDoorTest, StreamsOfAllDoorsHaveOneLimit) {
  stream_limits_.per_principal = 1;
  Start();
  SseClient first = Open("");
  WaitForStreams(1);
  EXPECT_EQ(Refused("").status, 429);
}

TEST_F(EventDoorTest, RequestsBeyondTheRateAreRefused) {
  call_limits_.requests_per_second_per_address = 1;
  Start();
  SseClient first = Open("");
  RawResponse response;
  do {
    response = Send("").Read();
  } while (response.status == 200);
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(response.Header("Retry-After"), "1");
  EXPECT_THAT(response.body, HasSubstr(R"("reason":"TOO_MANY_REQUESTS")"));
}

TEST_F(EventDoorTest, OnlyGetIsAnswered) {
  Start();
  for (const char* method : {"POST", "HEAD", "DELETE"}) {
    RawClient client = Send("", "", "127.0.0.1", method);
    const RawResponse response = client.Read(std::string(method) == "HEAD");
    EXPECT_EQ(response.status, 405) << method;
    EXPECT_EQ(response.Header("Allow"), "GET");
  }
}

TEST_F(EventDoorTest, AnOpenDoorIsClosedToStrangersPages) {
  Start();
  EXPECT_EQ(Send("", "", "gateway.example").Read().status, 421);
  EXPECT_EQ(Send("", "Origin: http://evil.example\r\n").Read().status, 403);
  EXPECT_EQ(Send("", "Sec-Fetch-Site: cross-site\r\n").Read().status, 403);
  EXPECT_EQ(Send("", "Origin: http://127.0.0.1\r\n").Read().status, 200);
}

class ClosedEventDoorTest : public EventDoorTest {
 protected:
  ClosedEventDoorTest() { open_ = false; }
};

TEST_F(ClosedEventDoorTest, AsksWhoIsCalling) {
  SetPolicy(PrincipalText("reader", "allow {}"));
  Start();
  const RawResponse missing = Refused("");
  EXPECT_EQ(missing.status, 401);
  EXPECT_EQ(missing.Header("WWW-Authenticate"), "Bearer");
  EXPECT_THAT(missing.body, HasSubstr(R"("reason":"CREDENTIALS_MISSING")"));
  const RawResponse wrong = Refused("", "Authorization: Bearer wrong\r\n");
  EXPECT_EQ(wrong.status, 401);
  EXPECT_THAT(wrong.body, HasSubstr(R"("reason":"CREDENTIALS_INVALID")"));
  EXPECT_EQ(Refused("", TokenOf("reader") + TokenOf("reader")).status, 401);
  EXPECT_EQ(Send("", TokenOf("reader"), "gateway.example").Read().status, 200);
}

TEST_F(ClosedEventDoorTest, WhatTheRightsDoNotAllowIsRefusedOrLeftOut) {
  SetPolicy(PrincipalText("reader", "allow { connector_ids: 'a' }"));
  Start();
  Append(store_, NumberedEvent(1, EventOfConnector("a")));
  Append(store_, NumberedEvent(2, EventOfConnector("b")));
  v1::Event personal = EventOfConnector("a");
  personal.mutable_connector()->set_end_user_name("somebody");
  Append(store_, NumberedEvent(3, personal));

  const std::string token = TokenOf("reader");
  EXPECT_THAT(ReadAll("from=earliest", token), ElementsAre(1, 3));
  SseClient client =
      Open("?from=earliest&connector_id=a&stop_when_caught_up=true", token);
  for (const Block& block : client.ReadEvents(SIZE_MAX)) {
    EXPECT_FALSE(EventOf(block).connector().has_end_user_name());
  }

  const RawResponse filter = Refused("?connector_id=b", token);
  EXPECT_EQ(filter.status, 403);
  EXPECT_THAT(filter.body, HasSubstr(R"("reason":"RIGHT_MISSING")"));
  EXPECT_THAT(filter.body, HasSubstr(R"("right":"connector_ids")"));
  EXPECT_THAT(filter.body, HasSubstr(R"("field":"connector_id")"));
  EXPECT_THAT(Refused("?include_payload=true&connector_id=a", token).body,
              HasSubstr(R"("right":"raw_payload")"));
}

TEST_F(ClosedEventDoorTest, AStreamEndsWithItsCallersRights) {
  SetPolicy(PrincipalText("reader", "allow {}"));
  Start();
  SseClient client = Open("", TokenOf("reader"));
  WaitForStreams(1);
  SetPolicy(PrincipalText("somebody", "allow {}"));
  const std::optional<Block> block = client.NextEvent();
  ASSERT_TRUE(block.has_value());
  EXPECT_EQ(block->event, "error");
  EXPECT_THAT(block->data, HasSubstr(R"("status":401)"));
  EXPECT_EQ(client.Next(), std::nullopt);
  WaitForStreams(0);
}

TEST_F(EventDoorTest, WhoeverNeedsNoCredentialsKeepsTheirStream) {
  SetPolicy(PrincipalText("reader", "allow {}"));
  auto local = std::make_shared<Principal>();
  local->name = "local";
  local->rights.allow.emplace();
  local_ = local;
  Start();
  SseClient client = Open("?heartbeat_interval=1");
  WaitForStreams(1);
  SetPolicy(PrincipalText("somebody", "allow {}"));
  // Two heartbeats later its rights have been looked at again.
  EXPECT_EQ(client.Next()->retry, "1000");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.Next()->id, CursorAt(0));
  Append(store_, NumberedEvent(1));
  EXPECT_THAT(client.ReadSequences(1), ElementsAre(1));
}

}  // namespace
}  // namespace waggle
