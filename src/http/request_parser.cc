#include "http/request_parser.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "base/strings.h"

namespace waggle {
namespace {

// A body is given room at once up to this; beyond it only as bytes come, so
// that a number in a header alone costs no memory.
constexpr size_t kReservedBody = 64 * 1024;
constexpr size_t kMaxMethod = 32;

constexpr std::string_view kBadLineEnd =
    "A line does not end with CRLF, or holds a control character.";

bool Equals(std::string_view a, std::string_view b) {
  return absl::EqualsIgnoreCase(AsAbsl(a), AsAbsl(b));
}

// RFC 9110, 5.6.2.
bool IsToken(std::string_view s) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !s.empty() && std::all_of(s.begin(), s.end(), [&](unsigned char c) {
    return absl::ascii_isalnum(c) || kMarks.find(c) != std::string_view::npos;
  });
}

// RFC 9110, 5.5: visible characters, white space and what is not ASCII.
bool IsFieldContent(std::string_view s) {
  return std::all_of(s.begin(), s.end(), [](unsigned char c) {
    return c == '\t' || (c >= 0x20 && c != 0x7f);
  });
}

std::string_view TrimBlanks(std::string_view s) {
  const size_t first = s.find_first_not_of(" \t");
  if (first == std::string_view::npos) return s.substr(s.size());
  return s.substr(first, s.find_last_not_of(" \t") - first + 1);
}

// Cuts "\r\n" off; false if that is not how the line ends. The rest may hold a
// stray CR, which no valid line survives.
bool CutLineEnd(std::string_view& line) {
  if (line.size() < 2 || line[line.size() - 2] != '\r') return false;
  line.remove_suffix(2);
  return true;
}

struct FieldParts {
  std::string_view name;
  std::string_view value;
};

std::optional<FieldParts> SplitField(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const FieldParts parts = {line.substr(0, colon),
                            TrimBlanks(line.substr(colon + 1))};
  if (!IsToken(parts.name) || !IsFieldContent(parts.value)) return std::nullopt;
  return parts;
}

// Digits only, in base 10 or 16, saturating far above any limit.
std::optional<size_t> ParseSize(std::string_view digits, int base) {
  if (digits.empty()) return std::nullopt;
  size_t value = 0;
  for (const unsigned char c : digits) {
    int digit;
    if (absl::ascii_isdigit(c)) {
      digit = c - '0';
    } else if (base == 16 && absl::ascii_isxdigit(c)) {
      digit = absl::ascii_tolower(c) - 'a' + 10;
    } else {
      return std::nullopt;
    }
    value = std::min<size_t>(value * base + digit, size_t{1} << 48);
  }
  return value;
}

}  // namespace

size_t RequestParser::Feed(std::string_view data) {
  size_t used = 0;
  while (used < data.size() && state_ < State::kComplete) {
    used += Step(data.substr(used));
  }
  return used;
}

size_t RequestParser::Step(std::string_view data) {
  switch (state_) {
    case State::kRequestLine:
    case State::kFields:
      return FeedHead(data);
    case State::kBody:
    case State::kChunkData:
      return FeedBody(data);
    case State::kChunkSize:
    case State::kChunkEnd:
    case State::kTrailer:
      return FeedChunkLine(data);
    case State::kComplete:
    case State::kRefused:
      break;
  }
  return 0;
}

// Limits are tested before a line is looked at, so that the answer is the same
// whether or not the rest of the line is there already.
size_t RequestParser::FeedHead(std::string_view data) {
  const size_t line_feed = data.find('\n');
  const bool whole = line_feed != std::string_view::npos;
  const size_t taken = whole ? line_feed + 1 : data.size();
  std::string& head = request_.head_;
  const size_t line_size = head.size() - line_start_ + taken;
  if (state_ == State::kRequestLine && line_size > kMaxRequestLine) {
    Refuse(RefusalReason::kTargetTooLong,
           "The request line is longer than 4 KiB; use a shorter URL.");
    return taken;
  }
  if (line_size > kMaxFieldLine || head.size() + taken > kMaxHead) {
    Refuse(RefusalReason::kHeaderTooLarge,
           "The header is larger than 16 KiB, or one field is longer than "
           "8000 bytes; send less.");
    return taken;
  }
  head.append(data.substr(0, taken));
  if (!whole) return taken;

  const size_t offset = std::exchange(line_start_, head.size());
  std::string_view line = std::string_view(head).substr(offset);
  if (!CutLineEnd(line)) {
    Refuse(RefusalReason::kMalformed, kBadLineEnd);
  } else if (state_ == State::kRequestLine) {
    OnRequestLine(line, offset);
  } else if (line.empty()) {
    OnHeadComplete();
  } else {
    OnField(line, offset);
  }
  return taken;
}

