#include "config/yaml_tree.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waggle {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Error(const std::string& text) {
  const auto tree = ParseYaml(text);
  return tree.ok() ? "accepted" : std::string(tree.status().message());
}

TEST(YamlTreeTest, EveryNodeKnowsItsPlace) {
  const auto root = ParseYaml("# first\na:\n  - x\n  - \"y z\"\nb: ~\n");
  ASSERT_TRUE(root.ok()) << root.status();
  ASSERT_EQ(root->kind, YamlNode::Kind::kMap);
  ASSERT_EQ(root->children.size(), 4u);
  const YamlNode& list = root->children[1];
  EXPECT_EQ(list.kind, YamlNode::Kind::kList);
  ASSERT_EQ(list.children.size(), 2u);
  EXPECT_EQ(list.children[1].text, "y z");
  EXPECT_EQ(list.children[1].line, 4);
  EXPECT_EQ(list.children[1].column, 5);
  EXPECT_EQ(root->children[2].line, 5);
  EXPECT_EQ(root->children[3].kind, YamlNode::Kind::kNull);
}

TEST(YamlTreeTest, KeepsRepeatedKeys) {
  const auto root = ParseYaml("a: 1\na: 2\n");
  ASSERT_TRUE(root.ok());
  EXPECT_EQ(root->children.size(), 4u);
}

TEST(YamlTreeTest, EmptyTextIsNull) {
  for (const char* text : {"", "\n", "# nothing\n", "---\n"}) {
    const auto root = ParseYaml(text);
    ASSERT_TRUE(root.ok()) << text << root.status();
    EXPECT_EQ(root->kind, YamlNode::Kind::kNull);
  }
}

TEST(YamlTreeTest, RefusesASecondDocument) {
  EXPECT_THAT(Error("a: 1\n---\nb: 2\n"),
              HasSubstr("a second document begins here"));
}

TEST(YamlTreeTest, RefusesAnchorsAliasesAndTags) {
  EXPECT_EQ(Error("a: &x 1\n"), "1:4: anchors are not allowed");
  EXPECT_THAT(Error("a: 1\nb: *x\n"), StartsWith("2:4: "));
  EXPECT_THAT(Error("a: !!binary aGk=\n"), HasSubstr("tags are not allowed"));
}

TEST(YamlTreeTest, RefusesAnExpansionBombAtItsFirstAnchor) {
  std::string bomb = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 40; ++i) {
    absl::StrAppend(&bomb, "a", i, ": &a", i, " [*a", i - 1, ", *a", i - 1,
                    "]\n");
  }
  EXPECT_EQ(Error(bomb), "1:5: anchors are not allowed");
}

TEST(YamlTreeTest, SyntaxErrorsNameTheirLine) {
  EXPECT_THAT(Error("a: 1\nb: [1, 2\n"), StartsWith("3:1: "));
  EXPECT_THAT(Error("a: \"x\nb: 1"), HasSubstr("2:"));
  EXPECT_THAT(Error("a:\n\tb: 1\n"), StartsWith("2:"));
}

TEST(YamlTreeTest, RefusesWhatIsTooLargeTooDeepOrTooMuch) {
  EXPECT_THAT(Error(std::string(kMaxYamlSize + 1, '#')), HasSubstr("larger"));
  EXPECT_THAT(Error(std::string(100, '[') + std::string(100, ']')),
              HasSubstr("nested too deeply"));
  EXPECT_NE(Error(std::string(kMaxYamlSize, '[')), "accepted");
  EXPECT_NE(Error(std::string(kMaxYamlSize, '{')), "accepted");
  std::string many = "a: [";
  for (int i = 0; i < 30'000; ++i) many += "1,";
  EXPECT_THAT(Error(many + "1]"), HasSubstr("too many values"));
}

}  // namespace
}  // namespace waggle
