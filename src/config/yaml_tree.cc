#include "config/yaml_tree.h"

#include <sstream>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/exceptions.h"
#include "yaml-cpp/mark.h"
#include "yaml-cpp/parser.h"

namespace waggle {
namespace {

constexpr size_t kMaxDepth = 16;
constexpr size_t kMaxNodes = 20'000;

// Builds the tree of one document. Reports what it refuses the way the parser
// reports a syntax error: by a YAML::ParserException.
class TreeBuilder final : public YAML::EventHandler {
 public:
  YamlNode TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) {
      throw YAML::ParserException(mark,
                                  "a second document begins here; only "
                                  "one is allowed");
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Add(YamlNode::Kind::kNull, mark, "", anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw YAML::ParserException(mark, "aliases are not allowed");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag,
                YAML::anchor_t anchor, const std::string& value) override {
    Add(YamlNode::Kind::kScalar, mark, tag, anchor).text = value;
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(Add(YamlNode::Kind::kList, mark, tag, anchor), mark);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag,
                  YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    Open(Add(YamlNode::Kind::kMap, mark, tag, anchor), mark);
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  YamlNode& Add(YamlNode::Kind kind, const YAML::Mark& mark,
                const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != 0) {
      throw YAML::ParserException(mark, "anchors are not allowed");
    }
    // yaml-cpp's names for "no tag", plain and quoted.
    if (!tag.empty() && tag != "?" && tag != "!") {
      throw YAML::ParserException(mark, "tags are not allowed");
    }
    if (++nodes_ > kMaxNodes) {
      throw YAML::ParserException(mark, "too many values");
    }
    YamlNode node{.kind = kind,
                  .line = mark.line + 1,
                  .column = mark.column + 1,
                  .text = {},
                  .children = {}};
    if (open_.empty()) {
      root_ = std::move(node);
      return root_;
    }
    // Moves the siblings at most, none of which is open.
    return open_.back()->children.emplace_back(std::move(node));
  }

  void Open(YamlNode& node, const YAML::Mark& mark) {
    if (open_.size() == kMaxDepth) {
      throw YAML::ParserException(mark, "nested too deeply");
    }
    open_.push_back(&node);
  }

  YamlNode root_;
  // From the root to the collection that is being read.
  std::vector<YamlNode*> open_;
  int documents_ = 0;
  size_t nodes_ = 0;
};

}  // namespace

absl::StatusOr<YamlNode> ParseYaml(absl::string_view text) {
  if (text.size() > kMaxYamlSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("1:1: the file is larger than ", kMaxYamlSize, " bytes"));
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    TreeBuilder builder;
    while (parser.HandleNextDocument(builder)) {
    }
    return builder.TakeRoot();
  } catch (const YAML::Exception& e) {
    return absl::InvalidArgumentError(
        absl::StrCat(e.mark.line + 1, ":", e.mark.column + 1, ": ", e.msg));
  } catch (const std::exception& e) {
    return absl::InvalidArgumentError(absl::StrCat("1:1: ", e.what()));
  }
}

}  // namespace waggle
