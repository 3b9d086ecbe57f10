#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/fakes/wait_for.h"
#include "tests/rpc/rpc_fixture.h"

namespace waggle::rpc {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;
using waggle::testing::WaitFor;

std::vector<uint64_t> SequencesOf(const v1::ListEventsResponse& response) {
  std::vector<uint64_t> sequences;
  for (const v1::Event& event : response.events()) {
    sequences.push_back(event.sequence());
  }
  return sequences;
}

class ListEventsTest : public RpcTest {
 protected:
  v1::ListEventsResponse MustList(const v1::ListEventsRequest& request) {
    v1::ListEventsResponse response;
    const grpc::Status status = List(request, response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  // All pages from this request on.
  std::vector<uint64_t> ListAll(v1::ListEventsRequest request) {
    std::vector<uint64_t> sequences;
    do {
      const v1::ListEventsResponse page = MustList(request);
      EXPECT_LE(page.events_size(), 1000);
      for (uint64_t s : SequencesOf(page)) sequences.push_back(s);
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return sequences;
  }
};

TEST_F(ListEventsTest, AnEmptyStoreHasOneEmptyPage) {
  Start();
  const v1::ListEventsResponse page = MustList({});
  EXPECT_THAT(page.events(), IsEmpty());
  EXPECT_EQ(page.next_page_token(), "");
  EXPECT_EQ(page.cursor(), CursorAt(0));
}

TEST_F(ListEventsTest, CallsThatAreCancelledWhileTheyWaitReadNothing) {
  Start();
  AppendNumbered(store, 1, 1);
  const auto get = [this](grpc::ClientContext& context) {
    v1::GetEventRequest request;
    request.set_id(EventId(1));
    v1::GetEventResponse response;
    stub->GetEvent(&context, request, &response);
  };
  const auto ended = [this](const std::string& code, int count) {
    return absl::StrContains(
        metrics.Serialize(),
        absl::StrCat("{code=\"", code,
                     "\",method=\"waggle.v1.EventService/GetEvent\"} ", count,
                     "\n"));
  };
  // The deadline may pass before the call has come, or be heard of after the
  // readers are free; in the end it is in between.
  WaitFor([&] {
    const int reads = store.reads();
    store.HoldReads();
    grpc::ClientContext busy[2];
    grpc::ClientContext waiting;
    std::thread first([&] { get(busy[0]); });
    std::thread second([&] { get(busy[1]); });
    store.WaitForReads(reads + 2);
    waiting.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::milliseconds(20));
    get(waiting);
    store.ReleaseReads();
    first.join();
    second.join();
    return ended("CANCELLED", 1);
  });
  server.reset();
  EXPECT_TRUE(ended("OK", store.reads())) << metrics.Serialize();
}

TEST_F(ListEventsTest, PagesFollowOneAnotherWithoutGapOrRepeat) {
  Start();
  AppendNumbered(store, 1, 250);
  for (uint32_t size : {0u, 1u, 7u, 125u, 250u, 251u, 5000u}) {
    v1::ListEventsRequest request;
    request.set_page_size(size);
    EXPECT_EQ(ListAll(request), Range(1, 250)) << size;
  }
}

TEST_F(ListEventsTest, PagesHoldWhatWasAskedFor) {
  Start();
  AppendNumbered(store, 1, 1200);
  v1::ListEventsRequest request;
  EXPECT_EQ(MustList(request).events_size(), 100);
  request.set_page_size(5);
  const v1::ListEventsResponse page = MustList(request);
  EXPECT_EQ(SequencesOf(page), Range(1, 5));
  EXPECT_EQ(page.cursor(), CursorAt(5));
  request.set_page_size(4'000'000'000);
  EXPECT_EQ(MustList(request).events_size(), 1000);
}

TEST_F(ListEventsTest, OnlyWhatMatchesIsListed) {
  Start();
  for (uint64_t n = 1; n <= 30; ++n) {
    Append(store,
           NumberedEvent(n, EventOfConnector(n % 3 == 0 ? "mine" : "other")));
  }
  auto request = FromText<v1::ListEventsRequest>(
      "filters { connector_ids: 'mine' } page_size: 4");
  const std::vector<uint64_t> expected = {3, 6, 9, 12, 15, 18, 21, 24, 27, 30};
  EXPECT_EQ(ListAll(request), expected);
}

TEST_F(ListEventsTest, TokensAreBoundToTheirFilters) {
  Start();
  AppendNumbered(store, 1, 30);
  auto request = FromText<v1::ListEventsRequest>("page_size: 10");
  request.set_page_token(MustList(request).next_page_token());
  ASSERT_NE(request.page_token(), "");
  EXPECT_EQ(SequencesOf(MustList(request)), Range(11, 20));

  const auto expect_malformed = [&](const v1::ListEventsRequest& changed) {
    v1::ListEventsResponse response;
    const RichStatus status(List(changed, response));
    EXPECT_EQ(status.code, grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(status.reason(), "PAGE_TOKEN_MALFORMED") << changed.page_token();
  };
  v1::ListEventsRequest other = request;
  other.add_filters()->add_models("m");
  expect_malformed(other);
  const std::string token = request.page_token();
  for (const std::string& text :
       {std::string("garbage"), token + "0", token.substr(1),
        token.substr(0, token.size() - 1), "A" + token, CursorAt(10),
        token.substr(token.size() - 16)}) {
    other = request;
    other.set_page_token(text);
    expect_malformed(other);
  }
}

TEST_F(ListEventsTest, TokensAcceptTheSameFilterInAnotherOrder) {
  Start();
  AppendNumbered(store, 1, 30);
  auto request = FromText<v1::ListEventsRequest>(
      "filters { endpoints: ['a', 'b', ''] } page_size: 10");
  request.mutable_filters(0)->mutable_endpoints()->RemoveLast();
  for (uint64_t n = 31; n <= 60; ++n) {
    v1::Event event;
    event.set_endpoint("a");
    Append(store, NumberedEvent(n, event));
  }
  request.set_page_token(MustList(request).next_page_token());
  ASSERT_NE(request.page_token(), "");
  request.mutable_filters(0)->mutable_endpoints()->SwapElements(0, 1);
  EXPECT_EQ(SequencesOf(MustList(request)), Range(41, 50));
}

TEST_F(ListEventsTest, ATokenBeforeRetentionIsExpired) {
  Start();
  AppendNumbered(store, 1, 30);
  auto request = FromText<v1::ListEventsRequest>("page_size: 10");
  request.set_page_token(MustList(request).next_page_token());
  TrimAll();
  v1::ListEventsResponse response;
  const RichStatus status(List(request, response));
  EXPECT_EQ(status.code, grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(status.reason(), "CURSOR_EXPIRED");
}

TEST_F(ListEventsTest, StartsAfterACursorOrSinceATime) {
  Start();
  AppendNumbered(store, 1, 3);
  clock.Advance(absl::Seconds(10));
  const int64_t later = absl::ToUnixSeconds(clock.Now());
  AppendNumbered(store, 4, 6);
  v1::ListEventsRequest request;
  request.set_after_cursor(CursorAt(2));
  EXPECT_EQ(ListAll(request), Range(3, 6));
  request.set_after_cursor(CursorAt(6));
  EXPECT_THAT(ListAll(request), IsEmpty());
  request.mutable_since()->set_seconds(later);
  EXPECT_EQ(ListAll(request), Range(4, 6));
  request.mutable_since()->set_seconds(later + 1);
  EXPECT_THAT(ListAll(request), IsEmpty());
  request.mutable_since()->set_seconds(later - 100);
  EXPECT_EQ(ListAll(request), Range(1, 6));
}

TEST_F(ListEventsTest, StartsAtWhatIsRetained) {
  Start();
  AppendNumbered(store, 1, 3);
  TrimAll();
  EXPECT_EQ(MustList({}).cursor(), CursorAt(3));
  AppendNumbered(store, 4, 6);
  EXPECT_EQ(ListAll({}), Range(4, 6));
}

TEST_F(ListEventsTest, PayloadsComeIfAskedForAndBoundThePage) {
  Start();
  AppendNumbered(store, 1, 40, /*payload_size=*/100'000);
  v1::ListEventsRequest request;
  EXPECT_EQ(MustList(request).events_size(), 40);
  EXPECT_EQ(MustList(request).events(0).payload(), "");
  request.set_include_payload(true);
  const v1::ListEventsResponse page = MustList(request);
  EXPECT_EQ(page.events(0).payload().size(), 100'000u);
  EXPECT_LT(page.ByteSizeLong(), 2u << 20);
  EXPECT_THAT(page.next_page_token(), Not(IsEmpty()));
  EXPECT_EQ(ListAll(request), Range(1, 40));
}

TEST_F(ListEventsTest, APageOfSeveralEventsFitsWhatClientsAccept) {
  Start();
  AppendNumbered(store, 1, 2, /*payload_size=*/400'000);
  AppendNumbered(store, 3, 4, /*payload_size=*/3'500'000);
  v1::ListEventsRequest request;
  request.set_include_payload(true);
  EXPECT_EQ(MustList(request).events_size(), 2);
  EXPECT_EQ(ListAll(request), Range(1, 4));
}

TEST_F(ListEventsTest, SubscribingAfterThePagesCursorGoesOn) {
  Start();
  AppendNumbered(store, 1, 9);
  v1::ListEventsRequest list;
  list.set_page_size(4);
  v1::SubscribeRequest subscribe;
  subscribe.set_after_cursor(MustList(list).cursor());
  EXPECT_EQ(TestStream(*stub, subscribe).ReadSequences(5), Range(5, 9));
}

TEST_F(ListEventsTest, GetEventReturnsTheEventWithItsPayloadIfAskedFor) {
  Start();
  Append(store, NumberedEvent(1, EventOfConnector("c"), "raw"));
  v1::GetEventRequest request;
  request.set_id(EventId(1));
  v1::GetEventResponse response;
  ASSERT_TRUE(Get(request, response).ok());
  EXPECT_EQ(response.event().id(), EventId(1));
  EXPECT_EQ(response.event().sequence(), 1u);
  EXPECT_EQ(response.event().connector().id(), "c");
  EXPECT_EQ(response.event().payload(), "");
  request.set_include_payload(true);
  ASSERT_TRUE(Get(request, response).ok());
  EXPECT_EQ(response.event().payload(), "raw");
}

}  // namespace
}  // namespace waggle::rpc
