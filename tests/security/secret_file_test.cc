#include "security/secret_file.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/cleanup/cleanup.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/temp_dir.h"

namespace waggle {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class SecretFileTest : public ::testing::Test {
 protected:
  // Makes a file and returns its path.
  std::string Make(const std::string& content, mode_t mode = 0600,
                   const std::string& name = "key") {
    const std::string path = dir_.File(name);
    std::ofstream(path, std::ios::binary) << content;
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path;
  }

  // Reads a file that must be good.
  static std::string Read(const std::string& path) {
    const absl::StatusOr<Secret> secret = ReadSecretFile(path);
    EXPECT_TRUE(secret.ok()) << secret.status();
    return secret.ok() ? std::string(secret->Reveal()) : std::string();
  }

  // Reads a file that must be refused; checks that the error names the file
  // and does not show its content.
  static absl::StatusCode Refusal(const std::string& path) {
    const absl::Status status = ReadSecretFile(path).status();
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(path), Not(HasSubstr("PRIVATE"))));
    return status.code();
  }

  TempDir dir_;
};

TEST_F(SecretFileTest, GivesTheContentWithoutWhiteSpaceAround) {
  EXPECT_EQ(Read(Make("whsec_1")), "whsec_1");
  EXPECT_EQ(Read(Make("whsec_1\n")), "whsec_1");
  EXPECT_EQ(Read(Make(" \t\r\n whsec 1 \r\n\n")), "whsec 1");
  EXPECT_EQ(Read(Make("ключ\n")), "ключ");
}

TEST_F(SecretFileTest, AcceptsUpTo4KiB) {
  EXPECT_EQ(Read(Make(std::string(4096, 'k'))).size(), 4096u);
  EXPECT_EQ(Refusal(Make("PRIVATE" + std::string(4090, 'k'))),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(SecretFileTest, RefusesEmptyFiles) {
  EXPECT_EQ(Refusal(Make("")), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Refusal(Make(" \n\n")), absl::StatusCode::kInvalidArgument);
}

TEST_F(SecretFileTest, RefusesWhatIsNoRegularFile) {
  EXPECT_EQ(Refusal(dir_.path()), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Refusal("/dev/null"), absl::StatusCode::kInvalidArgument);
  const std::string pipe = dir_.File("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(Refusal(pipe), absl::StatusCode::kInvalidArgument);
}

TEST_F(SecretFileTest, SaysThatAFileIsMissing) {
  EXPECT_EQ(Refusal(dir_.File("none")), absl::StatusCode::kNotFound);
}

// Kubernetes mounts key -> ..data/key, ..data -> ..<time of the update>.
TEST_F(SecretFileTest, FollowsTheLinksOfAMountedSecret) {
  std::filesystem::create_directory(dir_.File("..2026"));
  Make("whsec_1\n", 0440, "..2026/key");
  std::filesystem::create_directory_symlink("..2026", dir_.File("..data"));
  std::filesystem::create_symlink("..data/key", dir_.File("key"));
  EXPECT_EQ(Read(dir_.File("key")), "whsec_1");
}

TEST_F(SecretFileTest, RefusesAFileThatEverybodyMayWrite) {
  EXPECT_EQ(Refusal(Make("PRIVATE", 0606)),
            absl::StatusCode::kFailedPrecondition);
  std::filesystem::create_symlink(dir_.File("key"), dir_.File("link"));
  EXPECT_EQ(Refusal(dir_.File("link")), absl::StatusCode::kFailedPrecondition);
}

TEST_F(SecretFileTest, RefusesAFileThatEverybodyMayRead) {
  unsetenv("KUBERNETES_SERVICE_HOST");
  EXPECT_EQ(Refusal(Make("PRIVATE", 0644)),
            absl::StatusCode::kFailedPrecondition);
}

// Where a projected volume cannot help it.
TEST_F(SecretFileTest, InKubernetesWarnsOfAFileThatEverybodyMayRead) {
  const std::string path = Make("PRIVATE", 0644);
  setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
  const absl::Cleanup leave = [] { unsetenv("KUBERNETES_SERVICE_HOST"); };
  ::testing::internal::CaptureStderr();
  Read(path);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              AllOf(HasSubstr("warn"), HasSubstr(path), HasSubstr("fsGroup"),
                    Not(HasSubstr("PRIVATE"))));
  ::testing::internal::CaptureStderr();
  EXPECT_TRUE(ReadSecretFile(path, {.warn = false}).ok());
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), IsEmpty());
}

TEST_F(SecretFileTest, TrustsFilesThatAreNoSecretUnlessEverybodyMayWriteThem) {
  const auto content = ReadTrustedFile(Make("public\n", 0644), 7);
  ASSERT_TRUE(content.ok()) << content.status();
  EXPECT_EQ(*content, "public");
  EXPECT_EQ(ReadTrustedFile(Make("public", 0666), 6).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReadTrustedFile(Make("larger!", 0644), 6).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(SecretFileTest, IsSilentAboutFilesOfTheOwnerAndTheGroup) {
  for (const mode_t mode : {0400, 0440, 0600, 0640}) {
    const std::string path = Make("whsec_1", mode, std::to_string(mode));
    ::testing::internal::CaptureStderr();
    Read(path);
    EXPECT_THAT(::testing::internal::GetCapturedStderr(), IsEmpty()) << mode;
  }
}

}  // namespace
}  // namespace waggle
