#include "event/event_view.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rapidcheck/gtest.h"
#include "tests/fakes/random_events.h"
#include "waggle/v1/event.pb.h"

namespace waggle {
namespace {

using ::testing::ElementsAre;

RC_GTEST_PROP(EventViewProperty, EqualsTheParsedMessage, (uint64_t seed)) {
  RandomEvents random(seed);
  for (int i = 0; i < 20; ++i) {
    const v1::Event event = random.Event();
    const std::string bytes = event.SerializeAsString();
    EventView view;
    RC_ASSERT(EventView::Parse(bytes, view));

    const v1::Connector& connector = event.connector();
    RC_ASSERT(view.id == event.id());
    RC_ASSERT(view.type == static_cast<int>(event.type()));
    RC_ASSERT(view.type_name == event.type_name());
    RC_ASSERT(view.endpoint == event.endpoint());
    RC_ASSERT(view.connector_id == connector.id());
    RC_ASSERT(view.origin_id == connector.origin_id());
    RC_ASSERT(view.integration_slug == connector.integration_slug());
    RC_ASSERT(view.connector_status == static_cast<int>(connector.status()));
    RC_ASSERT(view.sync_type == static_cast<int>(event.sync().type()));
    RC_ASSERT(
        std::vector<int>(view.categories.begin(), view.categories.end()) ==
        std::vector<int>(connector.categories().begin(),
                         connector.categories().end()));
    std::vector<std::string> models;
    for (const v1::ModelChange& change : event.data_modified().changes()) {
      if (!change.model().empty()) models.push_back(change.model());
    }
    RC_ASSERT(std::vector<std::string>(view.models.begin(),
                                       view.models.end()) == models);
  }
}

// The outermost lengths show most cuts; where the cut message is a message by
// itself, protobuf parses it, too.
RC_GTEST_PROP(EventViewProperty, TruncatedBytesAreRefusedLikeProtobufDoes,
              (uint64_t seed)) {
  const std::string bytes = RandomEvents(seed).Event().SerializeAsString();
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::string cut = bytes.substr(0, size);
    EventView view;
    RC_ASSERT(EventView::Parse(cut, view) == v1::Event().ParseFromString(cut));
  }
}

RC_GTEST_PROP(EventViewProperty, ArbitraryBytesAreReadWithoutHarm,
              (std::string bytes, uint64_t seed)) {
  EventView view;
  EventView::Parse(bytes, view);

  RandomEvents random(seed);
  std::string mangled = random.Event().SerializeAsString();
  for (int i = 0; i < 5 && !mangled.empty(); ++i) {
    mangled[random.Below(mangled.size())] =
        static_cast<char>(random.Below(256));
  }
  EventView other;
  EventView::Parse(mangled, other);
}

TEST(EventView, OfNothingIsEmpty) {
  EventView view;
  EXPECT_TRUE(EventView::Parse("", view));
  EXPECT_EQ(view.type, 0);
  EXPECT_EQ(view.id, "");
}

TEST(EventView, FieldsThatOnlyLaterEditionsKnowAreSkipped) {
  v1::Event event;
  event.set_type_name("known");
  auto& unknown = *event.GetReflection()->MutableUnknownFields(&event);
  unknown.AddVarint(100, 5);
  unknown.AddFixed32(101, 5);
  unknown.AddFixed64(102, 5);
  unknown.AddLengthDelimited(103, "text");
  unknown.AddGroup(104)->AddVarint(1, 2);
  const std::string bytes = event.SerializeAsString();
  EventView view;
  ASSERT_TRUE(EventView::Parse(bytes, view));
  EXPECT_EQ(view.type_name, "known");
}

TEST(EventView, RepeatedEnumsAreReadPackedAndOneByOne) {
  v1::Event event;
  auto& connector = *event.mutable_connector();
  auto& fields = *connector.GetReflection()->MutableUnknownFields(&connector);
  fields.AddVarint(v1::Connector::kCategoriesFieldNumber, 2);
  fields.AddLengthDelimited(v1::Connector::kCategoriesFieldNumber,
                            std::string("\x03\xe8\x07", 3));
  fields.AddLengthDelimited(v1::Connector::kCategoriesFieldNumber, "");
  const std::string bytes = event.SerializeAsString();
  EventView view;
  ASSERT_TRUE(EventView::Parse(bytes, view));
  EXPECT_THAT(view.categories, ElementsAre(2, 3, 1000));
}

}  // namespace
}  // namespace waggle