void RequestParser::OnRequestLine(std::string_view line, size_t offset) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return Refuse(RefusalReason::kMalformed,
                  "The request line is not METHOD TARGET VERSION.");
  }
  const std::string_view method = line.substr(0, first);
  std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!IsToken(method) || method.size() > kMaxMethod) {
    return Refuse(RefusalReason::kMalformed, "The method is not a token.");
  }
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    const bool other = version.size() == 8 && version.starts_with("HTTP/") &&
                       absl::ascii_isdigit(version[5]) && version[6] == '.' &&
                       absl::ascii_isdigit(version[7]);
    return other ? Refuse(RefusalReason::kUnsupportedVersion,
                          "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
                 : Refuse(RefusalReason::kMalformed,
                          "The request line does not end with a version.");
  }
  http_1_1_ = version == "HTTP/1.1";
  keep_alive_ = http_1_1_;

  // A target may name the whole URL (RFC 9112, 3.2.2); the path is what counts.
  size_t path = offset + first + 1;
  if (absl::StartsWithIgnoreCase(AsAbsl(target), "http://")) {
    const size_t slash = std::min(target.find('/', 7), target.size());
    target.remove_prefix(slash);
    path += slash;
  }
  const bool printable =
      std::all_of(target.begin(), target.end(),
                  [](unsigned char c) { return c > 0x20 && c < 0x7f; });
  if (!printable || (!target.starts_with('/') && target != "*")) {
    return Refuse(RefusalReason::kMalformed, "The target is not a path.");
  }
  request_.method_ = {static_cast<uint32_t>(offset),
                      static_cast<uint32_t>(method.size())};
  const size_t path_size = std::min(target.find('?'), target.size());
  request_.path_ = {static_cast<uint32_t>(path),
                    static_cast<uint32_t>(path_size)};
  const size_t query = std::min(path_size + 1, target.size());
  request_.query_ = {static_cast<uint32_t>(path + query),
                     static_cast<uint32_t>(target.size() - query)};
  state_ = State::kFields;
}

void RequestParser::OnField(std::string_view line, size_t offset) {
  if (request_.fields_.size() == kMaxFields) {
    return Refuse(RefusalReason::kHeaderTooLarge,
                  "There are more than 64 header fields; send fewer.");
  }
  const std::optional<FieldParts> field = SplitField(line);
  if (!field) {
    return Refuse(RefusalReason::kMalformed,
                  "A header field is not NAME: VALUE on one line.");
  }
  const auto span = [&](std::string_view part) {
    return HttpRequest::Span{
        static_cast<uint32_t>(offset + (part.data() - line.data())),
        static_cast<uint32_t>(part.size())};
  };
  request_.fields_.push_back({span(field->name), span(field->value)});
  OnKnownField(field->name, field->value);
}

// Only notes what counts for the whole; OnHeadComplete judges it.
void RequestParser::OnKnownField(std::string_view name,
                                 std::string_view value) {
  if (Equals(name, "host")) {
    ++hosts_;
  } else if (Equals(name, "content-length")) {
    OnContentLength(value);
  } else if (Equals(name, "transfer-encoding")) {
    if (chunked_ || !Equals(value, "chunked")) {
      return Refuse(RefusalReason::kMalformed,
                    "Transfer-Encoding can only be chunked, once.");
    }
    chunked_ = true;
  } else if (Equals(name, "connection")) {
    for (const absl::string_view option : absl::StrSplit(AsAbsl(value), ',')) {
      if (absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(option), "close")) {
        keep_alive_ = false;
      }
    }
  } else if (Equals(name, "expect")) {
    if (!Equals(value, "100-continue")) {
      return Refuse(RefusalReason::kUnknownExpectation,
                    "Expect can only be 100-continue.");
    }
    expects_continue_ = true;
  } else if (Equals(name, "content-encoding")) {
    if (!Equals(value, "identity")) {
      return Refuse(RefusalReason::kEncodedContent,
                    "Send the body without Content-Encoding.");
    }
  } else if (Equals(name, "range")) {
    return Refuse(RefusalReason::kMalformed, "Send no Range.");
  }
}

