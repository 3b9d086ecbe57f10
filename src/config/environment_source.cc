#include <map>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "config/sources.h"
#include "config/suggest.h"

namespace waggle {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr absl::string_view kPrefix = "WAGGLE_";

// A scalar that a variable can override: the fields from the root to it.
struct Target {
  std::string path;
  std::vector<const FieldDescriptor*> fields;
};

// By the variable's name.
using Targets = std::map<std::string, Target>;

void CollectTargets(const Descriptor& descriptor, const Target& parent,
                    Targets& targets) {
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const FieldDescriptor& field = *descriptor.field(i);
    if (field.is_repeated()) continue;
    Target target = parent;
    target.path = JoinPath(parent.path, field.name());
    target.fields.push_back(&field);
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      CollectTargets(*field.message_type(), target, targets);
      continue;
    }
    std::string name =
        absl::StrCat(kPrefix, absl::StrReplaceAll(target.path, {{".", "_"}}));
    absl::AsciiStrToUpper(&name);
    targets.emplace(std::move(name), std::move(target));
  }
}

void Override(const Target& target, const std::string& name,
              const std::string& value, RawConfig& config) {
  Message* message = &config.message;
  for (size_t i = 0; i + 1 < target.fields.size(); ++i) {
    message =
        message->GetReflection()->MutableMessage(message, target.fields[i]);
  }
  config.notes.places[target.path] = name;
  const std::string problem = SetScalar(*message, *target.fields.back(), value);
  if (!problem.empty()) config.notes.AddProblem(name, problem);
}

// Kubernetes gives every container variables about every Service beside it, and
// a Service may well be called "waggle".
bool LooksLikeServiceLink(absl::string_view name) {
  return absl::EndsWith(name, "_SERVICE_HOST") ||
         absl::StrContains(name, "_SERVICE_PORT") ||
         absl::EndsWith(name, "_PORT") || absl::StrContains(name, "_PORT_");
}

std::string Unknown(const std::string& name, const Targets& targets) {
  std::vector<std::string> names;
  for (const auto& [known, target] : targets) names.push_back(known);
  return absl::StrCat(
      "there is no such setting", DidYouMean(name, names),
      LooksLikeServiceLink(name)
          ? "; if Kubernetes set it for a Service, give the pod "
            "\"enableServiceLinks: false\""
          : "");
}

}  // namespace

void ReadEnvironment(const Environment& environment, RawConfig& config) {
  Targets targets;
  CollectTargets(*config::v1::Config::descriptor(), Target{}, targets);
  for (const auto& [name, value] : environment) {
    if (!absl::StartsWith(name, kPrefix)) continue;
    if (const auto target = targets.find(name); target != targets.end()) {
      Override(target->second, name, value, config);
    } else {
      config.notes.AddProblem(name, Unknown(name, targets));
    }
  }
}

}  // namespace waggle
