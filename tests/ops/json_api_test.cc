#include "ops/json_api.h"

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"
#include "tests/fakes/mock_operator_api.h"

namespace waggle {
namespace {

using ::testing::_;
using ::testing::HasSubstr;
using testing::MockOperatorApi;
using ::testing::NiceMock;
using ::testing::Return;

class JsonApiTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::string> Call(std::string_view path,
                                   std::string_view json) {
    return FindJsonMethod(path)->call(api_, json, caller_);
  }

  NiceMock<MockOperatorApi> api_;
  Caller caller_;
};

TEST_F(JsonApiTest, HasMethodsOfTheServicesUnderTheirOwnPaths) {
  const std::set<std::string> of_no_use_as_one_answer = {
      "/waggle.v1.DeliveryService/WatchDeliveries"};
  for (const google::protobuf::FileDescriptor* file :
       {v1::ListDeliveriesRequest::descriptor()->file(),
        v1::GetGatewayRequest::descriptor()->file()}) {
    const auto* service = file->service(0);
    for (int i = 0; i < service->method_count(); ++i) {
      const std::string path = absl::StrCat("/", service->full_name(), "/",
                                            service->method(i)->name());
      EXPECT_EQ(FindJsonMethod(path) != nullptr,
                of_no_use_as_one_answer.count(path) == 0)
          << path;
    }
  }
  EXPECT_NE(FindJsonMethod("/waggle.v1.EventService/GetEvent"), nullptr);
  EXPECT_EQ(FindJsonMethod("/waggle.v1.EventService/Subscribe"), nullptr);
  EXPECT_EQ(FindJsonMethod("/waggle.v1.EventService/GetEvent/"), nullptr);
  EXPECT_EQ(FindJsonMethod(""), nullptr);
}

TEST_F(JsonApiTest, TranslatesRequestAndResponse) {
  v1::ListDeliveriesResponse response;
  auto& delivery = *response.add_deliveries();
  delivery.set_id(12345678901234567890U);
  delivery.set_outcome(v1::DELIVERY_OUTCOME_UNAUTHENTICATED);
  v1::ListDeliveriesRequest asked;
  EXPECT_CALL(api_, ListDeliveries(_, _))
      .WillOnce([&](const v1::ListDeliveriesRequest& request, const Caller&) {
        asked = request;
        return response;
      });
  const auto json = Call("/waggle.v1.DeliveryService/ListDeliveries",
                         R"({"filter":{"afterId":"7","outcomes":
                            ["DELIVERY_OUTCOME_TIMEOUT"]},"page_size":3})");
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ(asked.filter().after_id(), 7U);
  EXPECT_EQ(asked.filter().outcomes(0), v1::DELIVERY_OUTCOME_TIMEOUT);
  EXPECT_EQ(asked.page_size(), 3U);
  EXPECT_EQ(*json, R"({"deliveries":[{"id":"12345678901234567890",)"
                   R"("outcome":"DELIVERY_OUTCOME_UNAUTHENTICATED"}]})");
}

TEST_F(JsonApiTest, GivesPayloadsInBase64) {
  v1::GetEventResponse response;
  response.mutable_event()->set_payload("\xff\x01");
  EXPECT_CALL(api_, GetEvent(_, _)).WillOnce(Return(response));
  EXPECT_EQ(*Call("/waggle.v1.EventService/GetEvent", R"({"id":"x"})"),
            R"({"event":{"payload":"/wE="}})");
}

TEST_F(JsonApiTest, HandsErrorsOn) {
  EXPECT_CALL(api_, GetDelivery(_, _))
      .WillOnce(Return(absl::NotFoundError("no such delivery is kept")));
  EXPECT_EQ(Call("/waggle.v1.DeliveryService/GetDelivery", "{}").status(),
            absl::NotFoundError("no such delivery is kept"));
}

TEST_F(JsonApiTest, RefusesWhatIsNotARequestOfTheMethod) {
  EXPECT_CALL(api_, GetDelivery(_, _)).Times(0);
  const std::string deep(100'000, '[');
  for (const std::string& json :
       {std::string(), std::string("nonsense"), std::string("[]"),
        std::string(R"({"id":"1","surprise":2})"),
        std::string(R"({"id":"-1"})"), std::string(R"({"id":"1")"),
        std::string("{\"id\":\"\xff\"}"), deep}) {
    const auto result = Call("/waggle.v1.DeliveryService/GetDelivery", json);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument)
        << json.substr(0, 40);
    EXPECT_THAT(std::string(result.status().message()),
                HasSubstr("waggle.v1.GetDeliveryRequest"));
  }
}

}  // namespace
}  // namespace waggle
