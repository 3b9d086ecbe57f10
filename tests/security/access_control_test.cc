#include "security/access_control.h"

#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "base/sha256.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/from_text.h"

namespace waggle {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string Digest(std::string_view token) {
  const Sha256Digest digest = Sha256({token});
  return absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(digest.data()), digest.size()));
}

config::v1::Access Parse(const std::string& text) {
  return FromText<config::v1::Access>(text);
}

// `fields` of a principal with that name.
std::string Principal(const std::string& name, const std::string& fields) {
  return "principals { name: '" + name + "' " + fields + " } ";
}

class AccessControlTest : public ::testing::Test {
 protected:
  void Set(const std::string& policy) {
    ASSERT_EQ(access_.SetPolicy(Parse(policy)), absl::OkStatus());
  }

  // The message of a policy that must be refused.
  std::string Refusal(const std::string& policy) {
    const absl::Status status = access_.SetPolicy(Parse(policy));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << policy;
    return std::string(status.message());
  }

  // The principal's name, or the code of the error.
  static std::string NameOr(const absl::StatusOr<Caller>& caller) {
    if (caller.ok()) return caller->principal->name;
    return absl::StatusCodeToString(caller.status().code());
  }
  std::string By(std::string_view authorization) {
    return NameOr(access_.Authenticate({.authorization = authorization}));
  }
  std::string ByNames(std::vector<std::string> names) {
    return NameOr(access_.Authenticate({.tls_identities = std::move(names)}));
  }

  FakeClock clock_;
  AccessControl access_{std::nullopt, clock_};
};

// A connection, or a TLS session that is resumed, goes on longer.
TEST_F(AccessControlTest, ACertificateIsNobodyOnceItExpired) {
  Set(Principal("a", "tls_identities: 'dns:a'"));
  const absl::Time expires = clock_.Now() + absl::Minutes(1);
  const Credentials shown{.tls_identities = {"dns:a"},
                          .tls_expires_at = expires};
  const auto caller = access_.Authenticate(shown);
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(caller->expires_at, expires);
  clock_.Advance(absl::Minutes(1));
  EXPECT_TRUE(absl::IsUnauthenticated(access_.Authenticate(shown).status()));
}

TEST_F(AccessControlTest, KnowsNobodyBeforeThereIsAPolicy) {
  EXPECT_EQ(By("Bearer token"), "UNAUTHENTICATED");
  EXPECT_EQ(ByNames({"dns:a"}), "PERMISSION_DENIED");
  EXPECT_EQ(access_.Find("token:"), nullptr);
}

TEST_F(AccessControlTest, KnowsTokensByTheirDigest) {
  Set(Principal("payroll", "token_sha256: '" + Digest("one") + "'") +
      Principal("audit", "token_sha256: '" +
                             absl::AsciiStrToUpper(Digest("two")) +
                             "' token_sha256: '" + Digest("a-._~+/9==") + "'"));
  EXPECT_EQ(By("Bearer one"), "payroll");
  EXPECT_EQ(By("Bearer two"), "audit");
  EXPECT_EQ(By("Bearer a-._~+/9=="), "audit");
  EXPECT_EQ(By("Bearer three"), "UNAUTHENTICATED");
  EXPECT_EQ(By("Bearer One"), "UNAUTHENTICATED");
  EXPECT_EQ(By("Bearer " + Digest("one")), "UNAUTHENTICATED");
}

TEST_F(AccessControlTest, ReadsTheAuthorizationAsTheStandardsSay) {
  Set(Principal("payroll", "token_sha256: '" + Digest("one") + "'"));
  for (const char* good :
       {"Bearer one", "bearer one", "BEARER one", "bEaReR   one"}) {
    EXPECT_EQ(By(good), "payroll") << good;
  }
  for (const char* bad :
       {"", "one", "Bearer", "Bearer ", "Bearerone", "Basic one", "Bearer\tone",
        "Bearer one ", " Bearer one", "Bearer one one", "Bearer \"one\"",
        "Bearer one\n", "Bearer =", "Bearer o=ne", "Bearer on\xC3\xA9"}) {
    EXPECT_EQ(By(bad), "UNAUTHENTICATED") << bad;
  }
}

TEST_F(AccessControlTest, TokensHaveUpTo8KiB) {
  const std::string longest(8192, 'a');
  Set(Principal("payroll", "token_sha256: '" + Digest(longest) +
                               "' token_sha256: '" + Digest(longest + "a") +
                               "'"));
  EXPECT_EQ(By("Bearer " + longest), "payroll");
  EXPECT_EQ(By("Bearer " + longest + "a"), "UNAUTHENTICATED");
}

