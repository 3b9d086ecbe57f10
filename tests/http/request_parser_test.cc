#include "http/request_parser.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waggle {
namespace {

constexpr size_t kMaxBody = 100;

// All that a parser tells of what it read.
struct Outcome {
  bool complete = false;
  std::optional<RefusalReason> refused;
  std::string method, path, body, rest;
  std::vector<std::string> x;
  bool keep_alive = false;

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// Feeds `bytes` in pieces whose sizes `next_size` gives.
template <typename NextSize>
Outcome Parse(std::string_view bytes, NextSize next_size) {
  RequestParser parser(kMaxBody);
  while (!bytes.empty() && !parser.complete() && !parser.refusal()) {
    const std::string_view piece =
        bytes.substr(0, std::max<size_t>(1, next_size()));
    bytes.remove_prefix(parser.Feed(piece));
  }
  Outcome outcome;
  outcome.complete = parser.complete();
  outcome.keep_alive = parser.keep_alive();
  if (parser.refusal()) outcome.refused = parser.refusal()->reason;
  if (!parser.complete()) return outcome;
  const HttpRequest request = parser.TakeRequest();
  outcome.method = request.method();
  outcome.path = request.path();
  outcome.body = request.body;
  outcome.rest = bytes;
  for (const std::string_view value : request.HeaderValues("X-Test")) {
    outcome.x.emplace_back(value);
  }
  return outcome;
}

// However the bytes are cut, the outcome is the same; returns it.
Outcome ParseAnyhow(std::string_view bytes) {
  const Outcome whole = Parse(bytes, [&] { return bytes.size(); });
  EXPECT_EQ(whole, Parse(bytes, [] { return 1; })) << "byte by byte";
  std::mt19937 random(7);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(whole, Parse(bytes, [&] { return random() % 40; }))
        << "in pieces";
  }
  return whole;
}

std::string Post(std::string_view fields, std::string_view body = "") {
  return absl::StrCat("POST /p HTTP/1.1\r\nHost: h\r\n", std::string(fields),
                      "\r\n", std::string(body));
}

TEST(RequestParserTest, TheQueryIsWhatFollowsTheFirstQuestionMark) {
  const std::pair<const char*, const char*> cases[] = {
      {"/p", ""},        {"/p?", ""},
      {"/p?a=b", "a=b"}, {"/p?a=b?c", "a=b?c"},
      {"/?%3f", "%3f"},  {"http://h/p?a", "a"},
  };
  for (const auto& [target, query] : cases) {
    RequestParser parser(0);
    parser.Feed(absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: h\r\n\r\n"));
    EXPECT_EQ(parser.request().query(), query) << target;
  }
}

TEST(RequestParserTest, ReadsARequestAndLeavesWhatFollows) {
  const Outcome outcome = ParseAnyhow(
      "POST /webhooks/a?b=/c HTTP/1.1\r\nHost: h\r\nx-tEsT:  one two\t\r\n"
      "X-Other: 3\r\nX-Test:\r\nContent-Length: 5\r\n\r\nhelloGET /next");
  EXPECT_TRUE(outcome.complete);
  EXPECT_EQ(outcome.method, "POST");
  EXPECT_EQ(outcome.path, "/webhooks/a");
  EXPECT_EQ(outcome.body, "hello");
  EXPECT_THAT(outcome.x, ::testing::ElementsAre("one two", ""));
  EXPECT_EQ(outcome.rest, "GET /next");
  EXPECT_TRUE(outcome.keep_alive);
}

TEST(RequestParserTest, DecodesChunks) {
  const Outcome outcome =
      ParseAnyhow(Post("Transfer-Encoding: Chunked\r\n",
                       "5\r\nhello\r\n00A;name=\"v\"\r\n0123456789\r\n0\r\n"
                       "Trailer: x\r\n\r\nNEXT"));
  EXPECT_TRUE(outcome.complete);
  EXPECT_EQ(outcome.body, "hello0123456789");
  EXPECT_EQ(outcome.rest, "NEXT");
}

TEST(RequestParserTest, TakesBodiesUpToTheLimitExactly) {
  const std::string body(kMaxBody, 'b');
  EXPECT_TRUE(ParseAnyhow(Post("Content-Length: 100\r\n", body)).complete);
  EXPECT_TRUE(ParseAnyhow(Post("Transfer-Encoding: chunked\r\n",
                               absl::StrCat("64\r\n", body, "\r\n0\r\n\r\n")))
                  .complete);
}

TEST(RequestParserTest, AnAbsoluteTargetIsItsPath) {
  EXPECT_EQ(
      ParseAnyhow("POST http://h:80/a/b?c HTTP/1.1\r\nHost: h\r\n\r\n").path,
      "/a/b");
}

TEST(RequestParserTest, ConnectionAndVersionSayWhetherAnotherRequestMayFollow) {
  EXPECT_TRUE(ParseAnyhow(Post("Connection: keep-alive\r\n")).keep_alive);
  EXPECT_FALSE(ParseAnyhow(Post("Connection: te, Close\r\n")).keep_alive);
  EXPECT_FALSE(ParseAnyhow("GET / HTTP/1.0\r\n\r\n").keep_alive);
}

TEST(RequestParserTest, ReservesNoMemoryForBytesThatDidNotCome) {
  RequestParser parser(size_t{1} << 30);
  parser.Feed(Post("Content-Length: 1000000000\r\n", "x"));
  ASSERT_TRUE(parser.head_complete());
  EXPECT_LT(parser.memory(), 128u * 1024);
}

TEST(RequestParserTest, IsReadyForTheNextRequest) {
  RequestParser parser(kMaxBody);
  parser.Feed(
      Post("Content-Length: 1\r\nConnection: close\r\nX-Test: a\r\n", "b"));
  parser.TakeRequest();
  parser.Feed("GET /q HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(parser.complete());
  EXPECT_TRUE(parser.keep_alive());
  const HttpRequest request = parser.TakeRequest();
  EXPECT_EQ(request.path(), "/q");
  EXPECT_EQ(request.body, "");
  EXPECT_TRUE(request.HeaderValues("X-Test").empty());
}

TEST(RequestParserTest, AnUnfinishedRequestIsNeitherCompleteNorRefused) {
  const std::string request = Post("Content-Length: 3\r\n", "abc");
  for (size_t size = 0; size < request.size(); ++size) {
    RequestParser parser(kMaxBody);
    EXPECT_EQ(parser.Feed(request.substr(0, size)), size);
    EXPECT_FALSE(parser.complete()) << size;
    EXPECT_FALSE(parser.refusal()) << size;
  }
}

struct RefusalCase {
  std::string name;
  std::string bytes;
  RefusalReason reason;
};

class RefusalTest : public ::testing::TestWithParam<RefusalCase> {};

TEST_P(RefusalTest, IsRefused) {
  const Outcome outcome = ParseAnyhow(GetParam().bytes);
  EXPECT_FALSE(outcome.complete);
  EXPECT_EQ(outcome.refused, GetParam().reason);
}

std::vector<RefusalCase> RefusalCases() {
  using enum RefusalReason;
  const std::string te = "Transfer-Encoding: chunked\r\n";
  const std::string cl = "Content-Length: 4\r\n";
  std::string many_fields;
  for (int i = 0; i < 64; ++i) absl::StrAppend(&many_fields, "A: b\r\n");
  std::string many_bytes;
  for (int i = 0; i < 5; ++i) {
    absl::StrAppend(&many_bytes, "A: ", std::string(4000, 'b'), "\r\n");
  }
  std::string many_trailers;
  for (int i = 0; i < 30; ++i) {
    absl::StrAppend(&many_trailers, "A: ", std::string(200, 'b'), "\r\n");
  }
  std::string many_extensions;
  for (int i = 0; i < 30; ++i) {
    absl::StrAppend(&many_extensions, "1;", std::string(200, 'e'), "\r\nx\r\n");
  }
  return {
      {"EmptyLineFirst", "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
      {"NoTarget", "GET HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
      {"SpaceInTarget", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
      {"TabInRequestLine", "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
      {"ControlInTarget", "GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
      {"HighByteInTarget", "GET /\xff HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
      {"MethodIsNoToken", "G(T / HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
      {"LongMethod", std::string(33, 'M') + " / HTTP/1.1\r\nHost: h\r\n\r\n",
       kMalformed},
      {"AuthorityAsTarget", "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n",
       kMalformed},
      {"NoVersion", "GET / \r\nHost: h\r\n\r\n", kMalformed},
      {"Garbage", "\x16\x03\x01\x02\x01\x01\xfc\x03\r\n", kMalformed},
      {"OtherVersion", "GET / HTTP/2.0\r\nHost: h\r\n\r\n",
       kUnsupportedVersion},
      {"Http2Preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", kUnsupportedVersion},
      {"LineFeedAlone", "GET / HTTP/1.1\nHost: h\n\n", kMalformed},
      {"LineFeedAloneInFields", "GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n",
       kMalformed},
      {"ReturnAlone", Post("A: b\rC: d\r\n"), kMalformed},
      {"NulInValue", Post(std::string("A: b\0c\r\n", 8)), kMalformed},
      {"ControlInValue", Post("A: b\x07\r\n"), kMalformed},
      {"DeleteInValue", Post("A: b\x7f\r\n"), kMalformed},
      {"FoldedField", Post("A: b\r\n c\r\n"), kMalformed},
      {"SpaceBeforeColon", Post("A : b\r\n"), kMalformed},
      {"NoColon", Post("A\r\n"), kMalformed},
      {"NoName", Post(": b\r\n"), kMalformed},
      {"NameIsNoToken", Post("A@: b\r\n"), kMalformed},
      {"NoHost", "GET / HTTP/1.1\r\n\r\n", kMalformed},
      {"TwoHosts", Post("Host: g\r\n"), kMalformed},
      {"TwoLengths", Post(cl + cl, "abcd"), kMalformed},
      {"LengthList", Post("Content-Length: 4, 4\r\n", "abcd"), kMalformed},
      {"SignedLength", Post("Content-Length: +4\r\n", "abcd"), kMalformed},
      {"NegativeLength", Post("Content-Length: -1\r\n"), kMalformed},
      {"HexLength", Post("Content-Length: 0x4\r\n", "abcd"), kMalformed},
      {"EmptyLength", Post("Content-Length:\r\n"), kMalformed},
      {"LengthAndChunks", Post(cl + te, "0\r\n\r\n"), kMalformed},
      {"ChunksAndLength", Post(te + cl, "0\r\n\r\n"), kMalformed},
      {"TwoTransferEncodings", Post(te + te, "0\r\n\r\n"), kMalformed},
      {"TransferEncodingList",
       Post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), kMalformed},
      {"TransferEncodingIdentity", Post("Transfer-Encoding: identity\r\n"),
       kMalformed},
      {"TransferEncodingInDisguise",
       Post("Transfer-Encoding: \x0b"
            "chunked\r\n",
            "0\r\n\r\n"),
       kMalformed},
      {"ChunksInHttp10",
       "POST / HTTP/1.0\r\nHost: h\r\n" + te + "\r\n0\r\n\r\n", kMalformed},
      {"Range", Post("Range: bytes=0-1\r\n"), kMalformed},
      {"ContentEncoding", Post("Content-Encoding: gzip\r\n"), kEncodedContent},
      {"OtherExpectation", Post("Expect: 200-ok\r\n"), kUnknownExpectation},
      {"NegativeChunk", Post(te, "-2\r\nxx\r\n0\r\n\r\n"), kMalformed},
      {"PrefixedChunk", Post(te, "0x2\r\nxx\r\n0\r\n\r\n"), kMalformed},
      {"SpacedChunk", Post(te, "2 \r\nxx\r\n0\r\n\r\n"), kMalformed},
      {"EmptyChunkSize", Post(te, "\r\nxx\r\n0\r\n\r\n"), kMalformed},
      {"ChunkLineFeedAlone", Post(te, "2\nxx\r\n0\r\n\r\n"), kMalformed},
      {"ChunkLongerThanItSays", Post(te, "2\r\nxxx\r\n0\r\n\r\n"), kMalformed},
      {"ControlInChunkExtension", Post(te, "2;\x01\r\nxx\r\n"), kMalformed},
      {"EndlessChunkExtension", Post(te, "2;" + std::string(300, 'e')),
       kMalformed},
      {"ManyChunkExtensions", Post(te, many_extensions), kMalformed},
      {"ManyTrailers", Post(te, "0\r\n" + many_trailers + "\r\n"), kMalformed},
      {"TrailerIsNoField", Post(te, "0\r\nGET / HTTP/1.1\r\n\r\n"), kMalformed},
      {"LengthOverLimit", Post("Content-Length: 101\r\n"), kBodyTooLarge},
      {"LengthBeyondNumbers",
       Post("Content-Length: 99999999999999999999999999\r\n"), kBodyTooLarge},
      {"ChunkOverLimit", Post(te, "65\r\n"), kBodyTooLarge},
      {"ChunkBeyondNumbers", Post(te, "ffffffffffffffffffff\r\n"),
       kBodyTooLarge},
      {"ChunksOverLimit", Post(te, "1\r\nx\r\n64\r\n"), kBodyTooLarge},
      {"LongTarget", "GET /" + std::string(5000, 'a'), kTargetTooLong},
      {"LongTargetWithEnd",
       "GET /" + std::string(5000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n",
       kTargetTooLong},
      {"LongField", Post("A: " + std::string(8000, 'b') + "\r\n"),
       kHeaderTooLarge},
      {"EndlessField", Post("A: " + std::string(20000, 'b')), kHeaderTooLarge},
      {"ManyFields", Post(many_fields), kHeaderTooLarge},
      {"ManyHeaderBytes", Post(many_bytes), kHeaderTooLarge},
  };
}

INSTANTIATE_TEST_SUITE_P(EachCase, RefusalTest,
                         ::testing::ValuesIn(RefusalCases()),
                         [](const auto& info) { return info.param.name; });

TEST(RequestParserTest, NoMutationOfARequestBreaksIt) {
  const std::vector<std::string> seeds = {
      Post("Content-Length: 5\r\nX-Test: y\r\n", "hello"),
      Post("Transfer-Encoding: chunked\r\n",
           "5;e=1\r\nhello\r\n2\r\nab\r\n0\r\nT: u\r\n\r\n")};
  std::mt19937 random(11);
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = seeds[i % seeds.size()];
    for (int edits = 1 + random() % 3; edits > 0; --edits) {
      const size_t at = random() % bytes.size();
      switch (random() % 3) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes.erase(at, 1);
          break;
        default:
          bytes.insert(at, 1, "\r\n :;0,"[random() % 7]);
      }
    }
    const Outcome whole = Parse(bytes, [&] { return bytes.size(); });
    EXPECT_EQ(whole, Parse(bytes, [] { return 1; })) << bytes;
  }
}

}  // namespace
}  // namespace waggle
