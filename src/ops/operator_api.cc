#include "ops/operator_api.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/rpc/error_details.pb.h"

namespace waggle {
namespace {

constexpr absl::string_view kFieldsUrl =
    "type.googleapis.com/google.rpc.BadRequest";
constexpr absl::string_view kRightUrl =
    "type.googleapis.com/google.rpc.ErrorInfo";

// False if the status has no such detail.
template <typename Detail>
bool Unpack(const absl::Status& status, absl::string_view url, Detail& detail) {
  const auto payload = status.GetPayload(url);
  return payload.has_value() && detail.ParseFromString(std::string(*payload));
}

}  // namespace

absl::Status InvalidFieldsError(const std::vector<FieldViolation>& violations) {
  google::rpc::BadRequest detail;
  for (const FieldViolation& violation : violations) {
    auto* proto = detail.add_field_violations();
    proto->set_field(violation.field);
    proto->set_description(violation.description);
  }
  absl::Status status = absl::InvalidArgumentError(absl::StrCat(
      violations.front().field, ": ", violations.front().description));
  status.SetPayload(kFieldsUrl, absl::Cord(detail.SerializeAsString()));
  return status;
}

std::vector<FieldViolation> FieldViolationsOf(const absl::Status& status) {
  std::vector<FieldViolation> violations;
  google::rpc::BadRequest detail;
  if (!Unpack(status, kFieldsUrl, detail)) return violations;
  for (const auto& proto : detail.field_violations()) {
    violations.push_back({proto.field(), proto.description()});
  }
  return violations;
}

absl::Status MissingRightError(const MissingRight& missing) {
  google::rpc::ErrorInfo detail;
  (*detail.mutable_metadata())["right"] = missing.right;
  (*detail.mutable_metadata())["field"] = missing.field;
  absl::Status status = absl::PermissionDeniedError(missing.description);
  status.SetPayload(kRightUrl, absl::Cord(detail.SerializeAsString()));
  return status;
}

std::optional<MissingRight> MissingRightOf(const absl::Status& status) {
  google::rpc::ErrorInfo detail;
  if (!Unpack(status, kRightUrl, detail)) return std::nullopt;
  return MissingRight{(*detail.mutable_metadata())["right"],
                      (*detail.mutable_metadata())["field"],
                      std::string(status.message())};
}

}  // namespace waggle
