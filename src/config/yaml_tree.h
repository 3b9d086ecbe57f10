// A YAML document as a plain tree in which every node knows its place: the part
// of YAML that a configuration file needs, and nothing else.
//
// Refused, because they only surprise in a configuration file: several
// documents, anchors and aliases (and with them expansion bombs), tags. Size,
// depth and number of nodes are bounded, so hostile input costs little.
#ifndef WAGGLE_CONFIG_YAML_TREE_H_
#define WAGGLE_CONFIG_YAML_TREE_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace waggle {

inline constexpr size_t kMaxYamlSize = 256 * 1024;

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  // Counted from 1.
  int line = 1;
  int column = 1;
  // Of a scalar, without quotes.
  std::string text;
  // Of a list; of a map, keys and values in turn, as they stand in the file,
  // repeated keys included.
  std::vector<YamlNode> children;
};

// The only document in `text`; a null node if it is empty. INVALID_ARGUMENT
// says "line:column: what is wrong".
absl::StatusOr<YamlNode> ParseYaml(absl::string_view text);

}  // namespace waggle

#endif  // WAGGLE_CONFIG_YAML_TREE_H_