TEST_F(AccessControlTest, KnowsCertificatesByTheirNames) {
  Set(Principal("payroll",
                "tls_identities: 'spiffe://corp.example/ns/payroll'") +
      Principal(
          "audit",
          "tls_identities: ['dns:audit.example', 'dns:audit', 'cn:Au dit']"));
  EXPECT_EQ(ByNames({"spiffe://corp.example/ns/payroll"}), "payroll");
  EXPECT_EQ(ByNames({"dns:other", "dns:audit.example"}), "audit");
  EXPECT_EQ(ByNames({"dns:audit", "dns:audit.example"}), "audit");
  EXPECT_EQ(ByNames({"cn:Au dit"}), "audit");
  EXPECT_EQ(ByNames({"cn:audit"}), "PERMISSION_DENIED");
  EXPECT_EQ(ByNames({"spiffe://corp.example/ns/payroll/x"}),
            "PERMISSION_DENIED");
  EXPECT_EQ(ByNames({}), "UNAUTHENTICATED");
}

TEST_F(AccessControlTest, ACertificateOfTwoPrincipalsIsNeither) {
  Set(Principal("a", "tls_identities: 'dns:a'") +
      Principal("b", "tls_identities: 'dns:b'"));
  EXPECT_EQ(ByNames({"dns:a", "dns:b"}), "PERMISSION_DENIED");
}

TEST_F(AccessControlTest, ATokenGoesBeforeACertificate) {
  Set(Principal("a", "tls_identities: 'dns:a'") +
      Principal("b", "token_sha256: '" + Digest("one") + "'"));
  const auto both = [this](std::string_view authorization) {
    return NameOr(access_.Authenticate(
        {.authorization = authorization, .tls_identities = {"dns:a"}}));
  };
  EXPECT_EQ(both("Bearer one"), "b");
  EXPECT_EQ(both("Bearer other"), "UNAUTHENTICATED");
  EXPECT_EQ(both(""), "UNAUTHENTICATED");
}

TEST_F(AccessControlTest, KindsOfIdentitiesAreNotMixedUp) {
  Set(Principal("a", "tls_identities: 'cn:x' jwt_subjects: 'dns:y'") +
      Principal("b", "jwt_subjects: 'cn:x' jwt_subjects: 'token:" +
                         Digest("one") + "'"));
  EXPECT_EQ(ByNames({"cn:x"}), "a");
  EXPECT_EQ(ByNames({"dns:y"}), "PERMISSION_DENIED");
  EXPECT_EQ(By("Bearer one"), "UNAUTHENTICATED");
}

TEST_F(AccessControlTest, FindsWhoeverItRecognisedUntilTheyAreGone) {
  const std::string token = "token_sha256: '" + Digest("one") + "'";
  Set(Principal("payroll", token + " tls_identities: 'dns:a'"));
  const auto by_token = access_.Authenticate({.authorization = "Bearer one"});
  const auto by_name = access_.Authenticate({.tls_identities = {"dns:a"}});
  ASSERT_TRUE(by_token.ok() && by_name.ok());
  EXPECT_EQ(by_token->identity, "token:" + Digest("one"));
  EXPECT_EQ(by_name->identity, "tls:dns:a");
  EXPECT_EQ(by_token->expires_at, absl::InfiniteFuture());
  EXPECT_EQ(access_.Find(by_token->identity), by_token->principal);
  EXPECT_EQ(access_.Find(by_name->identity), by_name->principal);

  Set(Principal("payroll", token + " capabilities: 'admin'"));
  EXPECT_TRUE(access_.Find(by_token->identity)->rights.admin);
  EXPECT_EQ(access_.Find(by_name->identity), nullptr);
  EXPECT_FALSE(by_token->principal->rights.admin) << "shared and immutable";
}

