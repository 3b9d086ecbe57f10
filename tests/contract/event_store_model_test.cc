// Random sequences of operations over each store, beside a model that is as
// simple as can be.
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "rapidcheck.h"
#include "tests/contract/event_store_contract.h"
#include "tests/contract/random_trials.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/test_events.h"

namespace waggle {
namespace {

class Model {
 public:
  struct Row {
    Sequence sequence;
    std::string id;
    std::string digest;
    absl::Duration window;
    absl::Time received_at;
    absl::Time stored_at;
    std::string payload;
  };

  // The event that this one is a duplicate of.
  const Row* FindFirst(const NewEvent& event) const {
    const Row* first = nullptr;
    for (const Row& row : remembered_) {
      const bool is_same = row.digest == event.identity.digest &&
                           row.window == event.identity.window;
      if (is_same && event.received_at - row.received_at < row.window) {
        first = &row;
      }
    }
    return first;
  }

  void Add(Row row) {
    remembered_.push_back(row);
    rows_.push_back(std::move(row));
  }

  void TrimThrough(Sequence sequence) {
    trimmed_through_ = std::max(trimmed_through_, sequence);
    std::erase_if(rows_, [&](const Row& row) {
      return row.sequence <= trimmed_through_;
    });
    std::erase_if(remembered_, [&](const Row& row) {
      return row.sequence <= trimmed_through_ &&
             row.window == absl::InfiniteDuration();
    });
  }

  // Identities of what was trimmed are no longer known.
  void Restart() { remembered_ = rows_; }

  const std::vector<Row>& rows() const { return rows_; }
  Sequence trimmed_through() const { return trimmed_through_; }

 private:
  std::vector<Row> rows_;
  std::vector<Row> remembered_;
  Sequence trimmed_through_;
};

// One store and its model, and the operations on both. Operations take two
// random numbers and make of them what they need.
class Trial {
 public:
  explicit Trial(const StoreUnderTest& kind)
      : durable_(kind.durable), data_(kind.make()) {
    Open();
  }

  void Do(int operation, uint8_t a, uint8_t b) {
    switch (operation % 10) {
      case 0:
      case 1:
      case 2:
        return AppendGroup(1 + a % 5, b);
      case 3:
        return clock_.Advance(absl::Seconds(a * 4));
      case 4:
        return ReadPage(a, b);
      case 5:
        return ReadById(a, b);
      case 6:
        return FindPosition(absl::Seconds(a * 8 + b));
      case 7:
        return TrimByAge(absl::Seconds(a * 8));
      case 8:
        return TrimBySize(a);
      case 9:
        if (durable_) Reopen();
    }
  }

  void CheckAll() {
    const StoreBounds bounds = store_->Bounds();
    RC_ASSERT(bounds.trimmed_through == model_.trimmed_through());
    RC_ASSERT(bounds.last == Last());
    RC_ASSERT(bounds.oldest_stored_at ==
              (model_.rows().empty() ? absl::InfiniteFuture()
                                     : model_.rows().front().stored_at));
    const auto page = store_->ReadPage({.after = model_.trimmed_through(),
                                        .max_events = 1'000'000,
                                        .max_bytes = 1 << 30,
                                        .include_payload = true});
    RC_ASSERT(page.ok());
    RC_ASSERT(page->size() == model_.rows().size());
    for (size_t i = 0; i < page->size(); ++i) {
      CheckEvent(*(*page)[i], model_.rows()[i], /*with_payload=*/true);
    }
  }

 private:
  void Open() {
    store_ = data_->Open(clock_).events;
    const StoreBounds bounds = store_->Start({});
    RC_ASSERT(bounds.last == Last());
  }

  void Reopen() {
    store_->Close();
    store_.reset();
    model_.Restart();
    Open();
  }

  Sequence Last() const {
    return model_.rows().empty() ? model_.trimmed_through()
                                 : model_.rows().back().sequence;
  }

  void AppendGroup(int count, uint8_t choice) {
    std::vector<NewEvent> events;
    for (int i = 0; i < count; ++i) {
      NewEvent event =
          NumberedEvent(next_++, {}, std::string((choice + i) * 17, 'p'));
      event.received_at = clock_.Now();
      event.identity.digest = absl::StrCat("digest ", (choice + i) % 4);
      event.identity.window = (choice / 4 + i) % 2 == 0
                                  ? StoreData::kMaxWindow
                                  : absl::InfiniteDuration();
      events.push_back(std::move(event));
    }
    const auto answers = AppendAll(*store_, events);
    for (size_t i = 0; i < events.size(); ++i) {
      RC_ASSERT(answers[i].ok());
      CheckAnswer(events[i], *answers[i]);
    }
  }

