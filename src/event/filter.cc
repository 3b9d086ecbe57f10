#include "event/filter.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <type_traits>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "google/protobuf/repeated_field.h"

namespace waggle {
namespace {

constexpr size_t kMaxValueSize = 512;

using Strings = google::protobuf::RepeatedPtrField<std::string>;
using Enums = google::protobuf::RepeatedField<int>;

// Calls visit(name, values) for each field of the filter; the one list of what
// a filter holds.
template <typename Visitor>
void VisitFields(const v1::EventFilter& filter, Visitor visit) {
  visit("types", filter.types(), v1::EventType_IsValid);
  visit("type_names", filter.type_names());
  visit("connector_ids", filter.connector_ids());
  visit("origin_ids", filter.origin_ids());
  visit("integration_slugs", filter.integration_slugs());
  visit("categories", filter.categories(), v1::Category_IsValid);
  visit("models", filter.models());
  visit("sync_types", filter.sync_types(), v1::SyncType_IsValid);
  visit("connector_statuses", filter.connector_statuses(),
        v1::ConnectorStatus_IsValid);
  visit("endpoints", filter.endpoints());
}

class Validator {
 public:
  explicit Validator(int index)
      : prefix_(absl::StrCat("filters[", index, "].")) {}

  void operator()(std::string_view name, const Strings& values) {
    for (int i = 0; i < values.size(); ++i) {
      if (values[i].empty()) {
        Add(name, i, "must not be empty: leave the field out to match any");
      } else if (values[i].size() > kMaxValueSize) {
        Add(name, i, absl::StrCat("longer than ", kMaxValueSize, " bytes"));
      }
    }
  }

  void operator()(std::string_view name, const Enums& values,
                  bool (*is_valid)(int)) {
    for (int i = 0; i < values.size(); ++i) {
      if (values[i] == 0) {
        Add(name, i, "UNSPECIFIED selects nothing: name a value");
      } else if (!is_valid(values[i])) {
        Add(name, i,
            absl::StrCat("this gateway knows no value with number ",
                         values[i]));
      }
    }
  }

  std::vector<FieldViolation>& violations() { return violations_; }

 private:
  void Add(std::string_view name, int index, std::string description) {
    violations_.push_back({absl::StrCat(prefix_, AsAbsl(name), "[", index, "]"),
                           std::move(description)});
  }

  const std::string prefix_;
  std::vector<FieldViolation> violations_;
};

// Adds the values, sorted, in a form that no other values have.
class KeyWriter {
 public:
  explicit KeyWriter(std::string& key) : key_(key) { key_.push_back('{'); }
  ~KeyWriter() { key_.push_back('}'); }

  void operator()(std::string_view name, const Strings& values) {
    std::vector<std::string_view> sorted(values.begin(), values.end());
    Write(sorted, [](std::string_view v) {
      return absl::StrCat(v.size(), ":", AsAbsl(v));
    });
  }
  void operator()(std::string_view name, const Enums& values,
                  bool (*is_valid)(int)) {
    std::vector<int> sorted(values.begin(), values.end());
    Write(sorted, [](int v) { return absl::StrCat(v); });
  }

 private:
  template <typename T, typename Format>
  void Write(std::vector<T>& values, Format format) {
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    for (const T& value : values) absl::StrAppend(&key_, format(value), ",");
    key_.push_back(';');
  }

  std::string& key_;
};

// The values of one field: empty allows everything.
template <typename T>
class Allowed {
 public:
  using View =
      std::conditional_t<std::is_same_v<T, std::string>, std::string_view, T>;

  template <typename Values>
  explicit Allowed(const Values& values)
      : values_(values.begin(), values.end()) {}

  bool Has(View value) const {
    return values_.empty() || values_.contains(Key(value));
  }
  template <typename Container>
  bool HasAny(const Container& values) const {
    return values_.empty() ||
           std::any_of(values.begin(), values.end(), [this](View value) {
             return values_.contains(Key(value));
           });
  }

 private:
  static absl::string_view Key(std::string_view value) { return AsAbsl(value); }
  static int Key(int value) { return value; }

  absl::flat_hash_set<T> values_;
};

}  // namespace

struct Filter::Alternative {
  explicit Alternative(const v1::EventFilter& filter)
      : types(filter.types()),
        type_names(filter.type_names()),
        connector_ids(filter.connector_ids()),
        origin_ids(filter.origin_ids()),
        integration_slugs(filter.integration_slugs()),
        categories(filter.categories()),
        models(filter.models()),
        sync_types(filter.sync_types()),
        connector_statuses(filter.connector_statuses()),
        endpoints(filter.endpoints()) {}

  bool Matches(const EventView& event) const {
    return types.Has(event.type) && type_names.Has(event.type_name) &&
           connector_ids.Has(event.connector_id) &&
           origin_ids.Has(event.origin_id) &&
           integration_slugs.Has(event.integration_slug) &&
           categories.HasAny(event.categories) && models.HasAny(event.models) &&
           sync_types.Has(event.sync_type) &&
           connector_statuses.Has(event.connector_status) &&
           endpoints.Has(event.endpoint);
  }

  Allowed<int> types;
  Allowed<std::string> type_names;
  Allowed<std::string> connector_ids;
  Allowed<std::string> origin_ids;
  Allowed<std::string> integration_slugs;
  Allowed<int> categories;
  Allowed<std::string> models;
  Allowed<int> sync_types;
  Allowed<int> connector_statuses;
  Allowed<std::string> endpoints;
};

Filter::Filter() = default;
Filter::~Filter() = default;

std::vector<FieldViolation> Filter::Validate(const Protos& filters,
                                             const FilterLimits& limits) {
  if (filters.size() > limits.max_filters) {
    return {{"filters",
             absl::StrCat("more than ", limits.max_filters, " filters")}};
  }
  // First, so that what is found wrong with values is bounded, too.
  int values = 0;
  for (const v1::EventFilter& filter : filters) {
    VisitFields(filter, [&values](std::string_view, const auto& field,
                                  auto&&...) { values += field.size(); });
  }
  if (values > limits.max_values) {
    return {{"filters", absl::StrCat("more than ", limits.max_values,
                                     " values in all; found ", values)}};
  }
  std::vector<FieldViolation> violations;
  for (int i = 0; i < filters.size(); ++i) {
    Validator validator(i);
    VisitFields(filters[i],
                [&validator](auto&&... field) { validator(field...); });
    std::move(validator.violations().begin(), validator.violations().end(),
              std::back_inserter(violations));
  }
  return violations;
}

std::shared_ptr<const Filter> Filter::Compile(const Protos& filters) {
  // Not make_shared: the constructor is private.
  std::shared_ptr<Filter> filter(new Filter());
  for (const v1::EventFilter& proto : filters) {
    const bool is_empty = proto.ByteSizeLong() == 0;
    if (is_empty) {  // One that matches everything makes the others moot.
      filter->alternatives_.clear();
      filter->key_.clear();
      return filter;
    }
    filter->alternatives_.emplace_back(proto);
    KeyWriter writer(filter->key_);
    VisitFields(proto, [&writer](auto&&... field) { writer(field...); });
  }
  return filter;
}

bool Filter::Matches(const EventView& event) const {
  return alternatives_.empty() ||
         std::any_of(alternatives_.begin(), alternatives_.end(),
                     [&event](const Alternative& alternative) {
                       return alternative.Matches(event);
                     });
}

}  // namespace waggle
