// Random events and random filters over them. Few distinct values, so that
// filters hit.
#ifndef WAGGLE_TESTS_FAKES_RANDOM_EVENTS_H_
#define WAGGLE_TESTS_FAKES_RANDOM_EVENTS_H_

#include <cstdint>
#include <random>
#include <string>

#include "tests/fakes/naive_filter.h"
#include "waggle/v1/event_service.pb.h"

namespace waggle {

// The same seed makes the same sequence on every machine. Not thread-safe.
class RandomEvents {
 public:
  explicit RandomEvents(uint64_t seed) : random_(seed) {}

  uint64_t Below(uint64_t bound) { return random_() % bound; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }

  v1::Event Event() {
    v1::Event event;
    if (!OneIn(8)) event.set_id(Word());
    if (!OneIn(3)) event.set_sequence(random_() >> Below(64));
    if (!OneIn(4)) event.set_type(EnumOf<v1::EventType>(5));
    if (!OneIn(4)) event.set_type_name(Word());
    if (!OneIn(4)) event.set_endpoint(Word());
    if (!OneIn(4)) event.mutable_received_at()->set_seconds(random_() >> 34);
    if (!OneIn(4)) event.mutable_webhook()->set_url(Word());
    if (!OneIn(8)) FillConnector(*event.mutable_connector());
    if (!OneIn(3)) FillSync(*event.mutable_sync());
    if (!OneIn(3)) event.set_traceparent(Word());
    FillData(event);
    return event;
  }

  // Valid, and often matching.
  v1::EventFilter Filter() {
    v1::EventFilter filter;
    const auto some = [this](int one_in, auto add) {
      if (!OneIn(one_in)) return;
      for (uint64_t n = 1 + Below(3); n > 0; --n) add();
    };
    some(5, [&] { filter.add_types(KnownOf<v1::EventType>(5)); });
    some(5, [&] { filter.add_type_names(NonEmptyWord()); });
    some(5, [&] { filter.add_connector_ids(NonEmptyWord()); });
    some(5, [&] { filter.add_origin_ids(NonEmptyWord()); });
    some(5, [&] { filter.add_integration_slugs(NonEmptyWord()); });
    some(5, [&] { filter.add_categories(KnownOf<v1::Category>(3)); });
    some(8, [&] { filter.add_models(NonEmptyWord()); });
    some(5, [&] { filter.add_sync_types(KnownOf<v1::SyncType>(2)); });
    some(5, [&] {
      filter.add_connector_statuses(KnownOf<v1::ConnectorStatus>(3));
    });
    some(5, [&] { filter.add_endpoints(NonEmptyWord()); });
    return filter;
  }

  FilterProtos Filters() {
    FilterProtos filters;
    for (uint64_t n = Below(4); n > 0; --n) *filters.Add() = Filter();
    return filters;
  }

 private:
  std::string NonEmptyWord() {
    switch (Below(10)) {
      case 0:
        return "\xC3\xA9t\xC3\xA9";
      case 1:
        return std::string(300, 'x');
      default:
        return std::string(1, static_cast<char>('a' + Below(3)));
    }
  }
  std::string Word() { return OneIn(10) ? "" : NonEmptyWord(); }

  template <typename Enum>
  Enum KnownOf(int last) {
    return static_cast<Enum>(1 + Below(last));
  }
  // Also UNSPECIFIED, and numbers that only later editions know.
  template <typename Enum>
  Enum EnumOf(int last) {
    switch (Below(10)) {
      case 0:
        return static_cast<Enum>(0);
      case 1:
        return static_cast<Enum>(100 + Below(1000));
      default:
        return KnownOf<Enum>(last);
    }
  }

  void FillConnector(v1::Connector& connector) {
    connector.set_id(Word());
    connector.set_display_name(Word());
    connector.set_integration_slug(Word());
    for (uint64_t n = Below(4); n > 0; --n) {
      connector.add_categories(EnumOf<v1::Category>(3));
      connector.add_category_names(Word());
    }
    connector.set_origin_id(Word());
    connector.set_status(EnumOf<v1::ConnectorStatus>(3));
    if (OneIn(2)) connector.set_end_user_name(Word());
    if (OneIn(2)) connector.set_end_user_email(Word());
  }

  void FillSync(v1::Sync& sync) {
    sync.set_id(Word());
    sync.set_type(EnumOf<v1::SyncType>(2));
    sync.set_number(static_cast<uint32_t>(random_() >> 40));
  }

  void FillData(v1::Event& event) {
    switch (Below(5)) {
      case 0:
        event.mutable_sync_status()->set_integration_name(Word());
        break;
      case 1:
        event.mutable_employees_changed()->add_employee_ids(Word());
        break;
      case 2: {
        auto& unrecognized = *event.mutable_unrecognized();
        if (OneIn(2)) unrecognized.set_problem(Word());
        if (OneIn(4)) break;
        auto& fields = *unrecognized.mutable_data()->mutable_fields();
        fields[NonEmptyWord()].set_number_value(1.5);
        break;
      }
      default:
        for (uint64_t n = Below(12); n > 0; --n) {
          auto& change = *event.mutable_data_modified()->add_changes();
          change.set_model(Word());
          change.add_record_ids(Word());
        }
    }
  }

  std::mt19937_64 random_;
};

}  // namespace waggle

#endif  // WAGGLE_TESTS_FAKES_RANDOM_EVENTS_H_
