#include "bindbee/signature.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "bindbee/demo_key.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "simdjson.h"
#include "tests/fakes/read_file.h"

namespace waggle {
namespace {

using ::testing::Optional;

constexpr std::string_view kBody = R"({"webhook":{"event":"x"}})";

std::vector<Secret> Keys(std::vector<std::string> texts) {
  std::vector<Secret> keys;
  for (std::string& text : texts) keys.emplace_back(std::move(text));
  return keys;
}

std::optional<size_t> VerifyOne(const std::vector<Secret>& keys,
                                std::string_view signature,
                                std::string_view body) {
  return Verify(keys, {signature}, body);
}

// Made with an independent implementation.
struct Vector {
  std::string name;
  std::string key;
  std::string body;
  std::string signature;
};

std::vector<Vector> LoadVectors() {
  const std::string json = ReadFile(WAGGLE_TESTDATA "/signature_vectors.json");
  simdjson::dom::parser parser;
  std::vector<Vector> vectors;
  for (const simdjson::dom::element entry : parser.parse(json).get_array()) {
    const auto text = [&entry](const char* name) {
      return std::string(entry[name].get_string().value());
    };
    std::string body;
    EXPECT_TRUE(absl::Base64Unescape(text("body_base64"), &body));
    vectors.push_back({text("name"), text("key"), body, text("signature")});
  }
  return vectors;
}

TEST(SignatureTest, AgreesWithAnIndependentImplementation) {
  const std::vector<Vector> vectors = LoadVectors();
  ASSERT_EQ(vectors.size(), 26u);
  for (const Vector& vector : vectors) {
    SCOPED_TRACE(vector.name + " with key " + vector.key);
    EXPECT_EQ(Sign(vector.key, vector.body), vector.signature);
    EXPECT_THAT(VerifyOne(Keys({vector.key}), vector.signature, vector.body),
                Optional(0));
    EXPECT_EQ(
        VerifyOne(Keys({vector.key}), vector.signature, vector.body + " "),
        std::nullopt);
    EXPECT_EQ(
        VerifyOne(Keys({vector.key + "x"}), vector.signature, vector.body),
        std::nullopt);
  }
}

TEST(SignatureTest, AnyOfSeveralKeysMaySign) {
  const std::vector<Secret> keys = Keys({"first", "second", "third"});
  EXPECT_THAT(VerifyOne(keys, Sign("first", kBody), kBody), Optional(0));
  EXPECT_THAT(VerifyOne(keys, Sign("second", kBody), kBody), Optional(1));
  EXPECT_THAT(VerifyOne(keys, Sign("third", kBody), kBody), Optional(2));
  EXPECT_EQ(VerifyOne(keys, Sign("fourth", kBody), kBody), std::nullopt);
}

TEST(SignatureTest, NothingVerifiesWithoutKeys) {
  EXPECT_EQ(Verify({}, {Sign(kDemoKey, kBody)}, kBody), std::nullopt);
}

TEST(SignatureTest, ThereMustBeExactlyOneSignature) {
  const std::vector<Secret> keys = Keys({std::string(kDemoKey)});
  const std::string valid = Sign(kDemoKey, kBody);
  const std::string wrong = Sign("another", kBody);
  EXPECT_EQ(Verify(keys, {}, kBody), std::nullopt);
  EXPECT_EQ(Verify(keys, {valid, valid}, kBody), std::nullopt);
  EXPECT_EQ(Verify(keys, {valid, wrong}, kBody), std::nullopt);
  EXPECT_EQ(Verify(keys, {wrong, valid}, kBody), std::nullopt);
  EXPECT_EQ(Verify(keys, {"", valid}, kBody), std::nullopt);
}

struct Malformed {
  const char* name;
  // Turns a valid signature into one that must be refused.
  std::string (*spoil)(std::string);
};

class MalformedSignatureTest : public ::testing::TestWithParam<Malformed> {};

TEST_P(MalformedSignatureTest, IsRefused) {
  // A body whose signature holds both characters that differ between the two
  // alphabets, so that each case changes something.
  std::string body;
  std::string valid;
  do {
    body.push_back('x');
    valid = Sign(kDemoKey, body);
  } while (valid.find('-') == std::string::npos ||
           valid.find('_') == std::string::npos);
  const std::string spoilt = GetParam().spoil(valid);
  ASSERT_NE(spoilt, valid);
  const std::vector<Secret> keys = Keys({std::string(kDemoKey)});
  ASSERT_THAT(VerifyOne(keys, valid, body), Optional(0));
  EXPECT_EQ(VerifyOne(keys, spoilt, body), std::nullopt);
}

std::string Replaced(std::string text, char from, char to) {
  std::replace(text.begin(), text.end(), from, to);
  return text;
}

INSTANTIATE_TEST_SUITE_P(
    All, MalformedSignatureTest,
    ::testing::Values(
        Malformed{"Empty", [](std::string s) { return std::string(); }},
        Malformed{"WithoutPadding",
                  [](std::string s) { return s.substr(0, 43); }},
        Malformed{"PaddedTwice", [](std::string s) { return s + "="; }},
        Malformed{"PaddedWithADot",
                  [](std::string s) { return s.substr(0, 43) + "."; }},
        Malformed{"StandardAlphabet",
                  [](std::string s) {
                    return Replaced(Replaced(s, '-', '+'), '_', '/');
                  }},
        Malformed{"SpareBitsSet",
                  // The last character carries 4 bits and 2 spare ones.
                  [](std::string s) {
                    s[42] = static_cast<char>(s[42] + 1);
                    return s;
                  }},
        Malformed{"SpaceBefore", [](std::string s) { return " " + s; }},
        Malformed{"SpaceAfter", [](std::string s) { return s + " "; }},
        Malformed{"NewlineInside",
                  [](std::string s) { return s.insert(10, 1, '\n'); }},
        Malformed{"LowerCase",
                  [](std::string s) {
                    for (char& c : s) c = absl::ascii_tolower(c);
                    return s;
                  }},
        Malformed{"Hex",
                  [](std::string s) {
                    std::string bytes;
                    EXPECT_TRUE(absl::WebSafeBase64Unescape(s, &bytes));
                    return absl::BytesToHexString(bytes);
                  }},
        Malformed{"RawBytes",
                  [](std::string s) {
                    std::string bytes;
                    EXPECT_TRUE(absl::WebSafeBase64Unescape(s, &bytes));
                    return bytes;
                  }},
        Malformed{"WithScheme", [](std::string s) { return "sha256=" + s; }},
        Malformed{"TwoInOneHeader", [](std::string s) { return s + "," + s; }},
        Malformed{"NulInside",
                  [](std::string s) {
                    s[20] = '\0';
                    return s;
                  }},
        Malformed{"NotAscii",
                  [](std::string s) {
                    s[20] = '\xff';
                    return s;
                  }},
        Malformed{"NoSignatureAtAll",
                  [](std::string s) { return std::string(44, '!'); }},
        Malformed{"FirstCharacterWrong",
                  [](std::string s) {
                    s[0] = s[0] == 'A' ? 'B' : 'A';
                    return s;
                  }},
        Malformed{"Endless",
                  [](std::string s) { return std::string(100'000, 'A'); }}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace waggle
