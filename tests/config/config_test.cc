#include "config/config.h"

#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"
#include "waggle/config/v1/config.pb.h"

namespace waggle {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::FieldDescriptor;
using ::testing::Contains;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The least that a file must say; ends in line 4.
constexpr char kMinimal[] =
    "webhook:\n"
    "  endpoints:\n"
    "    - name: bindbee\n"
    "      signing_key_files: [key]\n";

absl::StatusOr<Settings> Load(const std::string& yaml,
                              const Environment& environment = {}) {
  return LoadSettings(ConfigFile{"w.yaml", yaml}, environment);
}

// The lines of the refusal, none if it was accepted.
std::vector<std::string> Problems(const absl::StatusOr<Settings>& settings) {
  if (settings.ok()) return {};
  EXPECT_EQ(settings.status().code(), absl::StatusCode::kInvalidArgument);
  return absl::StrSplit(settings.status().message(), '\n');
}

Settings MinimalSettings() {
  Settings settings;
  settings.webhook.endpoints = {{"bindbee", {"key"}}};
  return settings;
}

struct Scalar {
  std::string path;
  std::string variable;
  FieldDescriptor::CppType type;
};

void CollectScalars(const Descriptor& descriptor, const std::string& prefix,
                    std::vector<Scalar>& out) {
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const FieldDescriptor& field = *descriptor.field(i);
    if (field.is_repeated()) continue;
    const std::string path = absl::StrCat(prefix, field.name());
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      CollectScalars(*field.message_type(), path + ".", out);
    } else {
      out.push_back({path,
                     "WAGGLE_" + absl::AsciiStrToUpper(
                                     absl::StrReplaceAll(path, {{".", "_"}})),
                     field.cpp_type()});
    }
  }
}

std::vector<Scalar> AllScalars() {
  std::vector<Scalar> scalars;
  CollectScalars(*config::v1::Config::descriptor(), "", scalars);
  return scalars;
}

TEST(ConfigTest, WithoutAFileTheDemoRunsOnLoopback) {
  const auto settings = LoadSettings(std::nullopt, {});
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_TRUE(settings->demo);
  EXPECT_THAT(settings->webhook.endpoints,
              ElementsAre(EndpointSettings{"bindbee", {}}));
  EXPECT_EQ(settings->webhook.listen.ToString(), "127.0.0.1:8080");
  EXPECT_EQ(settings->grpc.listen.ToString(), "127.0.0.1:50051");
  EXPECT_EQ(settings->admin.listen.ToString(), "127.0.0.1:8081");
  EXPECT_EQ(settings->store.path, "waggle-data");
}

TEST(ConfigTest, TheDemoLeavesLoopbackForNoListener) {
  for (const char* variable :
       {"WAGGLE_WEBHOOK_LISTEN", "WAGGLE_GRPC_LISTEN", "WAGGLE_ADMIN_LISTEN"}) {
    EXPECT_THAT(Problems(LoadSettings(std::nullopt, {{variable, ":9000"}})),
                ElementsAre(HasSubstr("demo's key is public")));
    EXPECT_THAT(
        Problems(LoadSettings(std::nullopt, {{variable, "[::1]:9000"}})),
        IsEmpty());
  }
}

TEST(ConfigTest, AFileLeavesLoopback) {
  EXPECT_THAT(Problems(Load(kMinimal, {{"WAGGLE_WEBHOOK_LISTEN", ":80"}})),
              IsEmpty());
}

TEST(ConfigTest, WhatTheFileLeavesOutHasItsDefault) {
  const auto settings = Load(kMinimal);
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(*settings, MinimalSettings());
}

TEST(ConfigTest, EmptySectionsMeanTheirDefaults) {
  const auto settings = Load(absl::StrCat(kMinimal, "grpc:\nstore: {}\n"));
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(*settings, MinimalSettings());
}

