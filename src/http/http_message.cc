#include "http/http_message.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/json_string.h"
#include "base/strings.h"

namespace waggle {
namespace {

// RFC 9110, section 15.
std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Error";
  }
}

std::string StatusLine(const HttpResponse& response) {
  return absl::StrCat("HTTP/1.1 ", response.status, " ",
                      AsAbsl(ReasonPhrase(response.status)), "\r\n");
}

// Ends the head.
void AppendFields(std::string& out, const HttpResponse& response, bool typed,
                  bool close) {
  if (typed) {
    absl::StrAppend(&out, "Content-Type: ", response.content_type, "\r\n");
  }
  for (const auto& [name, value] : response.headers) {
    absl::StrAppend(&out, name, ": ", value, "\r\n");
  }
  absl::StrAppend(&out, close ? "Connection: close\r\n" : "", "\r\n");
}

}  // namespace

absl::InlinedVector<std::string_view, 2> HttpRequest::HeaderValues(
    std::string_view name) const {
  absl::InlinedVector<std::string_view, 2> values;
  for (const Field& field : fields_) {
    if (absl::EqualsIgnoreCase(AsAbsl(View(field.name)), AsAbsl(name))) {
      values.push_back(View(field.value));
    }
  }
  return values;
}

HttpResponse ProblemResponse(int status, std::string_view detail,
                             std::string_view members) {
  HttpResponse response;
  response.status = status;
  response.content_type = "application/problem+json";
  response.body = absl::StrCat(R"({"type":"about:blank","title":")",
                               AsAbsl(ReasonPhrase(status)), R"(","status":)",
                               status, R"(,"detail":)");
  AppendJsonString(response.body, detail);
  absl::StrAppend(&response.body, AsAbsl(members), "}\n");
  return response;
}

std::string Serialize(const HttpResponse& response, bool head_only,
                      bool close) {
  std::string out = StatusLine(response);
  absl::StrAppend(&out, "Content-Length: ", response.body.size(), "\r\n");
  AppendFields(out, response, /*typed=*/!response.body.empty(), close);
  if (!head_only) out.append(response.body);
  return out;
}

std::string SerializeStreamHead(const HttpResponse& response, bool chunked) {
  std::string out = StatusLine(response);
  if (chunked) out.append("Transfer-Encoding: chunked\r\n");
  AppendFields(out, response, /*typed=*/true, /*close=*/true);
  return out;
}

int StatusOf(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kMalformed:
      return 400;
    case RefusalReason::kTimeout:
      return 408;
    case RefusalReason::kBodyTooLarge:
      return 413;
    case RefusalReason::kTargetTooLong:
      return 414;
    case RefusalReason::kEncodedContent:
      return 415;
    case RefusalReason::kUnknownExpectation:
      return 417;
    case RefusalReason::kHeaderTooLarge:
      return 431;
    case RefusalReason::kTooManyConnections:
    case RefusalReason::kTooManyFromAddress:
    case RefusalReason::kTooMuchBuffered:
    case RefusalReason::kTooManyRequests:
    case RefusalReason::kDraining:
      return 503;
    case RefusalReason::kUnsupportedVersion:
      return 505;
    case RefusalReason::kHandshakeFailed:
    case RefusalReason::kAborted:
      return 0;
  }
  return 500;
}

}  // namespace waggle
