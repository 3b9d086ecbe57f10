#include "ops/json_api.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "google/protobuf/util/json_util.h"

namespace waggle {
namespace {

template <typename Request, typename Response>
using Method = absl::StatusOr<Response> (OperatorApi::*)(const Request&,
                                                         const Caller&);

template <typename Request, typename Response>
absl::StatusOr<std::string> CallIn(Method<Request, Response> method,
                                   OperatorApi& api, std::string_view json,
                                   const Caller& caller) {
  Request request;
  const auto parsed = google::protobuf::util::JsonStringToMessage(
      {json.data(), json.size()}, &request);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("send a ", Request::descriptor()->full_name(),
                     " in proto3's JSON: ", std::string(parsed.message())));
  }
  WAGGLE_ASSIGN_OR_RETURN(const Response response,
                          (api.*method)(request, caller));
  std::string out;
  const auto printed =
      google::protobuf::util::MessageToJsonString(response, &out);
  if (!printed.ok()) {
    return absl::InternalError(
        absl::StrCat("no JSON can be made of the response: ",
                     std::string(printed.message())));
  }
  return out;
}

template <auto kMethod>
absl::StatusOr<std::string> Call(OperatorApi& api, std::string_view json,
                                 const Caller& caller) {
  return CallIn(kMethod, api, json, caller);
}

constexpr JsonMethod kMethods[] = {
    {"/waggle.v1.DeliveryService/ListDeliveries",
     Call<&OperatorApi::ListDeliveries>},
    {"/waggle.v1.DeliveryService/GetDelivery", Call<&OperatorApi::GetDelivery>},
    {"/waggle.v1.DeliveryService/CheckDelivery",
     Call<&OperatorApi::CheckDelivery>},
    {"/waggle.v1.GatewayService/GetGateway", Call<&OperatorApi::GetGateway>},
    {"/waggle.v1.GatewayService/ListSubscribers",
     Call<&OperatorApi::ListSubscribers>},
    {"/waggle.v1.EventService/GetEvent", Call<&OperatorApi::GetEvent>},
};

}  // namespace

absl::Span<const JsonMethod> JsonMethods() { return kMethods; }

const JsonMethod* FindJsonMethod(std::string_view path) {
  for (const JsonMethod& method : kMethods) {
    if (method.path == path) return &method;
  }
  return nullptr;
}

}  // namespace waggle
