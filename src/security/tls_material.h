// Certificates and keys of a listener, checked before they are used, and
// exchanged while it runs.
//
//   WAGGLE_ASSIGN_OR_RETURN(auto tls, TlsSource::Open(files, clock));
//   auto material = tls->current();       // for each new connection
//   absl::Status status = tls->Reload();  // now and then
#ifndef WAGGLE_SECURITY_TLS_MATERIAL_H_
#define WAGGLE_SECURITY_TLS_MATERIAL_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/secret.h"
#include "openssl/types.h"

namespace waggle {

struct TlsFiles {
  // PEM. The chain begins with the certificate itself.
  std::string certificate_file;
  std::string key_file;
  // Who may issue clients' certificates. Empty: clients show none.
  std::string client_ca_file;
};

// Immutable and shared. A certificate that is valid now, with the key that
// belongs to it.
struct TlsMaterial {
  std::string certificate_pem;
  Secret key_pem;
  std::string client_ca_pem;
  // When the first certificate of the chain expires.
  absl::Time expires_at;
  // For a server over OpenSSL: TLS 1.2 and 1.3, no renegotiation, no
  // compression, ALPN "http/1.1". Asks for no client certificate.
  std::shared_ptr<SSL_CTX> server_context;
};

// When the first certificate of a PEM text expires; InfinitePast if there is
// none that can be read.
absl::Time ExpiryOf(std::string_view certificate_pem);

// Thread-safe.
class TlsSource {
 public:
  // `clock` must outlive it. Errors name the file and say what is wrong:
  //   those of ReadSecretFile for the key, and of reading for the others;
  //   INVALID_ARGUMENT     not PEM, or the key is not the certificate's
  //   FAILED_PRECONDITION  the certificate expired, or is not valid yet
  static absl::StatusOr<std::unique_ptr<TlsSource>> Open(TlsFiles files,
                                                         const Clock& clock);

  // Not null.
  std::shared_ptr<const TlsMaterial> current() const;

  // Reads the files again if they changed. On an error, as of Open, what was
  // read before stays current. True if something changed. For one thread.
  absl::StatusOr<bool> Reload();

 private:
  TlsSource(TlsFiles files, const Clock& clock);

  const TlsFiles files_;
  const Clock& clock_;
  mutable Mutex mu_;
  std::shared_ptr<const TlsMaterial> current_ ABSL_GUARDED_BY(mu_);
};

}  // namespace waggle

#endif  // WAGGLE_SECURITY_TLS_MATERIAL_H_
