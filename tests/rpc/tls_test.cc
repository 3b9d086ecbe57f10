// TLS of the gRPC listener: who gets in, as whom, and what happens when
// certificates are exchanged while streams are open.
#include <sys/stat.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "openssl/ssl.h"
#include "tests/fakes/certificates.h"
#include "tests/fakes/temp_dir.h"
#include "tests/rpc/rpc_fixture.h"

namespace waggle::rpc {
namespace {

using ::testing::ElementsAre;
using waggle::testing::CertificateAuthority;
using waggle::testing::IssuedCertificate;

// A handshake as a client that verifies nothing makes it: the common name of
// the certificate it was shown, or nothing if there was no handshake.
std::string NameShownTo(int port, int version) {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(
      SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  // The lowest level, at which OpenSSL itself still offers old versions.
  SSL_CTX_set_security_level(context.get(), 0);
  SSL_CTX_set_min_proto_version(context.get(), version);
  SSL_CTX_set_max_proto_version(context.get(), version);
  SSL_CTX_set_alpn_protos(context.get(),
                          reinterpret_cast<const unsigned char*>("\x02h2"), 3);
  const std::unique_ptr<BIO, decltype(&BIO_free_all)> bio(
      BIO_new_ssl_connect(context.get()), BIO_free_all);
  BIO_set_conn_hostname(bio.get(), absl::StrCat("127.0.0.1:", port).c_str());
  if (BIO_do_connect(bio.get()) != 1 || BIO_do_handshake(bio.get()) != 1) {
    return "";
  }
  SSL* ssl = nullptr;
  BIO_get_ssl(bio.get(), &ssl);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(
      SSL_get1_peer_certificate(ssl), X509_free);
  char name[64] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()),
                            NID_commonName, name, sizeof(name));
  return name;
}

class TlsTest : public RpcTest {
 protected:
  TlsTest() {
    clock.Set(absl::Now());
    access = std::make_unique<AccessControl>(std::nullopt, clock);
    config::v1::Access policy;
    for (const char* identity : {"spiffe://waggle.example/worker",
                                 "dns:worker.example", "cn:worker"}) {
      auto& principal = *policy.add_principals();
      principal.set_name(
          absl::StrCat("by-", std::string(identity).substr(0, 2)));
      principal.add_tls_identities(identity);
      principal.mutable_allow();
    }
    EXPECT_TRUE(access->SetPolicy(policy).ok());
    Write("ca.crt", clients_.pem());
    WriteServer("gateway-1");
  }

  void Write(const std::string& name, const std::string& content) {
    const std::string path = dir_.File(name);
    std::ofstream(path, std::ios::binary) << content;
    EXPECT_EQ(chmod(path.c_str(), 0600), 0);
  }
  void WriteServer(const std::string& name) {
    const IssuedCertificate issued =
        servers_.Issue({.common_name = name, .sans = "DNS:localhost"});
    Write("tls.crt", issued.certificate_pem);
    Write("tls.key", issued.key_pem);
  }

  void StartTls(ClientCertificates client_certificates) {
    auto source = TlsSource::Open(
        {dir_.File("tls.crt"), dir_.File("tls.key"), dir_.File("ca.crt")},
        clock);
    ASSERT_TRUE(source.ok()) << source.status();
    tls_ = *std::move(source);
    GrpcOptions options;
    options.tls = tls_.get();
    options.client_certificates = client_certificates;
    Start(options);
  }
  void TearDown() override { server.reset(); }  // before what it reads

  // On a connection of its own.
  std::unique_ptr<v1::EventService::Stub> StubWith(
      const IssuedCertificate& certificate) const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetSslTargetNameOverride("localhost");
    return v1::EventService::NewStub(grpc::CreateCustomChannel(
        absl::StrCat("127.0.0.1:", server->port()),
        grpc::SslCredentials(
            {servers_.pem(), certificate.key_pem, certificate.certificate_pem}),
        arguments));
  }

  grpc::Status ListWith(const IssuedCertificate& certificate,
                        bool include_payload = false) const {
    grpc::ClientContext context;
    context.set_deadline(CallDeadline());
    v1::ListEventsRequest request;
    request.set_include_payload(include_payload);
    v1::ListEventsResponse response;
    return StubWith(certificate)->ListEvents(&context, request, &response);
  }
  grpc::StatusCode CodeWith(const IssuedCertificate& certificate) const {
    return ListWith(certificate).error_code();
  }
  std::string ReasonWith(const IssuedCertificate& certificate) const {
    return RichStatus(ListWith(certificate)).reason();
  }
  // The principal that the certificate's owner is: named when it is refused.
  std::string PrincipalOf(const IssuedCertificate& certificate) const {
    return RichStatus(ListWith(certificate, /*include_payload=*/true))
        .Metadata("principal");
  }
  IssuedCertificate Worker() const {
    return clients_.Issue({.common_name = "worker"});
  }

  TempDir dir_;
  CertificateAuthority servers_{"Servers"};
  CertificateAuthority clients_{"Clients"};
  std::unique_ptr<TlsSource> tls_;
};

TEST_F(TlsTest, OldVersionsAreRefused) {
  StartTls(ClientCertificates::kOff);
  EXPECT_EQ(NameShownTo(server->port(), TLS1_VERSION), "");
  EXPECT_EQ(NameShownTo(server->port(), TLS1_1_VERSION), "");
  EXPECT_EQ(NameShownTo(server->port(), TLS1_2_VERSION), "gateway-1");
  EXPECT_EQ(NameShownTo(server->port(), TLS1_3_VERSION), "gateway-1");
}

