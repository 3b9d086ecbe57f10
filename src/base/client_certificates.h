// Whether the clients of a listener with TLS show certificates.
#ifndef WAGGLE_BASE_CLIENT_CERTIFICATES_H_
#define WAGGLE_BASE_CLIENT_CERTIFICATES_H_

namespace waggle {

enum class ClientCertificates {
  kOff,       // They are not asked.
  kOptional,  // Those that are shown are verified.
  kRequired,  // Nobody gets in without one.
};

}  // namespace waggle

#endif  // WAGGLE_BASE_CLIENT_CERTIFICATES_H_
