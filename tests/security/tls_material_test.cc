#include "security/tls_material.h"

#include <sys/stat.h>

#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/certificates.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/temp_dir.h"

namespace waggle {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using waggle::testing::CertificateAuthority;
using waggle::testing::IssuedCertificate;

class TlsSourceTest : public ::testing::Test {
 protected:
  TlsSourceTest() { Write(authority_.Issue({.common_name = "gateway"})); }

  void Write(const std::string& name, const std::string& content) {
    const std::string path = dir_.File(name);
    std::ofstream(path, std::ios::binary) << content;
    EXPECT_EQ(chmod(path.c_str(), 0600), 0);
  }
  void Write(const IssuedCertificate& issued) {
    Write("tls.crt", issued.certificate_pem);
    Write("tls.key", issued.key_pem);
  }

  TlsFiles Files() const {
    return {dir_.File("tls.crt"), dir_.File("tls.key"), ""};
  }
  absl::StatusOr<std::unique_ptr<TlsSource>> Open() const {
    return TlsSource::Open(Files(), clock_);
  }
  // The refusal of what is there.
  std::string Refusal() const {
    const auto source = Open();
    EXPECT_FALSE(source.ok());
    return std::string(source.status().message());
  }

  TempDir dir_;
  FakeClock clock_{absl::Now()};
  CertificateAuthority authority_{"Test CA"};
};

TEST_F(TlsSourceTest, GivesWhatIsInTheFiles) {
  const auto expires = absl::FromUnixSeconds(
      absl::ToUnixSeconds(clock_.Now() + absl::Hours(48)));
  const auto issued =
      authority_.Issue({.common_name = "gateway", .not_after = expires});
  Write("tls.crt", issued.certificate_pem + authority_.pem());
  Write("tls.key", issued.key_pem);
  const auto source = Open();
  ASSERT_TRUE(source.ok()) << source.status();
  const auto material = (*source)->current();
  EXPECT_EQ(material->expires_at, expires);
  EXPECT_NE(material->server_context, nullptr);
  EXPECT_THAT(material->certificate_pem, HasSubstr("BEGIN CERTIFICATE"));
  EXPECT_THAT(std::string(material->key_pem.Reveal()),
              HasSubstr("PRIVATE KEY"));
}

TEST_F(TlsSourceTest, RefusesCertificatesOutOfTheirTime) {
  clock_.Advance(absl::Hours(1));
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("tls.crt"), HasSubstr("expired")));
  clock_.Advance(-absl::Hours(3));
  EXPECT_THAT(Refusal(),
              AllOf(HasSubstr("tls.crt"), HasSubstr("not valid before")));
}

TEST_F(TlsSourceTest, RefusesAKeyThatIsNotTheCertificates) {
  Write("tls.key", authority_.Issue({.common_name = "other"}).key_pem);
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("tls.key"), HasSubstr("is not the "
                                                               "key of")));
}

TEST_F(TlsSourceTest, RefusesWhatIsNotPem) {
  const auto good = authority_.Issue({.common_name = "gateway"});
  for (const std::string& garbage :
       {std::string("garbage"), good.certificate_pem.substr(0, 200),
        good.certificate_pem + "-----BEGIN CERTIFICATE-----\nMIIB\n"}) {
    Write(good);
    Write("tls.crt", garbage);
    EXPECT_THAT(Refusal(), HasSubstr("tls.crt"));
  }
  Write(good);
  Write("tls.key", "PRIVATE garbage");
  EXPECT_THAT(Refusal(),
              AllOf(HasSubstr("tls.key"), Not(HasSubstr("PRIVATE"))));
}

TEST_F(TlsSourceTest, RefusesAnEncryptedKeyWithoutAskingForItsPassphrase) {
  Write("tls.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
        "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgCYF2sqEIKwgICCAAw\n"
        "-----END ENCRYPTED PRIVATE KEY-----\n");
  EXPECT_THAT(Refusal(), HasSubstr("passphrase"));
}

TEST_F(TlsSourceTest, RefusesAKeyThatOthersMayRead) {
  ASSERT_EQ(chmod(dir_.File("tls.key").c_str(), 0644), 0);
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("tls.key"), HasSubstr("chmod 600")));
}

TEST_F(TlsSourceTest, ReadsTheClientsAuthorities) {
  TlsFiles files = Files();
  files.client_ca_file = dir_.File("ca.crt");
  Write("ca.crt", authority_.pem());
  const auto source = TlsSource::Open(files, clock_);
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_THAT((*source)->current()->client_ca_pem,
              HasSubstr("BEGIN CERTIFICATE"));
  Write("ca.crt", CertificateAuthority("Another CA").pem());
  const auto changed = (*source)->Reload();
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_TRUE(*changed);
  Write("ca.crt", "garbage");
  EXPECT_FALSE((*source)->Reload().ok());
}

TEST_F(TlsSourceTest, ReloadsWhatChangedAndKeepsWhatIsGood) {
  const auto source = Open();
  ASSERT_TRUE(source.ok()) << source.status();
  const auto first = (*source)->current();
  auto changed = (*source)->Reload();
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_FALSE(*changed);
  EXPECT_EQ((*source)->current(), first);

  // A swap that is half done.
  const auto next = authority_.Issue({.common_name = "gateway"});
  Write("tls.crt", next.certificate_pem);
  EXPECT_FALSE((*source)->Reload().ok());
  EXPECT_EQ((*source)->current(), first);
  Write("tls.key", next.key_pem);
  changed = (*source)->Reload();
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_TRUE(*changed);
  EXPECT_NE((*source)->current(), first);

  // One that has expired is no successor.
  const auto second = (*source)->current();
  Write(authority_.Issue({.common_name = "gateway",
                          .not_before = absl::Now() - absl::Hours(2),
                          .not_after = absl::Now() - absl::Hours(1)}));
  EXPECT_FALSE((*source)->Reload().ok());
  EXPECT_EQ((*source)->current(), second);
}

}  // namespace
}  // namespace waggle
