#include "security/jwt_verifier.h"

#include <atomic>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "openssl/evp.h"
#include "openssl/hmac.h"
#include "security/access_control.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/jwt_issuer.h"

namespace waggle {
namespace {

using testing::Base64Url;
using ::testing::HasSubstr;
using testing::JwkSet;
using testing::JwtSigner;
using ::testing::Not;

// Keys are dear to make, so all tests share them.
const JwtSigner& Rsa() {
  static const JwtSigner signer = JwtSigner::Rs256("rsa");
  return signer;
}
const JwtSigner& Ec() {
  static const JwtSigner signer = JwtSigner::Es256("ec");
  return signer;
}
// With the key id of Ec(), but not its key.
const JwtSigner& Impostor() {
  static const JwtSigner signer = JwtSigner::Es256("ec");
  return signer;
}

constexpr int64_t kNow = 1'750'000'000;

// Good claims, but for what `more` sets and `without` takes away.
std::string Claims(const std::string& more = "",
                   const std::string& without = "") {
  const std::pair<const char*, std::string> members[] = {
      {"iss", R"("https://issuer")"},
      {"aud", R"("waggle")"},
      {"exp", absl::StrCat(kNow + 600)},
      {"sub", R"("payroll")"},
  };
  std::string claims = "{";
  for (const auto& [name, value] : members) {
    const std::string quoted = absl::StrCat("\"", name, "\":");
    if (name == without || absl::StrContains(more, quoted)) continue;
    absl::StrAppend(&claims, quoted, value, ",");
  }
  return absl::StrCat(claims, more.empty() ? R"("x":1)" : more, "}");
}

class JwtVerifierTest : public ::testing::Test {
 protected:
  JwtVerifierTest() { Set({Rsa().Jwk(), Ec().Jwk()}); }

  void Set(const std::vector<std::string>& jwks) {
    ASSERT_EQ(verifier_.SetJwks(JwkSet(jwks)), absl::OkStatus());
  }
  // The message of a set that must be refused.
  std::string SetRefusal(const std::string& set) {
    const absl::Status status = verifier_.SetJwks(set);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << set;
    return std::string(status.message());
  }

  // The subject, or the message of the error.
  std::string Verify(const std::string& token) {
    const absl::StatusOr<JwtClaims> claims = verifier_.Verify(token);
    if (claims.ok()) return claims->subject;
    EXPECT_EQ(claims.status().code(), absl::StatusCode::kUnauthenticated);
    return std::string(claims.status().message());
  }
  std::string VerifyClaims(const std::string& claims) {
    return Verify(Ec().Sign(claims));
  }
  bool IsGood(const std::string& token) { return Verify(token) == "payroll"; }

  FakeClock clock_{absl::FromUnixSeconds(kNow)};
  JwtVerifier verifier_{{.issuer = "https://issuer",
                         .audience = "waggle",
                         .clock_skew = absl::Seconds(30)},
                        clock_};
};

constexpr char kNotSigned[] = "the token's signature is not valid";

TEST_F(JwtVerifierTest, TakesRs256AndEs256) {
  EXPECT_EQ(Verify(Rsa().Sign(Claims())), "payroll");
  EXPECT_EQ(Verify(Ec().Sign(Claims())), "payroll");
}

TEST_F(JwtVerifierTest, ExpiresWithTheClocksDifference) {
  const auto claims = verifier_.Verify(Ec().Sign(Claims()));
  ASSERT_TRUE(claims.ok());
  EXPECT_EQ(claims->expires_at, absl::FromUnixSeconds(kNow + 630));
}

TEST_F(JwtVerifierTest, TakesNothingBeforeThereAreKeys) {
  const JwtVerifier verifier({.issuer = "https://issuer", .audience = "waggle"},
                             clock_);
  EXPECT_FALSE(verifier.Verify(Ec().Sign(Claims())).ok());
}

TEST_F(JwtVerifierTest, TakesNothingWithoutAnIssuerOrAnAudience) {
  for (const JwtOptions& options :
       {JwtOptions{.issuer = "", .audience = "waggle"},
        JwtOptions{.issuer = "https://issuer", .audience = ""}}) {
    JwtVerifier verifier(options, clock_);
    ASSERT_TRUE(verifier.SetJwks(JwkSet({Ec().Jwk()})).ok());
    EXPECT_FALSE(verifier
                     .Verify(Ec().Sign(Claims(
                         absl::StrCat(R"("iss":")", options.issuer,
                                      R"(","aud":")", options.audience, "\""))))
                     .ok());
  }
}

// --- Signatures. ---

TEST_F(JwtVerifierTest, TheKeyIdChoosesTheKey) {
  EXPECT_EQ(Verify(Ec().SignWith(R"({"alg":"ES256","kid":"rsa"})", Claims())),
            kNotSigned);
  EXPECT_EQ(Verify(Ec().SignWith(R"({"alg":"ES256","kid":"none"})", Claims())),
            kNotSigned);
  EXPECT_EQ(Verify(Ec().SignWith(R"({"alg":"ES256","kid":1})", Claims())),
            kNotSigned);
  EXPECT_EQ(Verify(Ec().SignWith(R"({"alg":"ES256","kid":null})", Claims())),
            kNotSigned);
  EXPECT_EQ(Verify(Impostor().Sign(Claims())), kNotSigned);
}

TEST_F(JwtVerifierTest, WithoutAKeyIdEveryKeyIsTried) {
  const JwtSigner nameless = JwtSigner::Es256("");
  Set({Rsa().Jwk(), Ec().Jwk(), nameless.Jwk()});
  EXPECT_TRUE(IsGood(nameless.Sign(Claims())));
  EXPECT_TRUE(IsGood(Ec().SignWith(R"({"alg":"ES256"})", Claims())));
  EXPECT_TRUE(IsGood(Rsa().SignWith(R"({"alg":"RS256"})", Claims())));
  EXPECT_EQ(Verify(Impostor().SignWith(R"({"alg":"ES256"})", Claims())),
            kNotSigned);
}

TEST_F(JwtVerifierTest, EveryBitOfASignedTokenCounts) {
  const std::string token = Ec().Sign(Claims());
  // The last character holds bits that stand for no byte.
  for (size_t i = 0; i + 1 < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    if (changed == token) continue;
    EXPECT_EQ(Verify(changed), kNotSigned) << i;
  }
}

TEST_F(JwtVerifierTest, RefusesOtherAlgorithms) {
  for (const char* alg :
       {"none", "None", "NONE", "", "HS256", "RS384", "RS512", "PS256", "ES384",
        "ES512", "es256", "ES256 ", "EdDSA", "ES256\\u0000"}) {
    const std::string header =
        absl::StrCat(R"({"alg":")", alg, R"(","kid":"ec"})");
    EXPECT_EQ(Verify(Ec().SignWith(header, Claims())), kNotSigned) << alg;
    const std::string input =
        absl::StrCat(Base64Url(header), ".", Base64Url(Claims()));
    EXPECT_EQ(Verify(absl::StrCat(input, ".")), kNotSigned) << alg;
  }
  for (const char* header :
       {R"({"kid":"ec"})", R"({"alg":null,"kid":"ec"})",
        R"({"alg":["ES256"],"kid":"ec"})", R"({"alg":1})", "{}"}) {
    EXPECT_EQ(Verify(Ec().SignWith(header, Claims())), kNotSigned) << header;
  }
}

TEST_F(JwtVerifierTest, ThePublicKeyIsNoHmacSecret) {
  for (const std::string& secret :
       {Rsa().Jwk(), JwkSet({Rsa().Jwk(), Ec().Jwk()})}) {
    const std::string input = absl::StrCat(
        Base64Url(R"({"alg":"HS256","kid":"rsa"})"), ".", Base64Url(Claims()));
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<const unsigned char*>(input.data()), input.size(),
         mac, &size);
    EXPECT_EQ(
        Verify(absl::StrCat(
            input, ".", Base64Url({reinterpret_cast<const char*>(mac), size}))),
        kNotSigned);
  }
}

TEST_F(JwtVerifierTest, TheAlgorithmMustFitTheKey) {
  EXPECT_EQ(Verify(Ec().SignWith(R"({"alg":"RS256","kid":"ec"})", Claims())),
            kNotSigned);
  EXPECT_EQ(Verify(Rsa().SignWith(R"({"alg":"ES256","kid":"rsa"})", Claims())),
            kNotSigned);
  EXPECT_EQ(Verify(Rsa().SignWith(R"({"alg":"ES256"})", Claims())), kNotSigned);
}

TEST_F(JwtVerifierTest, RefusesCriticalExtensions) {
  for (const char* crit :
       {R"(["exp"])", R"(["b64"],"b64":false)", "[]", "null"}) {
    EXPECT_EQ(
        Verify(Ec().SignWith(
            absl::StrCat(R"({"alg":"ES256","kid":"ec","crit":)", crit, "}"),
            Claims())),
        kNotSigned)
        << crit;
  }
}

TEST_F(JwtVerifierTest, KeysThatTheTokenBringsDoNotCount) {
  const std::string header = absl::StrCat(
      R"({"alg":"ES256","jwk":)", Impostor().Jwk(),
      R"(,"jku":"https://evil/jwks","x5u":"https://evil/x","x5c":["AA=="]})");
  EXPECT_EQ(Verify(Impostor().SignWith(header, Claims())), kNotSigned);
  EXPECT_TRUE(IsGood(Ec().SignWith(header, Claims())));
}

TEST_F(JwtVerifierTest, RefusesNamesThatRepeatInTheHeader) {
  EXPECT_EQ(Verify(Ec().SignWith(R"({"alg":"none","alg":"ES256","kid":"ec"})",
                                 Claims())),
            kNotSigned);
}

TEST_F(JwtVerifierTest, RefusesSignaturesOfOtherShapes) {
  const std::string input =
      absl::StrCat(Base64Url(Ec().Header()), ".", Base64Url(Claims()));
  const std::string right = Ec().Signature(input);
  const auto with = [&](const std::string& signature) {
    return Verify(absl::StrCat(input, ".", Base64Url(signature)));
  };
  ASSERT_EQ(with(right), "payroll");
  const std::string r = right.substr(0, 32);
  const std::string s = right.substr(32);
  const std::string zeros(32, '\0');
  for (const std::string& wrong :
       {std::string(), zeros + zeros, r + zeros, zeros + s, s + r, right + "x",
        std::string(1, '\0') + right, right.substr(0, 63),
        // The same numbers with zeros before them.
        std::string(1, '\0') + r + std::string(1, '\0') + s,
        std::string(64, '\xff')}) {
    EXPECT_EQ(with(wrong), kNotSigned);
  }
}

TEST_F(JwtVerifierTest, RefusesWhatIsNoToken) {
  const std::string good = Ec().Sign(Claims());
  const std::vector<std::string> parts = absl::StrSplit(good, '.');
  const auto join = [](const std::string& a, const std::string& b,
                       const std::string& c) { return a + "." + b + "." + c; };
  ASSERT_TRUE(IsGood(join(parts[0], parts[1], parts[2])));
  for (const std::string& bad :
       {std::string(),
        std::string("."),
        std::string(".."),
        std::string("..."),
        std::string("a.b.c"),
        good + ".",
        "." + good,
        good + "=",
        good + " ",
        "\n" + good,
        good + std::string(1, '\0'),
        join(parts[0] + "==", parts[1], parts[2]),
        join("", parts[1], parts[2]),
        join(parts[0], "", parts[2]),
        join(parts[0], parts[1], ""),
        join(parts[0] + "\n", parts[1], parts[2]),
        join(parts[0], parts[1], parts[2] + "A"),
        join(Base64Url("[]"), parts[1], parts[2]),
        join(Base64Url("\"ES256\""), parts[1], parts[2]),
        join(Base64Url("{"), parts[1], parts[2]),
        join(Base64Url("{\"alg\":\"\xff\"}"), parts[1], parts[2]),
        std::string(9000, 'a'),
        std::string(9000, '.'),
        join(Base64Url(std::string(5000, '[')), parts[1], parts[2])}) {
    EXPECT_EQ(Verify(bad), kNotSigned) << bad.substr(0, 100);
  }
}

// --- Claims. ---

TEST_F(JwtVerifierTest, TheIssuerIsExact) {
  for (const char* iss :
       {R"("https://issuer/")", R"("https://ISSUER")", R"("")", "null", "1",
        R"(["https://issuer"])", R"("https://issuer\u0000")"}) {
    EXPECT_NE(VerifyClaims(Claims(absl::StrCat(R"("iss":)", iss))), "payroll")
        << iss;
  }
  EXPECT_THAT(VerifyClaims(Claims(R"("iss":"other")")), HasSubstr("issuer"));
  EXPECT_THAT(VerifyClaims(Claims("", "iss")), HasSubstr("issuer"));
}

TEST_F(JwtVerifierTest, TheAudienceIsAStringOrInAList) {
  for (const char* aud :
       {R"("waggle")", R"(["waggle"])", R"(["a","waggle","b"])"}) {
    EXPECT_EQ(VerifyClaims(Claims(absl::StrCat(R"("aud":)", aud))), "payroll")
        << aud;
  }
  for (const char* aud :
       {R"("Waggle")", R"("waggle ")", R"("")", "[]", R"(["a"])", "null", "1",
        R"({"waggle":1})", R"([["waggle"]])", R"(["waggle",1])"}) {
    EXPECT_THAT(VerifyClaims(Claims(absl::StrCat(R"("aud":)", aud))),
                HasSubstr("audience"))
        << aud;
  }
  EXPECT_THAT(VerifyClaims(Claims("", "aud")), HasSubstr("audience"));
}

TEST_F(JwtVerifierTest, TokensMustExpire) {
  EXPECT_THAT(VerifyClaims(Claims("", "exp")), HasSubstr("does not expire"));
  for (const char* exp : {"null", R"("1750000600")", "true", "[]", "{}"}) {
    EXPECT_THAT(VerifyClaims(Claims(absl::StrCat(R"("exp":)", exp))),
                HasSubstr("\"exp\""))
        << exp;
  }
}

TEST_F(JwtVerifierTest, ExpiryCountsUpToTheClocksDifference) {
  const std::string token = Ec().Sign(Claims());
  clock_.Advance(absl::Seconds(630) - absl::Nanoseconds(1));
  EXPECT_TRUE(IsGood(token));
  clock_.Advance(absl::Nanoseconds(1));
  EXPECT_THAT(Verify(token), HasSubstr("expired at 2025-06-15T15:16:40+00:00"));
}

TEST_F(JwtVerifierTest, StartsCountUpToTheClocksDifference) {
  for (const char* name : {"nbf", "iat"}) {
    const auto at = [&](const std::string& time) {
      return VerifyClaims(Claims(absl::StrCat("\"", name, "\":", time)));
    };
    EXPECT_EQ(at("0"), "payroll");
    EXPECT_EQ(at(absl::StrCat(kNow)), "payroll");
    EXPECT_EQ(at(absl::StrCat(kNow + 30)), "payroll");
    EXPECT_THAT(at(absl::StrCat(kNow + 31)), HasSubstr("not valid before"));
    EXPECT_THAT(at(absl::StrCat(kNow + 30, ".5")),
                HasSubstr("not valid before"));
    EXPECT_THAT(at(R"("0")"), HasSubstr(name));
    EXPECT_THAT(at("null"), HasSubstr(name));
  }
}

TEST_F(JwtVerifierTest, TimesMayBeAnyNumbers) {
  for (const char* exp :
       {"1750000600.75", "1.7500006e9", "99999999999999999999999", "1e300",
        "9223372036854775807", "9223372036854775808"}) {
    EXPECT_EQ(VerifyClaims(Claims(absl::StrCat(R"("exp":)", exp))), "payroll")
        << exp;
  }
  for (const char* exp : {"0", "-1", "-0.0", "-1e300", "-9223372036854775809",
                          "-99999999999999999999", "1e-300", "1749999970"}) {
    EXPECT_THAT(VerifyClaims(Claims(absl::StrCat(R"("exp":)", exp))),
                HasSubstr("expired at"))
        << exp;
  }
  EXPECT_EQ(VerifyClaims(Claims(R"("nbf":-1e300,"iat":-5)")), "payroll");
  EXPECT_THAT(VerifyClaims(Claims(R"("nbf":1e300)")),
              HasSubstr("not valid before"));
  // Beyond what can be read at all.
  EXPECT_NE(VerifyClaims(Claims(R"("exp":1e999)")), "payroll");
}

TEST_F(JwtVerifierTest, TheSubjectIsAStringOf1To255Bytes) {
  const auto with = [this](const std::string& sub) {
    return VerifyClaims(Claims(absl::StrCat(R"("sub":)", sub)));
  };
  EXPECT_EQ(with(R"("system:serviceaccount:payroll:worker")"),
            "system:serviceaccount:payroll:worker");
  const std::string longest(255, 's');
  EXPECT_EQ(with(absl::StrCat("\"", longest, "\"")), longest);
  for (const std::string& sub :
       {absl::StrCat("\"", longest, "s\""), std::string(R"("")"),
        std::string("1"), std::string("null"), std::string(R"(["a"])")}) {
    EXPECT_THAT(with(sub), HasSubstr("subject")) << sub;
  }
  EXPECT_THAT(VerifyClaims(Claims("", "sub")), HasSubstr("subject"));
}

TEST_F(JwtVerifierTest, RefusesClaimsThatAreNoObjectWithDistinctNames) {
  for (const std::string& claims :
       {std::string(), std::string("[]"), std::string("null"), std::string("{"),
        Claims() + "x",
        std::string(
            R"({"iss":"https://issuer","aud":"waggle","exp":1750000600,)"
            R"("sub":"x","sub":"payroll"})"),
        Claims("\"x\":\"\xff\""), Claims(R"("x":{"a":1,"a":2})")}) {
    EXPECT_NE(VerifyClaims(claims), "payroll") << claims;
  }
}

TEST_F(JwtVerifierTest, SaysNothingOfClaimsThatNobodySigned) {
  EXPECT_EQ(Verify(Impostor().Sign(Claims(R"("exp":1)"))), kNotSigned);
  EXPECT_EQ(Verify(Impostor().Sign(Claims(R"("iss":"other")"))), kNotSigned);
  EXPECT_EQ(Verify(Impostor().Sign("{")), kNotSigned);
}

// --- Keys. ---

TEST_F(JwtVerifierTest, NewKeysTakeThePlaceOfTheOld) {
  const JwtSigner next = JwtSigner::Es256("next");
  Set({Ec().Jwk(), next.Jwk()});
  EXPECT_TRUE(IsGood(Ec().Sign(Claims())));
  EXPECT_TRUE(IsGood(next.Sign(Claims())));
  Set({next.Jwk()});
  EXPECT_EQ(Verify(Ec().Sign(Claims())), kNotSigned);
  EXPECT_TRUE(IsGood(next.Sign(Claims())));
  // The same id for another key.
  Set({Impostor().Jwk()});
  EXPECT_EQ(Verify(Ec().Sign(Claims())), kNotSigned);
  EXPECT_TRUE(IsGood(Impostor().Sign(Claims())));
}

TEST_F(JwtVerifierTest, ASetThatIsRefusedLeavesTheOneBefore) {
  SetRefusal("");
  SetRefusal(JwkSet({Impostor().Jwk(), "1"}));
  EXPECT_TRUE(IsGood(Ec().Sign(Claims())));
  EXPECT_EQ(Verify(Impostor().Sign(Claims())), kNotSigned);
}

TEST_F(JwtVerifierTest, PassesOverKeysForSomethingElse) {
  for (const char* more :
       {R"(,"use":"enc")", R"(,"use":1)", R"(,"use":null)",
        R"(,"key_ops":["sign"])", R"(,"key_ops":[])", R"(,"key_ops":"verify")",
        R"(,"alg":"ES384")", R"(,"alg":"RS256")", R"(,"alg":"HS256")",
        R"(,"alg":null)"}) {
    Set({Rsa().Jwk(), Ec().Jwk(more)});
    EXPECT_EQ(Verify(Ec().Sign(Claims())), kNotSigned) << more;
    EXPECT_THAT(SetRefusal(JwkSet({Ec().Jwk(more)})), HasSubstr("no key"));
  }
  for (const char* more :
       {R"(,"use":"sig")", R"(,"key_ops":["sign","verify"])",
        R"(,"alg":"ES256")", R"(,"x5t":"a","unknown":{"b":[]})"}) {
    Set({Ec().Jwk(more)});
    EXPECT_TRUE(IsGood(Ec().Sign(Claims()))) << more;
  }
}

TEST_F(JwtVerifierTest, PassesOverKeysOfOtherKinds) {
  for (const char* jwk :
       {R"({"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0","kid":"ec"})",
        R"({"kty":"OKP","crv":"Ed25519","x":"AAAA","kid":"o"})",
        R"({"kty":"EC","crv":"P-384","x":"AA","y":"AA"})", R"({"kty":"rsa"})",
        R"({})"}) {
    Set({Ec().Jwk(), jwk});
    EXPECT_TRUE(IsGood(Ec().Sign(Claims()))) << jwk;
    EXPECT_THAT(SetRefusal(JwkSet({jwk})), HasSubstr("no key")) << jwk;
  }
}

TEST_F(JwtVerifierTest, RefusesKeysThatAreWeakOrWrong) {
  EXPECT_THAT(
      SetRefusal(JwkSet({Ec().Jwk(), JwtSigner::Rs256("r", 1024).Jwk()})),
      HasSubstr("keys[1]: an RSA key of 1024 bits"));
  EXPECT_THAT(SetRefusal(JwkSet({Ec().Jwk(), Ec().Jwk()})),
              HasSubstr("keys[1]: its \"kid\""));
  EXPECT_THAT(SetRefusal(JwkSet({Ec().Jwk(R"(,"d":"AAAA")")})),
              HasSubstr("private key"));
  const std::string modulus =
      absl::StrCat(R"({"kty":"RSA","n":")",
                   Base64Url("\xff" + std::string(255, '\xff')), R"(","e":")");
  for (const char* e : {"AQ", "", "Ag", "AA", "////", "AQAAAAAAAAAB"}) {
    EXPECT_THAT(SetRefusal(JwkSet({modulus + e + "\"}"})), HasSubstr("\"e\""))
        << e;
  }
  EXPECT_THAT(SetRefusal(JwkSet({absl::StrCat(
                  R"({"kty":"RSA","e":"AQAB","n":")",
                  Base64Url(std::string(256, '\0') + "\xff"), R"("})")})),
              HasSubstr("8 bits"));
  EXPECT_THAT(SetRefusal(JwkSet({absl::StrCat(
                  R"({"kty":"RSA","e":"AQAB","n":")",
                  Base64Url(std::string(1025, '\xff')), R"("})")})),
              HasSubstr("8200 bits"));
  for (
      const char* jwk :
      {R"({"kty":"RSA"})", R"({"kty":"RSA","n":1,"e":"AQAB"})",
       R"({"kty":"EC","crv":"P-256"})",
       // Not on the curve.
       R"({"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"})",
       // The point at infinity, as some write it.
       R"({"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"})",
       R"({"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"})",
       // Padding in the middle, of which the library makes an assertion.
       R"({"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE","y":"AAAAAAAAAAAAAAAAA=AAAAAAAAAAAAAAAAAAAAAAAAE"})"}) {
    EXPECT_THAT(SetRefusal(JwkSet({jwk})), HasSubstr("keys[0]: ")) << jwk;
  }
  EXPECT_THAT(
      SetRefusal(JwkSet({Ec().Jwk(R"(,"key_ops":["verify"],"use":"sig")"),
                         JwtSigner::Es256("").Jwk(R"(,"kid":7)")})),
      HasSubstr("keys[1]: \"kid\""));
}

TEST_F(JwtVerifierTest, RefusesWhatIsNoJwkSet) {
  for (const std::string& set :
       {std::string(), std::string("[]"), std::string("{}"),
        std::string(R"({"keys":{}})"), std::string(R"({"keys":null})"),
        std::string(R"({"keys":[)"), std::string(R"({"keys":[],"keys":[]})"),
        Ec().Jwk(), std::string(300 << 10, ' ')}) {
    SetRefusal(set);
  }
  EXPECT_THAT(SetRefusal(R"({"keys":[]})"), HasSubstr("no key"));
  EXPECT_THAT(SetRefusal(R"({"keys":["x"]})"), HasSubstr("keys[0]"));
}

TEST_F(JwtVerifierTest, TakesUpTo32Keys) {
  std::vector<std::string> jwks;
  for (int i = 0; i < 31; ++i) {
    jwks.push_back(absl::StrReplaceAll(
        Impostor().Jwk(), {{"\"ec\"", absl::StrCat("\"", i, "\"")}}));
  }
  jwks.push_back(Ec().Jwk());
  Set(jwks);
  EXPECT_TRUE(IsGood(Ec().SignWith(R"({"alg":"ES256"})", Claims())));
  jwks.push_back(Rsa().Jwk());
  EXPECT_THAT(SetRefusal(JwkSet(jwks)), HasSubstr("more than 32 keys"));
}

TEST_F(JwtVerifierTest, ThreadsMayShareIt) {
  const std::string rs = Rsa().Sign(Claims());
  const std::string es = Ec().Sign(Claims());
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        if (!verifier_.Verify(rs).ok() || !verifier_.Verify(es).ok()) ++wrong;
        if (verifier_.Verify(es + "A").ok()) ++wrong;
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(verifier_.SetJwks(JwkSet({Ec().Jwk(), Rsa().Jwk()})).ok());
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// --- Through the door. ---

TEST(AccessControlJwtTest, KnowsTokensByTheirSubject) {
  const FakeClock clock(absl::FromUnixSeconds(kNow));
  AccessControl access(
      JwtOptions{.issuer = "https://issuer", .audience = "waggle"}, clock);
  config::v1::Access policy;
  config::v1::Principal& principal = *policy.add_principals();
  principal.set_name("pay");
  principal.add_jwt_subjects("payroll");
  ASSERT_TRUE(access.SetPolicy(policy).ok());
  const auto authenticate = [&access](const std::string& token) {
    return access.Authenticate({.authorization = "Bearer " + token});
  };

  EXPECT_EQ(authenticate(Ec().Sign(Claims())).status().code(),
            absl::StatusCode::kUnauthenticated)
      << "there are no keys yet";
  ASSERT_TRUE(access.SetJwks(JwkSet({Ec().Jwk()})).ok());
  const auto caller = authenticate(Ec().Sign(Claims()));
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(caller->principal->name, "pay");
  EXPECT_EQ(caller->identity, "jwt:payroll");
  EXPECT_EQ(caller->expires_at, absl::FromUnixSeconds(kNow + 630));
  EXPECT_EQ(access.Find("jwt:payroll"), caller->principal);

  const absl::Status unknown =
      authenticate(Ec().Sign(Claims(R"("sub":"nobody")"))).status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(unknown.message()), Not(HasSubstr("payroll")));
  EXPECT_EQ(authenticate(Impostor().Sign(Claims())).status().code(),
            absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(authenticate("a.b.c").status().code(),
            absl::StatusCode::kUnauthenticated);
}

}  // namespace
}  // namespace waggle
