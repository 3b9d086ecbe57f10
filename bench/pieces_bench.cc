// The pieces of an event's way, one by one, in one thread: where the processor
// time of an accept and of a delivery goes. The whole is measured by
// waggle_bench.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/sha256.h"
#include "benchmark/benchmark.h"
#include "bindbee/decoder.h"
#include "bindbee/demo_key.h"
#include "bindbee/samples.h"
#include "bindbee/signature.h"
#include "event/cursor.h"
#include "event/event_view.h"
#include "event/filter.h"
#include "ingest/receiver.h"
#include "ingest/trace_context.h"
#include "store/event_store.h"
#include "store/sequence_field.h"
#include "stream/batch.h"

namespace waggle {
namespace {

constexpr char kEndpoint[] = "bindbee";
constexpr std::string_view kBatchSample = "data_modified";

// Answers every append at once and keeps nothing: what is left is the use case
// itself.
class NullStore final : public EventStore {
 public:
  const StoreId& id() const override { return id_; }
  StoreBounds Start(Tail) override { return {}; }
  void Append(NewEvent event, AppendDone done) override {
    last_ = last_.Next();
    done(Appended{last_, std::move(event.id), false});
  }
  absl::StatusOr<std::vector<StoredEventPtr>> ReadPage(
      const PageRequest&) override {
    return std::vector<StoredEventPtr>();
  }
  absl::StatusOr<StoredEventPtr> ReadById(std::string_view, bool) override {
    return absl::NotFoundError("keeps nothing");
  }
  absl::StatusOr<Sequence> PositionBefore(absl::Time) override { return last_; }
  StoreBounds Bounds() const override { return {}; }
  absl::Status Writable() const override { return absl::OkStatus(); }
  absl::Status Trim(const RetentionLimits&) override {
    return absl::OkStatus();
  }
  void Close() override {}

