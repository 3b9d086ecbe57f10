// Secrets live in files of their own, never in the configuration, on a command
// line or in the environment, where others see them.
//
//   WAGGLE_ASSIGN_OR_RETURN(Secret key, ReadSecretFile("/etc/waggle/key"));
#ifndef WAGGLE_SECURITY_SECRET_FILE_H_
#define WAGGLE_SECURITY_SECRET_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/secret.h"

namespace waggle {

// The content of the file, without white space around it (editors end files
// with a new line). Symbolic links are followed: Kubernetes mounts secrets as
// links, to swap them at once. Warns in the log if everybody may read the file.
//
// Errors name the file and say what to do, and never show the content:
//   NOT_FOUND            There is no such file.
//   PERMISSION_DENIED    This process may not read it.
//   FAILED_PRECONDITION  Everybody may write it, so anybody may have.
//   INVALID_ARGUMENT     Not a regular file, empty, or over 4 KiB.
//   others               The system's error for opening or reading it.
absl::StatusOr<Secret> ReadSecretFile(const std::string& path);

}  // namespace waggle

#endif  // WAGGLE_SECURITY_SECRET_FILE_H_