void RequestParser::OnContentLength(std::string_view value) {
  const std::optional<size_t> length = ParseSize(value, 10);
  if (!length || content_length_) {
    return Refuse(RefusalReason::kMalformed,
                  "Content-Length must be one number, once.");
  }
  content_length_ = length;
}

void RequestParser::OnHeadComplete() {
  request_.head_complete_ = true;
  if (hosts_ > 1 || (http_1_1_ && hosts_ == 0)) {
    return Refuse(RefusalReason::kMalformed, "Send exactly one Host field.");
  }
  if (chunked_ && (content_length_ || !http_1_1_)) {
    return Refuse(RefusalReason::kMalformed,
                  "Transfer-Encoding cannot stand beside Content-Length, nor "
                  "in HTTP/1.0.");
  }
  expects_continue_ = expects_continue_ && http_1_1_;
  body_left_ = content_length_.value_or(0);
  if (body_left_ > max_body_) {
    // Valid as far as it goes: whoever is told of the refusal sees the path.
    return Refuse(RefusalReason::kBodyTooLarge,
                  "The body is larger than this server takes.");
  }
  if (chunked_) {
    state_ = State::kChunkSize;
  } else if (body_left_ > 0) {
    request_.body.reserve(std::min(body_left_, kReservedBody));
    state_ = State::kBody;
  } else {
    state_ = State::kComplete;
  }
}

size_t RequestParser::FeedBody(std::string_view data) {
  const size_t taken = std::min(data.size(), body_left_);
  request_.body.append(data.substr(0, taken));
  body_left_ -= taken;
  if (body_left_ == 0) {
    state_ = state_ == State::kBody ? State::kComplete : State::kChunkEnd;
  }
  return taken;
}

size_t RequestParser::FeedChunkLine(std::string_view data) {
  const size_t line_feed = data.find('\n');
  const bool whole = line_feed != std::string_view::npos;
  const size_t taken = whole ? line_feed + 1 : data.size();
  if (line_.size() + taken > kMaxChunkLine) {
    Refuse(RefusalReason::kMalformed,
           "A line of the chunked body is longer than 256 bytes.");
    return taken;
  }
  line_.append(data.substr(0, taken));
  if (!whole) return taken;

  std::string_view line = line_;
  if (!CutLineEnd(line)) {
    Refuse(RefusalReason::kMalformed, kBadLineEnd);
  } else if (state_ == State::kChunkSize) {
    OnChunkSize(line);
  } else if (state_ == State::kTrailer) {
    OnTrailer(line);
  } else if (line.empty()) {
    state_ = State::kChunkSize;
  } else {
    Refuse(RefusalReason::kMalformed, "A chunk is longer than it says.");
  }
  line_.clear();
  return taken;
}

void RequestParser::OnChunkSize(std::string_view line) {
  const std::string_view digits = line.substr(0, line.find(';'));
  const std::string_view extension = line.substr(digits.size());
  const std::optional<size_t> size = ParseSize(digits, 16);
  chunk_extras_ += extension.size();
  if (!size || !IsFieldContent(extension) || chunk_extras_ > kMaxChunkExtras) {
    return Refuse(RefusalReason::kMalformed,
                  "A chunk does not start with its size in hexadecimal.");
  }
  if (*size > max_body_ - request_.body.size()) {
    return Refuse(RefusalReason::kBodyTooLarge,
                  "The body is larger than this server takes.");
  }
  body_left_ = *size;
  state_ = *size > 0 ? State::kChunkData : State::kTrailer;
}

// Trailer fields are checked and dropped: nothing here may depend on them.
void RequestParser::OnTrailer(std::string_view line) {
  if (line.empty()) {
    state_ = State::kComplete;
    return;
  }
  chunk_extras_ += line.size();
  if (!SplitField(line) || chunk_extras_ > kMaxChunkExtras) {
    Refuse(RefusalReason::kMalformed, "The trailer is malformed or too long.");
  }
}

void RequestParser::Refuse(RefusalReason reason, std::string_view detail) {
  refusal_ = Refusal{reason, detail};
  state_ = State::kRefused;
}

HttpRequest RequestParser::TakeRequest() {
  HttpRequest request = std::move(request_);
  *this = RequestParser(max_body_);
  return request;
}

}  // namespace waggle
