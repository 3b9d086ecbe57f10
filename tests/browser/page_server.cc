// Serves the operator's page, over deliveries that come at a given rate:
//
//   page_server PORT RATE open|closed
//
// Prints its port, and ends with its standard input. Closed, it takes the
// tokens "operator"; "reader", who may see no personal data; and "nobody", who
// may see nothing.
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/metrics.h"
#include "http/admin_server.h"
#include "tests/browser/busy_operator_api.h"

namespace waggle {
namespace {

absl::StatusOr<Caller> Authenticate(
    bool open, std::optional<std::string_view> authorization) {
  auto principal = std::make_shared<Principal>();
  if (open || authorization == "Bearer operator") {
    principal->rights = Rights::All();
  } else if (authorization == "Bearer reader") {
    principal->rights.admin = true;
  } else if (authorization != "Bearer nobody") {
    return absl::UnauthenticatedError("show a token");
  }
  Caller caller;
  caller.principal = std::move(principal);
  return caller;
}

int Serve(int port, double rate, bool open) {
  const Metrics metrics;
  testing::BusyOperatorApi api(rate);
  AdminServer server(
      {.readiness = [] { return absl::OkStatus(); },
       .authenticate =
           [open](std::optional<std::string_view> authorization) {
             return Authenticate(open, authorization);
           },
       .open = open},
      metrics, api);
  if (const absl::Status status = server.Listen("127.0.0.1", port);
      !status.ok()) {
    std::cerr << status << std::endl;
    return EXIT_FAILURE;
  }
  std::cout << server.port() << std::endl;
  while (std::cin.get() != EOF) {
  }
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace waggle

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: page_server PORT RATE open|closed" << std::endl;
    return EXIT_FAILURE;
  }
  return waggle::Serve(std::atoi(argv[1]), std::atof(argv[2]),
                       std::string_view(argv[3]) == "open");
}
