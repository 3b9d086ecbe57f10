// What a principal may do, and what of it a request lacks.
//
// A right is never trimmed in silence: a request that asks for more than the
// rights allow is refused with the name of what is missing. Only a request
// without filters asks for whatever its caller may see.
#ifndef WAGGLE_SECURITY_RIGHTS_H_
#define WAGGLE_SECURITY_RIGHTS_H_

#include <optional>
#include <string>
#include <string_view>

#include "event/filter.h"
#include "waggle/config/v1/access.pb.h"

namespace waggle {

// Named as in the access file.
enum class Capability { kPersonalData, kRawPayload, kDeliveries, kAdmin };
std::string_view Name(Capability capability);
std::optional<Capability> CapabilityFromName(std::string_view name);

// What a request needs and its caller does not have.
struct MissingRight {
  // "events", "endpoints", "event_types", "connector_ids", "origin_ids",
  // "integration_slugs", or the name of a capability.
  std::string right;
  // The request's field that asks for it, such as "filters[0].endpoints", or
  // "filters[1].types[0]"; empty if no single one does.
  std::string field;
  // For people: what is missing and what to do. Names no right's values that
  // the caller did not name itself.
  std::string description;
};

// Of a method that takes a capability.
MissingRight CapabilityMissing(Capability capability);

// Immutable but for assignment.
struct Rights {
  // Unset: may read no event. See AllowList for what it allows.
  std::optional<config::v1::AllowList> allow;
  bool personal_data = false;
  bool raw_payload = false;
  bool deliveries = false;
  bool admin = false;

  // Everything: the rights of whoever calls a gateway without access control.
  static Rights All();

  // Capability::kAdmin implies kDeliveries.
  bool Has(Capability capability) const;

  // The first right that reading events with these (valid) filters takes and
  // that is missing. A filter asks for what it names, and for everything where
  // it names nothing: so where the allow-list names values, every filter must
  // name some of them, and none other. `types` and `type_names` both name event
  // types; either will do.
  std::optional<MissingRight> MissingFor(const Filter::Protos& filters,
                                         bool include_payload) const;

  // The filters AND the allow-list: what may be sent. Exact also for filters
  // that lack a right. If nothing may be sent, and where `allow` is unset, the
  // result is not empty, which would match everything, but a filter that no
  // event matches. For Compile, not for Validate.
  Filter::Protos Restrict(const Filter::Protos& filters) const;

  // Whether whatever `other` may read these rights may read, too: its events,
  // personal data and payloads.
  bool Cover(const Rights& other) const;
};

}  // namespace waggle

#endif  // WAGGLE_SECURITY_RIGHTS_H_