TEST(ConfigTest, TheExampleSpellsOutTheDefaults) {
  const auto file = ReadConfigFile(WAGGLE_EXAMPLE_CONFIG);
  ASSERT_TRUE(file.ok()) << file.status();
  const auto settings = LoadSettings(*file, {});
  ASSERT_TRUE(settings.ok()) << settings.status();
  Settings expected;
  expected.webhook.endpoints = {{"bindbee", {"/etc/waggle/keys/bindbee"}}};
  EXPECT_EQ(*settings, expected);
  for (const Scalar& scalar : AllScalars()) {
    const std::vector<std::string> names = absl::StrSplit(scalar.path, '.');
    // What is off by default is shown as a comment.
    EXPECT_THAT(file->text,
                ContainsRegex(absl::StrCat("\n *(# *)?", names.back(), ": ")));
  }
}

TEST(ConfigTest, EveryKeyReachesTheSettings) {
  const auto settings = Load(R"(
webhook:
  listen: "[::1]:1"
  endpoints:
    - name: production
      signing_key_files: [/keys/a, /keys/b]
    - name: dev-2_x
      signing_key_files:
        - /keys/c
  max_body_size: 2MiB
  max_connections: 3
  workers: 8
  request_timeout: 5s
  idle_timeout: 6s
  max_buffered_size: 7MiB
  tls: {certificate_file: /tls/w.pem, key_file: /tls/w.key}
  max_connections_per_address: 24
  max_failures_per_minute: 25
  trusted_proxies: [10.0.0.0/8, "fd00::/8", 192.0.2.1]
grpc:
  listen: localhost:8
  max_streams: 9
  max_streams_per_connection: 10
  max_stream_age: 11m
  keepalive_time: 12s
  keepalive_timeout: 13s
  min_ping_interval: 14s
  reflection: false
  tls:
    certificate_file: /tls/g.pem
    key_file: /tls/g.key
    client_ca_file: /tls/ca.pem
    client_certificates: optional
  max_streams_per_principal: 26
  max_streams_per_address: 27
  max_connections: 41
  max_connections_per_address: 42
  max_health_watches: 43
  max_health_watches_per_address: 44
  max_requests_per_second_per_principal: 28
  max_requests_per_second_per_address: 29
  max_metadata_size: 30KiB
  max_request_size: 31KiB
  max_filters: 32
  max_filter_values: 33
admin:
  listen: ":15"
  tls: {certificate_file: /tls/a.pem, key_file: /tls/a.key}
store:
  path: /data
  max_age: 16h
  max_size: 17GiB
  readers: 18
ingest:
  dedup_window: 19m
  dedup_syncs_while_retained: false
stream:
  tail_size: 20MiB
  linger: 21ms
deliveries:
  max_age: 45h
  max_records: 4600
  max_refused_records: 4700
  max_refused_per_second: 48
log:
  level: debug
  format: json
shutdown:
  timeout: 22s
  linger: 23ms
security:
  access_file: /access.yaml
  jwt:
    jwks_file: /jwks.json
    issuer: https://issuer
    audience: waggle
    clock_skew: 34s
)");
  ASSERT_TRUE(settings.ok()) << settings.status();
  Settings expected;
  expected.webhook.listen = {"::1", 1};
  expected.webhook.endpoints = {{"production", {"/keys/a", "/keys/b"}},
                                {"dev-2_x", {"/keys/c"}}};
  expected.webhook.max_body_size = 2 << 20;
  expected.webhook.max_connections = 3;
  expected.webhook.workers = 8;
  expected.webhook.request_timeout = absl::Seconds(5);
  expected.webhook.idle_timeout = absl::Seconds(6);
  expected.webhook.max_buffered_size = 7 << 20;
  expected.webhook.tls.certificate_file = "/tls/w.pem";
  expected.webhook.tls.key_file = "/tls/w.key";
  expected.webhook.max_connections_per_address = 24;
  expected.webhook.max_failures_per_minute = 25;
  for (const char* network : {"10.0.0.0/8", "fd00::/8", "192.0.2.1"}) {
    expected.webhook.trusted_proxies.push_back(*IpNetwork::FromText(network));
  }
  expected.grpc.listen = {"localhost", 8};
  expected.grpc.max_streams = 9;
  expected.grpc.max_streams_per_connection = 10;
  expected.grpc.max_stream_age = absl::Minutes(11);
  expected.grpc.keepalive_time = absl::Seconds(12);
  expected.grpc.keepalive_timeout = absl::Seconds(13);
  expected.grpc.min_ping_interval = absl::Seconds(14);
  expected.grpc.reflection = false;
  expected.grpc.tls = {"/tls/g.pem", "/tls/g.key", "/tls/ca.pem",
                       ClientCertificates::kOptional};
  expected.grpc.max_streams_per_principal = 26;
  expected.grpc.max_streams_per_address = 27;
  expected.grpc.max_connections = 41;
  expected.grpc.max_connections_per_address = 42;
  expected.grpc.max_health_watches = 43;
  expected.grpc.max_health_watches_per_address = 44;
  expected.grpc.max_requests_per_second_per_principal = 28;
  expected.grpc.max_requests_per_second_per_address = 29;
  expected.grpc.max_metadata_size = 30 << 10;
  expected.grpc.max_request_size = 31 << 10;
  expected.grpc.max_filters = 32;
  expected.grpc.max_filter_values = 33;
  expected.admin.listen = {"::", 15};
  expected.admin.tls.certificate_file = "/tls/a.pem";
  expected.admin.tls.key_file = "/tls/a.key";
  expected.store.path = "/data";
  expected.store.max_age = absl::Hours(16);
  expected.store.max_size = uint64_t{17} << 30;
  expected.store.readers = 18;
  expected.ingest.dedup_window = absl::Minutes(19);
  expected.ingest.dedup_syncs_while_retained = false;
  expected.stream.tail_size = 20 << 20;
  expected.stream.linger = absl::Milliseconds(21);
  expected.deliveries.max_age = absl::Hours(45);
  expected.deliveries.max_records = 4600;
  expected.deliveries.max_refused_records = 4700;
  expected.deliveries.max_refused_per_second = 48;
  expected.log.level = LogLevel::kDebug;
  expected.log.format = LogFormat::kJson;
  expected.shutdown.timeout = absl::Seconds(22);
  expected.shutdown.linger = absl::Milliseconds(23);
  expected.security.access_file = "/access.yaml";
  expected.security.jwt = {"/jwks.json", "https://issuer", "waggle",
                           absl::Seconds(34)};
  EXPECT_EQ(*settings, expected);

  const auto again = Load(ToYaml(*settings));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, expected);
}