TEST_F(AccessControlTest, TheGenerationChangesWithWhatThePolicySays) {
  const std::string a = Digest("a");
  const std::string b = Digest("b");
  const uint64_t start = access_.generation();
  Set(Principal("p", "token_sha256: ['" + a + "', '" + b +
                         "'] allow { endpoints: ['x', 'y'] }") +
      Principal("q", "tls_identities: 'dns:q'"));
  const uint64_t first = access_.generation();
  EXPECT_NE(first, start);
  const auto principal = access_.Find("tls:dns:q");

  Set(Principal("q", "tls_identities: 'dns:q'") +
      Principal("p", "token_sha256: ['" + b + "', '" +
                         absl::AsciiStrToUpper(a) +
                         "'] allow { endpoints: ['y', 'x'] }"));
  EXPECT_EQ(access_.generation(), first);
  EXPECT_EQ(access_.Find("tls:dns:q"), principal);

  EXPECT_THAT(Refusal("principals {}"), HasSubstr("name"));
  EXPECT_EQ(access_.generation(), first);
  EXPECT_EQ(access_.Find("tls:dns:q"), principal);

  // An allow-list that is absent allows nothing, an empty one everything.
  Set(Principal("q", "tls_identities: 'dns:q' allow {}"));
  const uint64_t second = access_.generation();
  EXPECT_NE(second, first);
  Set(Principal("q", "tls_identities: 'dns:q'"));
  EXPECT_NE(access_.generation(), second);
}

TEST_F(AccessControlTest, NamesWhoIsInThePolicyNow) {
  EXPECT_FALSE(access_.Names("p"));
  Set(Principal("p", "tls_identities: 'dns:p'"));
  EXPECT_TRUE(access_.Names("p"));
  EXPECT_FALSE(access_.Names("tls:dns:p"));
  Set(Principal("q", "tls_identities: 'dns:p'"));
  EXPECT_FALSE(access_.Names("p"));
}

TEST_F(AccessControlTest, CompilesRights) {
  Set(Principal("none", "tls_identities: 'dns:a'") +
      Principal("all",
                "tls_identities: 'dns:b' allow {} capabilities: "
                "['raw_payload', 'personal_data', 'admin']") +
      Principal("some",
                "tls_identities: 'dns:c' allow { endpoints: 'eu' } "
                "capabilities: 'raw_payload'") +
      Principal("support",
                "tls_identities: 'dns:d' capabilities: 'deliveries'"));
  const Rights& none = access_.Find("tls:dns:a")->rights;
  EXPECT_FALSE(none.allow.has_value());
  EXPECT_FALSE(none.personal_data || none.raw_payload || none.admin);
  EXPECT_TRUE(access_.Find("tls:dns:b")->rights.Cover(Rights::All()));
  EXPECT_TRUE(access_.Find("tls:dns:b")->rights.admin);
  const Rights& some = access_.Find("tls:dns:c")->rights;
  EXPECT_EQ(some.allow->endpoints(0), "eu");
  EXPECT_TRUE(some.raw_payload);
  EXPECT_FALSE(some.personal_data || some.admin);
  EXPECT_FALSE(some.Has(Capability::kDeliveries));
  const Rights& support = access_.Find("tls:dns:d")->rights;
  EXPECT_TRUE(support.Has(Capability::kDeliveries));
  EXPECT_FALSE(support.Has(Capability::kAdmin));
  EXPECT_TRUE(access_.Find("tls:dns:b")->rights.Has(Capability::kDeliveries));
}

TEST_F(AccessControlTest, SaysWhichPrincipalsWhatIsWrong) {
  const std::string ok = Principal("ok", "tls_identities: 'dns:ok'");
  const std::pair<std::string, const char*> cases[] = {
      {"", "principals: "},
      {ok + Principal("", "tls_identities: 'dns:a'"), "principals[1]: name: "},
      {ok + Principal("Big", "tls_identities: 'dns:a'"),
       "principals[1] (Big): name: "},
      {ok + Principal(std::string(65, 'a'), "tls_identities: 'dns:a'"),
       "): name: "},
      {ok + Principal("ok", "tls_identities: 'dns:a'"),
       "principals[1] (ok): name: principals[0] has it already"},
      {ok + Principal("a", ""), "principals[1] (a): cannot be recognised"},
      {ok + Principal("a", "token_sha256: '" + Digest("x") +
                               "' token_sha256: '" + Digest("y").substr(1) +
                               "'"),
       "principals[1] (a): token_sha256[1]: "},
      {Principal("a", "token_sha256: ''"), "token_sha256[0]: "},
      {Principal("a", "token_sha256: '" + Digest("x").substr(1) + "g'"),
       "token_sha256[0]: "},
      {Principal("a", "token_sha256: '" + Digest("x") + "'") +
           Principal("b", "token_sha256: '" +
                              absl::AsciiStrToUpper(Digest("x")) + "'"),
       "principals[1] (b): token_sha256[0]: belongs to principals[0] (a)"},
      {ok + Principal("a", "tls_identities: 'dns:ok'"),
       "principals[1] (a): tls_identities[0]: belongs to principals[0] (ok)"},
      {Principal("a", "jwt_subjects: 's'") +
           Principal("b", "jwt_subjects: 's'"),
       "principals[1] (b): jwt_subjects[0]: belongs to principals[0] (a)"},
      {Principal("a", "jwt_subjects: ['s', 's']"),
       "principals[0] (a): jwt_subjects[1]: belongs to principals[0] (a)"},
      {Principal("a", "jwt_subjects: ''"), "(a): jwt_subjects[0]: "},
      {Principal("a", "jwt_subjects: '" + std::string(256, 's') + "'"),
       "(a): jwt_subjects[0]: "},
      {Principal("a",
                 "tls_identities: 'dns:a' capabilities: ['admin', 'root']"),
       "(a): capabilities[1]: \"root\" is not one of"},
      {Principal("a",
                 "tls_identities: 'dns:a' allow { origin_ids: ['x', ''] }"),
       "(a): allow.origin_ids[1]: "},
  };
  for (const auto& [policy, message] : cases) {
    EXPECT_THAT(Refusal(policy), HasSubstr(message)) << policy;
  }
}

