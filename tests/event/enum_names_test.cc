#include "event/enum_names.h"

#include <optional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "waggle/v1/event.pb.h"

namespace waggle {
namespace {

using ::testing::ElementsAre;

TEST(EnumNamesTest, ShortNamesAreWithoutWhatAllShare) {
  EXPECT_THAT(ShortNames(*v1::ConnectorStatus_descriptor()),
              ElementsAre("complete", "incomplete", "relink_needed"));
}

TEST(EnumNamesTest, FindsAValueHoweverItsNameIsWritten) {
  for (const char* name :
       {"sync_completed", "SYNC_COMPLETED", "Sync-Completed",
        "EVENT_TYPE_SYNC_COMPLETED", "event-type-sync-completed"}) {
    EXPECT_EQ(NumberOf(*v1::EventType_descriptor(), name),
              v1::EVENT_TYPE_SYNC_COMPLETED)
        << name;
  }
}

TEST(EnumNamesTest, NothingElseIsAValue) {
  for (const char* name : {"", "unspecified", "EVENT_TYPE_UNSPECIFIED",
                           "EVENT_TYPE_", "sync", "2"}) {
    EXPECT_EQ(NumberOf(*v1::EventType_descriptor(), name), std::nullopt)
        << name;
  }
}

}  // namespace
}  // namespace waggle
