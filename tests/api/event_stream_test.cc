#include "api/event_stream.h"

#include <memory>

#include "absl/time/time.h"
#include "api/gate.h"
#include "api/stream_registry.h"
#include "base/metrics.h"
#include "base/thread_pool.h"
#include "event/filter.h"
#include "gtest/gtest.h"
#include "ops/subscriber_journal.h"
#include "security/access_control.h"
#include "store/memory/memory_event_store.h"
#include "stream/event_hub.h"
#include "tests/fakes/fake_clock.h"

namespace waggle {
namespace {

// Its transport does what the test says.
class TestStream final : public EventStream {
 public:
  explicit TestStream(const StreamBackends& backends)
      : EventStream(backends, kEventsPath) {}

  void Take() { OnSent(true); }
  void Close() { OnTransportDone(); }

  int ends = 0;
  int cuts = 0;

 private:
  void SendBatch(BatchPtr) override {}
  void SendEnd(const absl::Status&) override { ++ends; }
  void Cut() override { ++cuts; }
};

class EventStreamTest : public ::testing::Test {
 protected:
  EventStreamTest() { hub_.Start(); }
  ~EventStreamTest() override { store_.Close(); }

  std::shared_ptr<TestStream> Begin() {
    auto stream = std::make_shared<TestStream>(
        StreamBackends{hub_, registry_, journal_, gate_});
    EXPECT_FALSE(registry_.Add(stream, {}).has_value());
    StreamOptions options;
    options.caller = *access_->Authenticate({});
    options.access_generation = access_->generation();
    options.subscription.filter = Filter::Compile({});
    options.heartbeat_interval = absl::Hours(1);
    stream->Begin(options);
    return stream;
  }

  FakeClock clock_;
  Metrics metrics_;
  MemoryEventStore store_{clock_};
  ThreadPool readers_{1};
  EventHub hub_{store_, readers_, {}};
  const std::unique_ptr<AccessControl> access_ = AccessControl::Open(clock_);
  SubscriberJournal journal_{store_, hub_, store_, *access_, clock_, metrics_};
  StreamRegistry registry_{{}};
  CallCounts calls_{{}};
  Gate gate_{*access_, calls_, metrics_};
};

TEST_F(EventStreamTest, AbortingCutsAMessageThatIsNotTaken) {
  const auto stream = Begin();
  registry_.Abort();
  EXPECT_EQ(stream->cuts, 1);
  stream->Close();
}

TEST_F(EventStreamTest, AbortingCutsAnEndThatIsNotTaken) {
  const auto stream = Begin();
  stream->Take();
  registry_.Drain();
  EXPECT_EQ(stream->ends, 1);
  registry_.Abort();
  EXPECT_EQ(stream->cuts, 1);
  stream->Close();
  EXPECT_TRUE(registry_.WaitUntilEmpty(absl::ZeroDuration()));
}

TEST_F(EventStreamTest, AStreamThatIsClosedIsNotCut) {
  const auto stream = Begin();
  stream->Close();
  stream->Abort();
  EXPECT_EQ(stream->cuts, 0);
}

}  // namespace
}  // namespace waggle