TEST(ConfigTest, ZeroMeansNeverWhereTheSchemaSaysSo) {
  const auto settings = Load(absl::StrCat(
      kMinimal,
      "grpc: {max_stream_age: 0s}\nstore: {max_age: 0s, max_size: 0}\n"
      "deliveries: {max_age: 0s, max_refused_per_second: 0}\n"));
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->grpc.max_stream_age, absl::InfiniteDuration());
  EXPECT_EQ(settings->store.max_age, absl::InfiniteDuration());
  EXPECT_EQ(settings->store.max_size, 0u);
  EXPECT_EQ(settings->deliveries.max_age, absl::InfiniteDuration());
  EXPECT_EQ(settings->deliveries.max_refused_per_second, 0u);
  EXPECT_EQ(*Load(ToYaml(*settings)), *settings);
}

TEST(ConfigTest, QuotesSurviveBeingWrittenAndRead) {
  Settings settings = MinimalSettings();
  settings.store.path = "a \"b\" \\c: #d";
  const auto again = Load(ToYaml(settings));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, settings);
}

// --- What may be reached from elsewhere. ---

TEST(ExposureTest, WithoutSecurityGrpcAndAdminStayOnLoopback) {
  EXPECT_THAT(
      Problems(Load(kMinimal, {{"WAGGLE_GRPC_LISTEN", ":1"}})),
      ElementsAre(
          AllOf(HasSubstr("security.access_file"), HasSubstr("--insecure")),
          AllOf(HasSubstr("grpc.tls"), HasSubstr("--insecure"))));
  EXPECT_THAT(Problems(Load(kMinimal, {{"WAGGLE_ADMIN_LISTEN", "10.0.0.1:1"}})),
              ElementsAre(AllOf(HasSubstr("security.access_file"),
                                HasSubstr("--insecure"))));
}

