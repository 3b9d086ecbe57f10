// Files that decide who is let in. Secrets live in files of their own, never in
// the configuration, on a command line or in the environment, where others see
// them; and files that are no secret (certificates, public keys, the access
// file) are trusted only if not everybody can write them.
//
//   WAGGLE_ASSIGN_OR_RETURN(Secret key, ReadSecretFile("/etc/waggle/key"));
//   WAGGLE_ASSIGN_OR_RETURN(std::string ca, ReadTrustedFile("ca.crt", 1 <<
//   18));
//
// Symbolic links are followed: Kubernetes mounts files as links, to swap them
// at once. Errors name the file and say what to do, and never show the content:
//   NOT_FOUND            There is no such file.
//   PERMISSION_DENIED    This process may not read it.
//   FAILED_PRECONDITION  Others may write it, or read a secret.
//   INVALID_ARGUMENT     Not a regular file, empty, or too large.
//   others               The system's error for opening or reading it.
#ifndef WAGGLE_SECURITY_SECRET_FILE_H_
#define WAGGLE_SECURITY_SECRET_FILE_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "base/secret.h"

namespace waggle {

struct SecretFileOptions {
  // The largest content, in bytes.
  size_t max_bytes = 4 << 10;
  // Whether a file that others may read, where that is not refused, is worth a
  // line in the log. Not when a file is read again and again.
  bool warn = true;
};

// The content of the file, without white space around it (editors end files
// with a new line). A file that others may read is refused; in Kubernetes,
// where a projected volume cannot help it, that is only warned about.
absl::StatusOr<Secret> ReadSecretFile(const std::string& path,
                                      const SecretFileOptions& options = {});

// The content of a file that is no secret.
absl::StatusOr<std::string> ReadTrustedFile(const std::string& path,
                                            size_t max_bytes);

}  // namespace waggle

#endif  // WAGGLE_SECURITY_SECRET_FILE_H_