TEST_F(TlsTest, ACertificateIsKnownByTheFirstKindOfNameThatItHas) {
  StartTls(ClientCertificates::kRequired);
  EXPECT_EQ(PrincipalOf(Worker()), "by-cn");
  EXPECT_EQ(PrincipalOf(clients_.Issue(
                {.common_name = "worker", .sans = "DNS:worker.example"})),
            "by-dn");
  EXPECT_EQ(PrincipalOf(
                clients_.Issue({.common_name = "worker",
                                .sans = "DNS:worker.example,"
                                        "URI:spiffe://waggle.example/worker"})),
            "by-sp");
  // The names of later kinds count for nothing.
  EXPECT_EQ(ReasonWith(clients_.Issue(
                {.common_name = "worker", .sans = "DNS:stranger.example"})),
            "PRINCIPAL_UNKNOWN");
}

class VerifyingTest : public TlsTest,
                      public ::testing::WithParamInterface<ClientCertificates> {
};

TEST_P(VerifyingTest, OnlyCertificatesThatAreValidGetIn) {
  StartTls(GetParam());
  EXPECT_EQ(CodeWith(Worker()), grpc::StatusCode::OK);
  const IssuedCertificate expired =
      clients_.Issue({.common_name = "worker",
                      .not_before = absl::Now() - absl::Hours(2),
                      .not_after = absl::Now() - absl::Hours(1)});
  EXPECT_EQ(CodeWith(expired), grpc::StatusCode::UNAVAILABLE);
  const IssuedCertificate foreign =
      CertificateAuthority("Clients").Issue({.common_name = "worker"});
  EXPECT_EQ(CodeWith(foreign), grpc::StatusCode::UNAVAILABLE);
}

INSTANTIATE_TEST_SUITE_P(Modes, VerifyingTest,
                         ::testing::Values(ClientCertificates::kOptional,
                                           ClientCertificates::kRequired));

TEST_F(TlsTest, WithoutACertificateNobodyGetsIn) {
  StartTls(ClientCertificates::kRequired);
  EXPECT_EQ(CodeWith({}), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsTest, WithoutACertificateNobodyIsAnybody) {
  StartTls(ClientCertificates::kOptional);
  EXPECT_EQ(ReasonWith({}), "CREDENTIALS_MISSING");
}

// Else whoever makes one for themselves would be whom it names.
TEST_F(TlsTest, CertificatesThatWereNotAskedForAreNotLookedAt) {
  StartTls(ClientCertificates::kOff);
  EXPECT_EQ(ReasonWith(Worker()), "CREDENTIALS_MISSING");
  EXPECT_EQ(ReasonWith(CertificateAuthority("Clients").Issue(
                {.common_name = "worker"})),
            "CREDENTIALS_MISSING");
}

TEST_F(TlsTest, NewHandshakesAreShownTheNewCertificateAndStreamsGoOn) {
  StartTls(ClientCertificates::kRequired);
  const auto stub = StubWith(Worker());
  TestStream stream(*stub, {});
  v1::SubscribeResponse response;
  ASSERT_TRUE(stream.Read(response));
  for (int n = 2; n <= 4; ++n) {
    WriteServer(absl::StrCat("gateway-", n));
    const auto changed = tls_->Reload();
    ASSERT_TRUE(changed.ok()) << changed.status();
    ASSERT_TRUE(*changed);
    EXPECT_EQ(NameShownTo(server->port(), TLS1_3_VERSION),
              absl::StrCat("gateway-", n));
    EXPECT_EQ(CodeWith(Worker()), grpc::StatusCode::OK);
    AppendNumbered(store, n, n);
    EXPECT_THAT(stream.ReadSequences(1), ElementsAre(n - 1));
  }
}

TEST_F(TlsTest, FilesThatAreNoGoodChangeNothing) {
  StartTls(ClientCertificates::kRequired);
  Write("tls.crt", "half a certif");
  EXPECT_FALSE(tls_->Reload().ok());
  EXPECT_EQ(NameShownTo(server->port(), TLS1_3_VERSION), "gateway-1");
  EXPECT_EQ(CodeWith(Worker()), grpc::StatusCode::OK);
}

TEST_F(TlsTest, ClientsAuthoritiesAreExchangedToo) {
  StartTls(ClientCertificates::kRequired);
  const CertificateAuthority next("Next clients");
  const IssuedCertificate newcomer = next.Issue({.common_name = "worker"});
  const auto stub = StubWith(Worker());
  TestStream stream(*stub, {});
  v1::SubscribeResponse response;
  ASSERT_TRUE(stream.Read(response));
  EXPECT_EQ(CodeWith(newcomer), grpc::StatusCode::UNAVAILABLE);

  Write("ca.crt", clients_.pem() + next.pem());
  ASSERT_TRUE(tls_->Reload().value_or(false));
  EXPECT_EQ(CodeWith(newcomer), grpc::StatusCode::OK);
  EXPECT_EQ(CodeWith(Worker()), grpc::StatusCode::OK);

  Write("ca.crt", next.pem());
  ASSERT_TRUE(tls_->Reload().value_or(false));
  EXPECT_EQ(CodeWith(newcomer), grpc::StatusCode::OK);
  EXPECT_EQ(CodeWith(Worker()), grpc::StatusCode::UNAVAILABLE);
  AppendNumbered(store, 1, 1);
  EXPECT_THAT(stream.ReadSequences(1), ElementsAre(1));
}

}  // namespace
}  // namespace waggle::rpc
