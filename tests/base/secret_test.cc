#include "base/secret.h"

#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/log.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waggle {
namespace {

// Long enough to be on the heap, and short enough not to be.
const char* const kTexts[] = {"short", "whsec_a_key_that_is_long_for_a_string"};

template <typename T>
concept Printable = requires(std::ostream& out, const T& t) {
  out << t;
};
template <typename T>
concept Comparable = requires(const T& t) {
  t == t;
};

static_assert(!std::is_copy_constructible_v<Secret>);
static_assert(!std::is_convertible_v<Secret, std::string>);
static_assert(!std::is_convertible_v<Secret, std::string_view>);
static_assert(!Printable<Secret>);
static_assert(!Comparable<Secret>);
static_assert(!std::is_copy_assignable_v<Secret>);
static_assert(std::is_nothrow_move_constructible_v<Secret>);
static_assert(std::is_nothrow_move_assignable_v<Secret>);
static_assert(!std::is_convertible_v<Secret, absl::string_view>);
static_assert(!std::is_constructible_v<std::string, const Secret&>);
static_assert(!std::is_constructible_v<absl::AlphaNum, const Secret&>);
static_assert(
    !std::is_constructible_v<LogField, std::string_view, const Secret&>);

TEST(SecretTest, TakesTheTextAndLeavesNothingBehind) {
  for (const char* text : kTexts) {
    std::string source = text;
    const char* const source_bytes = source.data();
    const std::string zeros(source.size(), '\0');
    const Secret secret(std::move(source));
    EXPECT_EQ(secret.Reveal(), text);
    EXPECT_EQ(std::string(source_bytes, zeros.size()), zeros);
  }
}

TEST(SecretTest, LeavesNothingOfWhatTheSourceHeldBefore) {
  std::string source = "short, but it was longer when it was read";
  const char* const bytes = source.data();
  const std::string zeros(source.size(), '\0');
  source.resize(5);
  const Secret secret(std::move(source));
  EXPECT_EQ(secret.Reveal(), "short");
  EXPECT_EQ(std::string(bytes, zeros.size()), zeros);
}

TEST(SecretTest, MovesWithoutACopyBehind) {
  for (const char* text : kTexts) {
    Secret first{std::string(text)};
    const char* const first_bytes = first.Reveal().data();
    const std::string zeros(first.Reveal().size(), '\0');
    Secret second(std::move(first));
    EXPECT_EQ(second.Reveal(), text);
    EXPECT_EQ(std::string(first_bytes, zeros.size()), zeros);

    Secret third{std::string("another")};
    const char* const second_bytes = second.Reveal().data();
    third = std::move(second);
    EXPECT_EQ(third.Reveal(), text);
    EXPECT_EQ(std::string(second_bytes, zeros.size()), zeros);
  }
}

}  // namespace
}  // namespace waggle