 private:
  const StoreId id_{};
  Sequence last_;
};

std::string_view SampleBody(std::string_view name) {
  return FindSample(name)->body;
}

// The event of a sample as a store would give it.
StoredEvent Stored(std::string_view sample, Sequence sequence) {
  v1::Event event = Decode(SampleBody(sample));
  event.set_id("0191a001-5555-7aaa-8bbb-0000000000e1");
  event.set_endpoint(kEndpoint);
  event.mutable_received_at()->set_seconds(1'750'000'000);
  event.mutable_received_at()->set_nanos(123'456'789);
  StoredEvent stored;
  stored.sequence = sequence;
  stored.event = event.SerializeAsString();
  AppendSequenceField(sequence, stored.event);
  stored.payload = SampleBody(sample);
  return stored;
}

void SetBytes(benchmark::State& state, size_t bytes) {
  state.SetBytesProcessed(static_cast<int64_t>(bytes) * state.iterations());
}

void BM_Verify(benchmark::State& state) {
  const std::string_view body = SampleBody(kBatchSample);
  std::vector<Secret> keys;
  for (int64_t i = 1; i < state.range(0); ++i) {
    keys.emplace_back("another key " + std::to_string(i));
  }
  keys.emplace_back(std::string(kDemoKey));
  const std::string signature = Sign(kDemoKey, body);
  const std::string_view signatures[] = {signature};
  for (auto _ : state) {
    benchmark::DoNotOptimize(Verify(keys, signatures, body));
  }
  SetBytes(state, body.size());
}
BENCHMARK(BM_Verify)->ArgName("keys")->Arg(1)->Arg(4);

void BM_Sha256(benchmark::State& state) {
  const std::string_view body = SampleBody(kBatchSample);
  for (auto _ : state) {
    benchmark::DoNotOptimize(Sha256({kEndpoint, body}));
  }
  SetBytes(state, body.size());
}
BENCHMARK(BM_Sha256);

void BM_Decode(benchmark::State& state, std::string_view body) {
  for (auto _ : state) benchmark::DoNotOptimize(Decode(body));
  SetBytes(state, body.size());
}

void BM_SerializeEvent(benchmark::State& state) {
  const v1::Event event = Decode(SampleBody(kBatchSample));
  for (auto _ : state) benchmark::DoNotOptimize(event.SerializeAsString());
}
BENCHMARK(BM_SerializeEvent);

// From the complete body to the append: what a worker does for a webhook
// besides HTTP. Includes the copy of the body that stands for reading it.
void BM_Receive(benchmark::State& state) {
  NullStore store;
  SystemClock clock;
  Metrics metrics;
  std::vector<Endpoint> endpoints(1);
  endpoints[0].name = kEndpoint;
  endpoints[0].signing_keys.emplace_back(std::string(kDemoKey));
  Receiver receiver(std::move(endpoints), {}, store, clock, metrics);
  const std::string_view body = SampleBody(kBatchSample);
  const std::string signature = Sign(kDemoKey, body);
  const std::string_view signatures[] = {signature};
  for (auto _ : state) {
    ReceivedWebhook webhook;
    webhook.signatures = signatures;
    webhook.body = std::string(body);
    webhook.delivery.set_endpoint(kEndpoint);
    webhook.delivery.set_traceparent(TraceparentOf({}));
    receiver.Receive(std::move(webhook), [](absl::StatusOr<Appended> appended,
                                            DeliveryPtr delivery) {
      benchmark::DoNotOptimize(appended);
      benchmark::DoNotOptimize(delivery);
    });
  }
  SetBytes(state, body.size());
}
BENCHMARK(BM_Receive);

void BM_EventViewParse(benchmark::State& state) {
  const StoredEvent event = Stored(kBatchSample, Sequence(123'456));
  for (auto _ : state) {
    EventView view;
    benchmark::DoNotOptimize(EventView::Parse(event.event, view));
  }
  SetBytes(state, event.event.size());
}
BENCHMARK(BM_EventViewParse);

// Several alternatives of which the last matches, each by two fields.
void BM_FilterMatches(benchmark::State& state) {
  const StoredEvent event = Stored(kBatchSample, Sequence(123'456));
  EventView view;
  EventView::Parse(event.event, view);
  Filter::Protos protos;
  for (int64_t i = 1; i < state.range(0); ++i) {
    v1::EventFilter& proto = *protos.Add();
    proto.add_types(v1::EVENT_TYPE_DATA_MODIFIED);
    proto.add_connector_ids("another connector " + std::to_string(i));
  }
  v1::EventFilter& proto = *protos.Add();
  proto.add_types(v1::EVENT_TYPE_DATA_MODIFIED);
  proto.add_connector_ids(std::string(view.connector_id));
  const auto filter = Filter::Compile(protos);
  for (auto _ : state) benchmark::DoNotOptimize(filter->Matches(view));
}
BENCHMARK(BM_FilterMatches)->ArgName("alternatives")->Arg(1)->Arg(10);

Cursor SomeCursor() {
  Cursor cursor;
  cursor.store.fill(0x5a);
  cursor.sequence = Sequence(123'456'789);
  return cursor;
}

void BM_CursorEncode(benchmark::State& state) {
  const Cursor cursor = SomeCursor();
  for (auto _ : state) benchmark::DoNotOptimize(cursor.Encode());
}
BENCHMARK(BM_CursorEncode);

void BM_CursorDecode(benchmark::State& state) {
  const std::string text = SomeCursor().Encode();
  for (auto _ : state) benchmark::DoNotOptimize(Cursor::Decode(text));
}
BENCHMARK(BM_CursorDecode);

// Items are events.
void BM_BuildBatch(benchmark::State& state) {
  const size_t events = static_cast<size_t>(state.range(0));
  const StoredEvent event = Stored(kBatchSample, Sequence(123'456));
  const Cursor cursor = SomeCursor();
  for (auto _ : state) {
    BatchBuilder builder(
        {.payload = state.range(1) != 0, .personal_data = true}, events);
    while (!builder.full()) builder.Add(event);
    benchmark::DoNotOptimize(builder.Finish(cursor, false));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_BuildBatch)
    ->ArgNames({"events", "payload"})
    ->Args({1, 0})
    ->Args({64, 0})
    ->Args({64, 1});

void RegisterDecodeOfEachSample() {
  for (const Sample& sample : Samples()) {
    benchmark::RegisterBenchmark(
        ("BM_Decode/" + std::string(sample.name)).c_str(),
        [body = sample.body](benchmark::State& state) {
          BM_Decode(state, body);
        });
  }
}

}  // namespace
}  // namespace waggle

int main(int argc, char** argv) {
  waggle::RegisterDecodeOfEachSample();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
