#include <set>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "config/sources.h"
#include "config/suggest.h"
#include "config/yaml_tree.h"

namespace waggle {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::vector<std::string> FieldNames(const Descriptor& descriptor) {
  std::vector<std::string> names;
  names.reserve(descriptor.field_count());
  for (int i = 0; i < descriptor.field_count(); ++i) {
    names.push_back(descriptor.field(i)->name());
  }
  return names;
}

// Fills messages from nodes. Recursion is as deep as the schema.
class YamlReader {
 public:
  YamlReader(const std::string& file_name, Empty empty, ReadingNotes& notes)
      : file_name_(file_name), empty_(empty), notes_(notes) {}

  void ReadMap(const YamlNode& node, const std::string& path,
               Message& message) {
    if (node.kind == YamlNode::Kind::kNull) {
      if (empty_ == Empty::kRefused) {
        Refuse(node, path,
               "has nothing in it; leave it out, or write {} if that is meant");
      }
      return;
    }
    if (node.kind != YamlNode::Kind::kMap) {
      Refuse(node, path, "must be a section with keys of its own");
      return;
    }
    const Descriptor& descriptor = *message.GetDescriptor();
    std::set<std::string> seen;
    for (size_t i = 0; i + 1 < node.children.size(); i += 2) {
      const YamlNode& key = node.children[i];
      const std::string key_path = JoinPath(path, absl::CEscape(key.text));
      const FieldDescriptor* field = descriptor.FindFieldByName(key.text);
      if (key.kind != YamlNode::Kind::kScalar) {
        Refuse(key, path, "a key must be a plain word");
      } else if (field == nullptr) {
        Refuse(key, key_path,
               absl::StrCat("there is no such key",
                            DidYouMean(key.text, FieldNames(descriptor))));
      } else if (!seen.insert(key.text).second) {
        Refuse(key, key_path, "is here for the second time");
      } else {
        ReadField(key, node.children[i + 1], key_path, *field, message);
      }
    }
  }

 private:
  void ReadField(const YamlNode& key, const YamlNode& value,
                 const std::string& path, const FieldDescriptor& field,
                 Message& message) {
    notes_.places[path] = Place(key);
    if (field.is_repeated()) {
      ReadList(value, path, field, message);
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      ReadMap(value, path,
              *message.GetReflection()->MutableMessage(&message, &field));
    } else {
      notes_.places[path] = Place(value);
      ReadScalar(value, path, field, message);
    }
  }

  void ReadScalar(const YamlNode& node, const std::string& path,
                  const FieldDescriptor& field, Message& message) {
    if (node.kind == YamlNode::Kind::kNull) {
      Refuse(node, path, "has no value; leave it out for the default");
    } else if (node.kind != YamlNode::Kind::kScalar) {
      Refuse(node, path, "must be a single value");
    } else if (std::string problem = SetScalar(message, field, node.text);
               !problem.empty()) {
      Refuse(node, path, problem);
    }
  }

  // Lists hold sections or strings.
  void ReadList(const YamlNode& node, const std::string& path,
                const FieldDescriptor& field, Message& message) {
    const bool is_null = node.kind == YamlNode::Kind::kNull;
    if (!is_null && node.kind != YamlNode::Kind::kList) {
      Refuse(node, path, "must be a list: lines that begin with \"- \"");
      return;
    }
    if (empty_ == Empty::kRefused && node.children.empty()) {
      Refuse(node, path, "is empty; leave it out, or name values");
      return;
    }
    const google::protobuf::Reflection& reflection = *message.GetReflection();
    int index = 0;
    for (const YamlNode& item : node.children) {
      const std::string item_path = absl::StrCat(path, "[", index++, "]");
      notes_.places[item_path] = Place(item);
      if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        ReadMap(item, item_path, *reflection.AddMessage(&message, &field));
      } else if (item.kind != YamlNode::Kind::kScalar) {
        Refuse(item, item_path, "must be a single value");
      } else if (std::string problem = CheckText(item.text); !problem.empty()) {
        Refuse(item, item_path, problem);
      } else {
        reflection.AddString(&message, &field, item.text);
      }
    }
  }

  std::string Place(const YamlNode& node) const {
    return absl::StrCat(file_name_, ":", node.line, ":", node.column);
  }

  void Refuse(const YamlNode& node, const std::string& path,
              absl::string_view what) {
    notes_.AddProblem(Place(node), path.empty()
                                       ? std::string(what)
                                       : absl::StrCat(path, ": ", what));
  }

  const std::string& file_name_;
  const Empty empty_;
  ReadingNotes& notes_;
};

}  // namespace

bool ReadYaml(const ConfigFile& file, Empty empty,
              google::protobuf::Message& message, ReadingNotes& notes) {
  const absl::StatusOr<YamlNode> root = ParseYaml(file.text);
  if (!root.ok()) {
    notes.problems.push_back(
        absl::StrCat(file.name, ":", root.status().message()));
    return false;
  }
  YamlReader(file.name, empty, notes).ReadMap(*root, "", message);
  return true;
}

}  // namespace waggle