  void CheckAnswer(const NewEvent& event, const Appended& answer) {
    const Model::Row* first = model_.FindFirst(event);
    RC_ASSERT(answer.duplicate == (first != nullptr));
    if (first != nullptr) {
      RC_ASSERT(answer.sequence == first->sequence);
      RC_ASSERT(answer.id == first->id);
      return;
    }
    RC_ASSERT(answer.sequence > Last());
    RC_ASSERT(answer.id == event.id);
    model_.Add({answer.sequence, event.id, event.identity.digest,
                event.identity.window, event.received_at, clock_.Now(),
                event.payload});
  }

  void CheckEvent(const StoredEvent& event, const Model::Row& row,
                  bool with_payload) {
    RC_ASSERT(event.sequence == row.sequence);
    RC_ASSERT(event.stored_at == row.stored_at);
    RC_ASSERT(event.payload == (with_payload ? row.payload : ""));
    v1::Event parsed;
    RC_ASSERT(parsed.ParseFromString(event.event));
    RC_ASSERT(parsed.id() == row.id);
    RC_ASSERT(parsed.sequence() == row.sequence.value());
  }

  void ReadPage(uint8_t a, uint8_t b) {
    PageRequest request;
    request.after = Sequence(Last().value() * a / 255);
    request.max_events = 1 + b % 7;
    request.max_bytes = b * 20;
    request.include_payload = a % 2 == 0;
    if (b % 3 == 0) {
      request.through = Sequence(request.after.value() + b % 11);
    }
    const auto page = store_->ReadPage(request);
    if (request.after < model_.trimmed_through()) {
      RC_ASSERT(absl::IsOutOfRange(page.status()));
      return;
    }
    RC_ASSERT(page.ok());
    size_t i = 0;
    size_t bytes = 0;
    for (const Model::Row& row : model_.rows()) {
      if (row.sequence <= request.after) continue;
      const bool ends = row.sequence > request.through ||
                        i == request.max_events || bytes > request.max_bytes;
      if (ends) break;
      RC_ASSERT(i < page->size());
      CheckEvent(*(*page)[i], row, request.include_payload);
      bytes += (*page)[i]->event.size() + (*page)[i]->payload.size();
      ++i;
    }
    RC_ASSERT(page->size() == i);
  }

  void ReadById(uint8_t a, uint8_t b) {
    const std::string id = EventId(1 + (next_ - 1) * a / 255);
    const bool with_payload = b % 2 == 0;
    const auto event = store_->ReadById(id, with_payload);
    const auto row =
        std::find_if(model_.rows().begin(), model_.rows().end(),
                     [&](const Model::Row& r) { return r.id == id; });
    if (row == model_.rows().end()) {
      RC_ASSERT(absl::IsNotFound(event.status()));
      return;
    }
    RC_ASSERT(event.ok());
    CheckEvent(**event, *row, with_payload);
  }

  void FindPosition(absl::Duration ago) {
    const absl::Time time = clock_.Now() - ago;
    const auto position = store_->PositionBefore(time);
    RC_ASSERT(position.ok());
    RC_ASSERT(*position >= model_.trimmed_through());
    for (const Model::Row& row : model_.rows()) {
      RC_ASSERT((row.sequence <= *position) == (row.stored_at < time));
    }
  }

  void TrimByAge(absl::Duration age) {
    RC_ASSERT(store_->Trim({.max_age = age}).ok());
    Sequence through = model_.trimmed_through();
    for (const Model::Row& row : model_.rows()) {
      if (row.stored_at < clock_.Now() - age) through = row.sequence;
    }
    model_.TrimThrough(through);
  }

  // How much goes is the store's business, as long as it is the oldest.
  void TrimBySize(uint8_t a) {
    const uint64_t limit = std::max<uint64_t>(
        1, store_->Bounds().size_bytes * (128 + a / 2) / 255);
    RC_ASSERT(store_->Trim({.max_bytes = limit}).ok());
    const StoreBounds bounds = store_->Bounds();
    model_.TrimThrough(bounds.trimmed_through);
    RC_ASSERT(bounds.size_bytes <= limit || model_.rows().empty());
  }

  const bool durable_;
  FakeClock clock_;
  std::unique_ptr<StoreData> data_;
  std::unique_ptr<EventStore> store_;
  Model model_;
  uint64_t next_ = 1;
};

class EventStoreModel : public testing::TestWithParam<StoreUnderTest> {};

TEST_P(EventStoreModel, BehavesLikeAList) {
  EXPECT_TRUE(HoldsInRandomTrials<Trial>(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(
    Stores, EventStoreModel, testing::ValuesIn(StoresUnderTest()),
    [](const testing::TestParamInfo<StoreUnderTest>& info) {
      return info.param.name;
    });

}  // namespace
}  // namespace waggle