TEST(ExposureTest, WithAccessControlAndTlsTheyMayLeaveIt) {
  EXPECT_THAT(Problems(Load(absl::StrCat(kMinimal, R"(
grpc: {listen: ":1", tls: {certificate_file: a, key_file: b}}
admin: {listen: ":2"}
security: {access_file: c}
)"))),
              IsEmpty());
}

TEST(ExposureTest, InsecureLetsThemLeaveItAsTheyAre) {
  const auto settings = LoadSettings(
      ConfigFile{"w.yaml", kMinimal},
      {{"WAGGLE_GRPC_LISTEN", ":1"}, {"WAGGLE_ADMIN_LISTEN", ":2"}},
      Exposure::kInsecure);
  EXPECT_TRUE(settings.ok()) << settings.status();
}

TEST(ExposureTest, InsecureDoesNotLetTheDemoLeaveIt) {
  EXPECT_THAT(
      Problems(LoadSettings(std::nullopt, {{"WAGGLE_GRPC_LISTEN", ":1"}},
                            Exposure::kInsecure)),
      ElementsAre(HasSubstr("demo's key is public")));
}

TEST(SecurityTest, ReflectionIsOffWithAccessControl) {
  const auto settings =
      Load(absl::StrCat(kMinimal, "security: {access_file: a}\n"));
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_FALSE(settings->grpc.reflection);
  EXPECT_THAT(Problems(Load(absl::StrCat(kMinimal,
                                         "security: {access_file: a}\n"
                                         "grpc: {reflection: true}\n"))),
              ElementsAre(HasSubstr("reflection asks nobody")));
}

TEST(AccessFileTest, IsReadByItsSchema) {
  const auto access = ParseAccess({"a.yaml", R"(
principals:
  - name: payroll
    token_sha256: ["ab", "cd"]
    jwt_subjects: [s]
    tls_identities: ["spiffe://a/b"]
    allow: {endpoints: [bindbee], event_types: [employee_data_changed]}
    capabilities: [personal_data]
  - name: metrics
    capabilities: [admin]
  - name: everything
    allow: {}
)"});
  ASSERT_TRUE(access.ok()) << access.status();
  ASSERT_EQ(access->principals_size(), 3);
  EXPECT_EQ(access->principals(0).token_sha256(1), "cd");
  EXPECT_EQ(access->principals(0).allow().event_types(0),
            "employee_data_changed");
  EXPECT_FALSE(access->principals(1).has_allow());
  EXPECT_TRUE(access->principals(2).has_allow());
}

// A file that was cut short, or whose values became comments, gives nobody all
// rights.
TEST(AccessFileTest, WhatNamesNothingIsRefused) {
  for (const char* rest :
       {"allow:", "allow: null", "allow: ~", "allow:\n      # endpoints: [a]\n",
        "allow:\n      endpoints:", "allow: {endpoints: []}",
        "allow: {endpoints: ~}", "capabilities:", "capabilities: []"}) {
    EXPECT_FALSE(
        ParseAccess({"a.yaml", absl::StrCat("principals:\n  - name: a\n    "
                                            "token_sha256: [b]\n    ",
                                            rest)})
            .ok())
        << rest;
  }
}

TEST(AccessFileTest, RefusesWhatTheSchemaDoesNotHave) {
  const auto access =
      ParseAccess({"a.yaml", "principals:\n  - name: a\n    alow: {}\n"});
  ASSERT_FALSE(access.ok());
  EXPECT_EQ(access.status().message(),
            "a.yaml:3:5: principals[0].alow: there is no such key; did you "
            "mean \"allow\"?");
}

struct Refusal {
  // Appended to kMinimal, so the first line here is line 5.
  std::string yaml;
  std::string problem;
};

void PrintTo(const Refusal& refusal, std::ostream* out) {
  *out << refusal.yaml;
}

class RefusalTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(RefusalTest, NamesThePlaceAndWhatIsAllowed) {
  EXPECT_THAT(Problems(Load(kMinimal + GetParam().yaml)),
              ElementsAre(GetParam().problem));
}

constexpr char kDurationHelp[] =
    " is not a duration; write such as 500ms, 30s, 10m, 24h";
constexpr char kSizeHelp[] =
    " is not a size; write such as 64KiB, 1MiB, 10GiB, or plain bytes";

INSTANTIATE_TEST_SUITE_P(
    Security, RefusalTest,
    ::testing::Values(
        Refusal{"  tls: {certificate_file: a}\n",
                "w.yaml:5:3: webhook.tls: has no key_file"},
        Refusal{"admin: {tls: {key_file: a}}\n",
                "w.yaml:5:9: admin.tls: has no certificate_file"},
        Refusal{
            "  tls: {certificate_file: a, key_file: b, client_ca_file: c}\n",
            "w.yaml:5:43: webhook.tls.client_ca_file: there is no such "
            "key"},
        Refusal{"grpc:\n  tls: {certificate_file: a, key_file: b, "
                "client_certificates: required}\n",
                "w.yaml:6:64: grpc.tls.client_certificates: needs "
                "client_ca_file: who issues the clients' certificates"},
        Refusal{"grpc:\n  tls: {certificate_file: a, key_file: b, "
                "client_ca_file: c}\n",
                "w.yaml:6:59: grpc.tls.client_ca_file: has no effect while "
                "client_certificates is off; write optional or required"},
        Refusal{"grpc:\n  tls: {certificate_file: a, key_file: b, "
                "client_ca_file: c, client_certificates: optional}\n",
                "w.yaml:6:83: grpc.tls.client_certificates: optional "
                "certificates are of no effect without security.access_file, "
                "which says whose they are"},
        Refusal{"security: {jwt: {jwks_file: a, issuer: b, audience: c}}\n",
                "w.yaml:5:12: security.jwt: needs security.access_file, which "
                "says whose tokens they are"},
        Refusal{"security: {access_file: x, jwt: {jwks_file: a, issuer: b}}\n",
                "w.yaml:5:28: security.jwt: has no audience"}));

INSTANTIATE_TEST_SUITE_P(
    Keys, RefusalTest,
    ::testing::Values(
        Refusal{"grpc:\n  lisen: x\n",
                "w.yaml:6:3: grpc.lisen: there is no such key; did you mean "
                "\"listen\"?"},
        Refusal{"zzzzzz: 1\n", "w.yaml:5:1: zzzzzz: there is no such key"},
        Refusal{"\"a\\nb\": 1\n", "w.yaml:5:1: a\\nb: there is no such key"},
        Refusal{"? [a]\n: 1\n", "w.yaml:5:3: a key must be a plain word"},
        Refusal{"webhook: {}\n",
                "w.yaml:5:1: webhook: is here for the second time"},
        Refusal{"log:\n  level: info\n  level: info\n",
                "w.yaml:7:3: log.level: is here for the second time"},
        Refusal{"grpc: 5\n",
                "w.yaml:5:7: grpc: must be a section with keys of its own"},
        Refusal{"grpc: [1]\n",
                "w.yaml:5:7: grpc: must be a section with keys of its own"}));

INSTANTIATE_TEST_SUITE_P(
    Types, RefusalTest,
    ::testing::Values(
        Refusal{"log:\n  level: {a: b}\n",
                "w.yaml:6:10: log.level: must be a single value"},
        Refusal{"log:\n  level: [info]\n",
                "w.yaml:6:10: log.level: must be a single value"},
        Refusal{"log:\n  level: ~\n",
                "w.yaml:6:10: log.level: has no value; leave it out for the "
                "default"},
        Refusal{"log:\n  level: \"\"\n",
                "w.yaml:6:10: log.level: is empty; leave it out for the "
                "default"},
        Refusal{"store:\n  path: \"a\\0b\"\n",
                "w.yaml:6:9: store.path: contains control characters"},
        Refusal{"store:\n  readers: four\n",
                "w.yaml:6:12: store.readers: \"four\" is not a whole number up "
                "to 4294967295"},
        Refusal{"store:\n  readers: -1\n",
                "w.yaml:6:12: store.readers: \"-1\" is not a whole number up "
                "to 4294967295"},
        Refusal{"store:\n  readers: 4294967296\n",
                "w.yaml:6:12: store.readers: \"4294967296\" is not a whole "
                "number up to 4294967295"},
        Refusal{"grpc:\n  reflection: yes\n",
                "w.yaml:6:15: grpc.reflection: \"yes\" is not true or false"}));

INSTANTIATE_TEST_SUITE_P(
    Values, RefusalTest,
    ::testing::Values(
        Refusal{
            "stream:\n  linger: 10\n",
            absl::StrCat("w.yaml:6:11: stream.linger: \"10\"", kDurationHelp)},
        Refusal{
            "stream:\n  linger: -1s\n",
            absl::StrCat("w.yaml:6:11: stream.linger: \"-1s\"", kDurationHelp)},
        Refusal{"stream:\n  linger: 2s\n",
                "w.yaml:6:11: stream.linger: 2s is not 0s to 1s"},
        Refusal{
            "stream:\n  tail_size: 64MB\n",
            absl::StrCat("w.yaml:6:14: stream.tail_size: \"64MB\"", kSizeHelp)},
        Refusal{"stream:\n  tail_size: 1KiB\n",
                "w.yaml:6:14: stream.tail_size: 1KiB is not 64KiB to 1TiB"},
        Refusal{"store:\n  max_size: 1MiB\n",
                "w.yaml:6:13: store.max_size: 1MiB is not 16MiB to 1024TiB or "
                "0"},
        Refusal{"store:\n  max_age: 10ms\n",
                "w.yaml:6:12: store.max_age: 10ms is not 1s to 876000h or 0s"},
        Refusal{"store:\n  readers: 0\n",
                "w.yaml:6:12: store.readers: 0 is not 1 to 64"},
        Refusal{"deliveries:\n  max_records: 999\n",
                "w.yaml:6:16: deliveries.max_records: 999 is not 1000 to "
                "1000000000"},
        Refusal{"  trusted_proxies: [10.0.0.0/8, 10.0.0.1/8]\n",
                "w.yaml:5:33: webhook.trusted_proxies[1]: \"10.0.0.1/8\" is "
                "not a network: the address has bits beyond its prefix; write "
                "such as 10.0.0.0/8, fd00::/8 or 192.0.2.1"},
        Refusal{"log:\n  level: verbose\n",
                "w.yaml:6:10: log.level: \"verbose\" is not one of debug, "
                "info, warn, error"},
        Refusal{"log:\n  format: xml\n",
                "w.yaml:6:11: log.format: \"xml\" is not one of text, json"},
        Refusal{"grpc:\n  listen: 50051\n",
                "w.yaml:6:11: grpc.listen: \"50051\" is not an address to "
                "listen on; write host:port, such as 127.0.0.1:8080, "
                "[::1]:8080, or :8080 for all interfaces"},
        Refusal{"grpc:\n  listen: 127.0.0.1:8080\n",
                "w.yaml:6:11: grpc.listen: 127.0.0.1:8080 is the address of "
                "another listener too"},
        Refusal{"shutdown:\n  linger: 31s\n",
                "w.yaml:6:11: shutdown.linger: 31s is longer than "
                "shutdown.timeout, 30s"}));

INSTANTIATE_TEST_SUITE_P(
    Syntax, RefusalTest,
    ::testing::Values(
        Refusal{"grpc: &a {}\n", "w.yaml:5:7: anchors are not allowed"},
        Refusal{"grpc: !x {}\n", "w.yaml:5:7: tags are not allowed"},
        Refusal{"---\ngrpc: {}\n",
                "w.yaml:5:1: a second document begins here; only one is "
                "allowed"}));

TEST(ConfigTest, PortZeroCanBeSharedByListeners) {
  EXPECT_THAT(Problems(Load(kMinimal, {{"WAGGLE_WEBHOOK_LISTEN", "[::1]:0"},
                                       {"WAGGLE_GRPC_LISTEN", "[::1]:0"}})),
              IsEmpty());
}

TEST(ConfigTest, RefusesBodiesLargerThanTheirMemory) {
  EXPECT_THAT(
      Problems(Load(kMinimal, {{"WAGGLE_WEBHOOK_MAX_BODY_SIZE", "2MiB"},
                               {"WAGGLE_WEBHOOK_MAX_BUFFERED_SIZE", "1MiB"}})),
      ElementsAre("WAGGLE_WEBHOOK_MAX_BUFFERED_SIZE: "
                  "webhook.max_buffered_size: 1MiB is less than "
                  "webhook.max_body_size, 2MiB"));
}

TEST(ConfigTest, RefusesEndpointsThatCannotWork) {
  EXPECT_THAT(
      Problems(Load("webhook:\n"
                    "  endpoints:\n"
                    "    - name: Bindbee\n"
                    "      signing_key_files: [a]\n"
                    "    - signing_key_files: [a]\n"
                    "    - name: x\n"
                    "    - name: y\n"
                    "      signing_key_files: [a]\n"
                    "    - name: y\n"
                    "      signing_key_files: [\"\", [a]]\n")),
      ElementsAre(
          "w.yaml:10:27: webhook.endpoints[4].signing_key_files[0]: is empty; "
          "leave it out for the default",
          "w.yaml:10:31: webhook.endpoints[4].signing_key_files[1]: must be a "
          "single value",
          "w.yaml:3:13: webhook.endpoints[0].name: \"Bindbee\" is not 1 to 64 "
          "of a-z, 0-9, \"-\" and \"_\"",
          "w.yaml:5:7: webhook.endpoints[1]: has no name",
          "w.yaml:6:7: webhook.endpoints[2]: has no signing_key_files",
          "w.yaml:9:13: webhook.endpoints[4].name: \"y\" is the name of "
          "another endpoint too",
          "w.yaml:9:7: webhook.endpoints[4]: has no signing_key_files"));
}

TEST(ConfigTest, RefusesAFileWithoutEndpoints) {
  const std::string problem =
      "webhook.endpoints: at least one is needed, with a name and "
      "signing_key_files";
  EXPECT_THAT(Problems(Load("")), ElementsAre(problem));
  EXPECT_THAT(Problems(Load("webhook:\n  endpoints: []\n")),
              ElementsAre("w.yaml:2:3: " + problem));
  EXPECT_THAT(Problems(Load("webhook:\n  endpoints: bindbee\n")),
              ElementsAre("w.yaml:2:14: webhook.endpoints: must be a list: "
                          "lines that begin with \"- \"",
                          "w.yaml:2:3: " + problem));
}

TEST(ConfigTest, ReportsEveryProblemAtOnce) {
  EXPECT_EQ(Problems(Load("grpc:\n  listen: x\n  max_streams: 0\n"
                          "log: {levle: info, format: xml}\n",
                          {{"WAGGLE_STORE_READERS", "none"},
                           {"WAGGLE_STROE_PATH", "x"}}))
                .size(),
            7u);
}

// Appended to kMinimal.
constexpr char kSecured[] = R"(  tls: {certificate_file: a, key_file: b}
grpc:
  tls:
    certificate_file: a
    key_file: b
    client_ca_file: c
    client_certificates: required
admin:
  tls: {certificate_file: a, key_file: b}
security:
  access_file: d
  jwt: {jwks_file: e, issuer: f, audience: g}
)";

// Whether whatever is written is as good as anything else.
bool IsFreeText(const std::string& path) {
  return path == "store.path" || absl::EndsWith(path, "_file") ||
         path == "security.jwt.issuer" || path == "security.jwt.audience";
}

// Also proves that no key is forgotten when values are held against limits.
TEST(EnvironmentTest, EveryScalarOfTheSchemaCanBeOverridden) {
  for (const Scalar& scalar : AllScalars()) {
    const bool number = scalar.type == FieldDescriptor::CPPTYPE_UINT32;
    const bool flag = scalar.type == FieldDescriptor::CPPTYPE_BOOL;
    if (IsFreeText(scalar.path)) {
      const auto settings = Load(absl::StrCat(kMinimal, kSecured),
                                 {{scalar.variable, "overridden"}});
      ASSERT_TRUE(settings.ok()) << settings.status();
      EXPECT_THAT(ToYaml(*settings), HasSubstr(": \"overridden\"\n"))
          << scalar.path;
    } else if (flag) {
      const auto settings = Load(kMinimal, {{scalar.variable, "false"}});
      ASSERT_TRUE(settings.ok()) << settings.status();
      EXPECT_NE(*settings, MinimalSettings()) << scalar.path;
    } else {
      EXPECT_THAT(Problems(Load(kMinimal, {{scalar.variable,
                                            number ? "4294967295" : "?"}})),
                  Contains(HasSubstr(
                      absl::StrCat(scalar.variable, ": ", scalar.path, ": "))));
    }
  }
}

TEST(EnvironmentTest, WinsOverTheFile) {
  const auto settings =
      Load(absl::StrCat(kMinimal, "grpc: {listen: \"127.0.0.1:1\"}\n"),
           {{"WAGGLE_GRPC_LISTEN", "127.0.0.1:2"}});
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->grpc.listen.port, 2);
}

TEST(EnvironmentTest, RefusesVariablesThatNameNothing) {
  EXPECT_THAT(
      Problems(Load(kMinimal, {{"WAGGLE_GRPC_LISTN", "x"}})),
      ElementsAre("WAGGLE_GRPC_LISTN: there is no such setting; did you mean "
                  "\"WAGGLE_GRPC_LISTEN\"?"));
  EXPECT_THAT(Problems(Load(kMinimal, {{"WAGGLE_WEBHOOK_ENDPOINTS", "x"}})),
              ElementsAre(HasSubstr("there is no such setting")));
  EXPECT_THAT(Problems(Load(kMinimal, {{"WAGGLE_", "x"}})),
              ElementsAre(HasSubstr("there is no such setting")));
}

TEST(EnvironmentTest, SaysWhatToDoAboutKubernetesServiceLinks) {
  for (const char* variable :
       {"WAGGLE_SERVICE_HOST", "WAGGLE_SERVICE_PORT_GRPC", "WAGGLE_PORT",
        "WAGGLE_PORT_8080_TCP_ADDR"}) {
    EXPECT_THAT(Problems(Load(kMinimal, {{variable, "10.0.0.1"}})),
                ElementsAre(HasSubstr("enableServiceLinks: false")));
  }
}

TEST(EnvironmentTest, IgnoresOtherVariables) {
  EXPECT_THAT(
      Problems(Load(kMinimal, {{"PATH", "/bin"}, {"waggle_grpc_listen", "x"}})),
      IsEmpty());
}

TEST(EnvironmentTest, RefusesEmptyValues) {
  EXPECT_THAT(Problems(Load(kMinimal, {{"WAGGLE_LOG_LEVEL", ""}})),
              ElementsAre(HasSubstr("WAGGLE_LOG_LEVEL: ")));
}

TEST(ReadConfigFileTest, SaysWhichFileCannotBeRead) {
  for (const char* path : {"/nonexistent/waggle.yaml", "/"}) {
    const auto file = ReadConfigFile(path);
    ASSERT_FALSE(file.ok());
    EXPECT_THAT(std::string(file.status().message()), HasSubstr(path));
  }
}

TEST(ReadConfigFileTest, ReadsNoMoreThanALittleOfAHugeFile) {
  const auto file = ReadConfigFile("/dev/zero");
  ASSERT_TRUE(file.ok());
  EXPECT_THAT(Problems(LoadSettings(*file, {})).front(), HasSubstr("larger"));
}

}  // namespace
}  // namespace waggle