TEST_F(AccessControlTest, NeverRepeatsWhatMayBeAToken) {
  EXPECT_THAT(Refusal(Principal("a", "token_sha256: 'a-real-token'")),
              Not(HasSubstr("real")));
}

TEST_F(AccessControlTest, ChecksTheShapeOfTlsIdentities) {
  for (const char* good :
       {"spiffe://a/b", "spiffe://my-domain_1.example/ns/x/sa/Y.z-_", "dns:a",
        "dns:A.b-c_d", "cn:anything at all"}) {
    EXPECT_TRUE(access_
                    .SetPolicy(Parse(Principal(
                        "a", std::string("tls_identities: '") + good + "'")))
                    .ok())
        << good;
  }
  const std::string long_domain(256, 'a');
  const std::string long_path(2048, 'a');
  for (const std::string& bad : {std::string(""),
                                 std::string("a"),
                                 std::string("dns:"),
                                 std::string("cn:"),
                                 std::string("DNS:a"),
                                 std::string("dns:*.a"),
                                 std::string("dns:a b"),
                                 std::string("https://a/b"),
                                 std::string("spiffe://"),
                                 std::string("spiffe:///a"),
                                 std::string("spiffe://a"),
                                 std::string("spiffe://a/"),
                                 std::string("spiffe://a/b/"),
                                 std::string("spiffe://a//b"),
                                 std::string("spiffe://a/./b"),
                                 std::string("spiffe://a/../b"),
                                 std::string("spiffe://A/b"),
                                 std::string("spiffe://a:1/b"),
                                 std::string("spiffe://u@a/b"),
                                 std::string("spiffe://a/b?c"),
                                 std::string("spiffe://a/b#c"),
                                 std::string("spiffe://a/%62"),
                                 std::string("SPIFFE://a/b"),
                                 "spiffe://" + long_domain + "/b",
                                 "spiffe://a/" + long_path}) {
    EXPECT_THAT(Refusal(Principal("a", "tls_identities: '" + bad + "'")),
                StartsWith("principals[0] (a): tls_identities[0]: "))
        << bad;
  }
}

TEST_F(AccessControlTest, TakesNoKeysWithoutJwtOptions) {
  EXPECT_EQ(access_.SetJwks("{}").code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(By("Bearer a.b.c"), "UNAUTHENTICATED");
}

TEST(OpenAccessControlTest, LetsEverybodyInWithAllRights) {
  const FakeClock clock;
  const auto access = AccessControl::Open(clock);
  for (const Credentials& credentials :
       {Credentials{}, Credentials{.authorization = "nonsense"},
        Credentials{.tls_identities = {"dns:a"}}}) {
    const auto caller = access->Authenticate(credentials);
    ASSERT_TRUE(caller.ok());
    EXPECT_EQ(caller->principal->name, "anonymous");
    EXPECT_EQ(caller->identity, "anonymous");
    EXPECT_TRUE(caller->principal->rights.Cover(Rights::All()));
    EXPECT_TRUE(caller->principal->rights.admin);
    EXPECT_EQ(access->Find(caller->identity), caller->principal);
  }
  EXPECT_FALSE(access->Names("anonymous"));
  EXPECT_EQ(access->Find("token:x"), nullptr);
  EXPECT_EQ(access->SetPolicy({}).code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace waggle
