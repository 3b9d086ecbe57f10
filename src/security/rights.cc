#include "security/rights.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "event/event_types.h"
#include "google/protobuf/repeated_ptr_field.h"

namespace waggle {
namespace {

using config::v1::AllowList;
using Strings = google::protobuf::RepeatedPtrField<std::string>;

constexpr std::pair<Capability, std::string_view> kCapabilities[] = {
    {Capability::kPersonalData, "personal_data"},
    {Capability::kRawPayload, "raw_payload"},
    {Capability::kDeliveries, "deliveries"},
    {Capability::kAdmin, "admin"},
};

// Something that an allow-list limits, and the filters' field for it.
struct Dimension {
  std::string_view right;
  std::string_view field;
  const Strings& (AllowList::*allowed)() const;
  const Strings& (v1::EventFilter::*named)() const;
  Strings* (v1::EventFilter::*mutable_named)();
};

constexpr Dimension kEventTypes = {
    "event_types", "type_names", &AllowList::event_types,
    &v1::EventFilter::type_names, &v1::EventFilter::mutable_type_names};
constexpr Dimension kDimensions[] = {
    {"endpoints", "endpoints", &AllowList::endpoints,
     &v1::EventFilter::endpoints, &v1::EventFilter::mutable_endpoints},
    kEventTypes,
    {"connector_ids", "connector_ids", &AllowList::connector_ids,
     &v1::EventFilter::connector_ids, &v1::EventFilter::mutable_connector_ids},
    {"origin_ids", "origin_ids", &AllowList::origin_ids,
     &v1::EventFilter::origin_ids, &v1::EventFilter::mutable_origin_ids},
    {"integration_slugs", "integration_slugs", &AllowList::integration_slugs,
     &v1::EventFilter::integration_slugs,
     &v1::EventFilter::mutable_integration_slugs},
};

// No event has a type below zero, so a filter for one matches nothing.
constexpr int kImpossibleType = -1;

using Set = absl::flat_hash_set<absl::string_view>;

Set SetOf(const Strings& values) { return Set(values.begin(), values.end()); }

MissingRight NotNamed(std::string_view right, std::string field) {
  return {std::string(right), std::move(field),
          absl::StrCat("your rights are limited to certain ", AsAbsl(right),
                       ": every filter must name those that it asks for")};
}

MissingRight NotAllowed(std::string_view right, std::string field) {
  return {std::string(right), std::move(field),
          absl::StrCat("not among the ", AsAbsl(right),
                       " that your rights allow: leave it out, or ask the "
                       "gateway's operator for it")};
}

MissingRight NotCapable(Capability capability) {
  const std::string_view name = Name(capability);
  return {std::string(name), "include_payload",
          absl::StrCat("payloads take the capability ", AsAbsl(name),
                       ": leave them out, or ask the gateway's operator for "
                       "it")};
}

// What one filter lacks of one dimension, which is limited to `allowed`.
// `prefix` is the path of the filter with a dot.
std::optional<MissingRight> MissingIn(const v1::EventFilter& filter,
                                      const Dimension& dimension,
                                      const Set& allowed,
                                      absl::string_view prefix) {
  const Strings& named = (filter.*dimension.named)();
  for (int i = 0; i < named.size(); ++i) {
    if (!allowed.contains(named[i])) {
      return NotAllowed(
          dimension.right,
          absl::StrCat(prefix, AsAbsl(dimension.field), "[", i, "]"));
    }
  }
  if (!named.empty()) return std::nullopt;
  return NotNamed(dimension.right,
                  absl::StrCat(prefix, AsAbsl(dimension.field)));
}

// The same for event types, which filters name in two ways.
std::optional<MissingRight> MissingTypesIn(const v1::EventFilter& filter,
                                           const Set& allowed,
                                           absl::string_view prefix) {
  for (int i = 0; i < filter.types_size(); ++i) {
    const bool is_allowed =
        std::any_of(EventTypeNames().begin(), EventTypeNames().end(),
                    [&](const EventTypeName& known) {
                      return known.type == filter.types(i) &&
                             allowed.contains(AsAbsl(known.name));
                    });
    if (!is_allowed) {
      return NotAllowed(kEventTypes.right,
                        absl::StrCat(prefix, "types[", i, "]"));
    }
  }
  if (!filter.type_names().empty()) {
    return MissingIn(filter, kEventTypes, allowed, prefix);
  }
  if (!filter.types().empty()) return std::nullopt;
  return NotNamed(kEventTypes.right, absl::StrCat(prefix, "types"));
}

// Narrows `values`, of which none means all, to those that are allowed. False
// if none is left.
bool Intersect(const Strings& allowed_values, const Set& allowed,
               Strings& values) {
  if (allowed_values.empty()) return true;
  if (values.empty()) {
    values = allowed_values;
    return true;
  }
  const auto end = std::remove_if(
      values.begin(), values.end(),
      [&](const std::string& value) { return !allowed.contains(value); });
  values.erase(end, values.end());
  return !values.empty();
}

bool Covers(const AllowList& list, const AllowList& other) {
  return std::all_of(std::begin(kDimensions), std::end(kDimensions),
                     [&](const Dimension& dimension) {
                       const Strings& mine = (list.*dimension.allowed)();
                       const Strings& others = (other.*dimension.allowed)();
                       if (mine.empty()) return true;
                       const Set set = SetOf(mine);
                       return !others.empty() &&
                              std::all_of(others.begin(), others.end(),
                                          [&set](const std::string& value) {
                                            return set.contains(value);
                                          });
                     });
}

}  // namespace

std::string_view Name(Capability capability) {
  for (const auto& [known, name] : kCapabilities) {
    if (known == capability) return name;
  }
  return {};
}

std::optional<Capability> CapabilityFromName(std::string_view name) {
  for (const auto& [capability, known] : kCapabilities) {
    if (known == name) return capability;
  }
  return std::nullopt;
}

MissingRight CapabilityMissing(Capability capability) {
  const std::string name(Name(capability));
  return {name, "", absl::StrCat("this method takes the capability ", name)};
}

Rights Rights::All() {
  return {.allow = AllowList(),
          .personal_data = true,
          .raw_payload = true,
          .deliveries = true,
          .admin = true};
}

bool Rights::Has(Capability capability) const {
  switch (capability) {
    case Capability::kPersonalData:
      return personal_data;
    case Capability::kRawPayload:
      return raw_payload;
    case Capability::kDeliveries:
      return deliveries || admin;
    case Capability::kAdmin:
      return admin;
  }
  return false;
}

std::optional<MissingRight> Rights::MissingFor(const Filter::Protos& filters,
                                               bool include_payload) const {
  if (!allow.has_value()) {
    return MissingRight{"events", "",
                        "your rights allow no events: ask the gateway's "
                        "operator for those that you need"};
  }
  for (const Dimension& dimension : kDimensions) {
    const Strings& values = (*allow.*dimension.allowed)();
    if (values.empty()) continue;
    const Set allowed = SetOf(values);
    for (int i = 0; i < filters.size(); ++i) {
      const std::string prefix = absl::StrCat("filters[", i, "].");
      auto missing = dimension.right == kEventTypes.right
                         ? MissingTypesIn(filters[i], allowed, prefix)
                         : MissingIn(filters[i], dimension, allowed, prefix);
      if (missing.has_value()) return missing;
    }
  }
  if (include_payload) {
    for (const Capability capability :
         {Capability::kRawPayload, Capability::kPersonalData}) {
      if (!Has(capability)) return NotCapable(capability);
    }
  }
  return std::nullopt;
}

Filter::Protos Rights::Restrict(const Filter::Protos& filters) const {
  Filter::Protos restricted = filters;
  if (!allow.has_value()) {
    restricted.Clear();
    restricted.Add()->add_types(static_cast<v1::EventType>(kImpossibleType));
    return restricted;
  }
  if (restricted.empty()) restricted.Add();
  for (const Dimension& dimension : kDimensions) {
    const Strings& values = (*allow.*dimension.allowed)();
    const Set allowed = SetOf(values);
    const auto end = std::remove_if(
        restricted.begin(), restricted.end(), [&](v1::EventFilter& filter) {
          return !Intersect(values, allowed,
                            *(filter.*dimension.mutable_named)());
        });
    restricted.erase(end, restricted.end());
  }
  // No filter at all would match everything.
  if (restricted.empty()) {
    restricted.Add()->add_types(static_cast<v1::EventType>(kImpossibleType));
  }
  return restricted;
}

bool Rights::Cover(const Rights& other) const {
  if (other.personal_data && !personal_data) return false;
  if (other.raw_payload && !raw_payload) return false;
  if (!other.allow.has_value()) return true;
  return allow.has_value() && Covers(*allow, *other.allow);
}

}  // namespace waggle
