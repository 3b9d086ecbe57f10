#include "bindbee/struct_builder.h"

#include <cstddef>
#include <string>
#include <string_view>

#include "bindbee/decoder.h"

namespace waggle {
namespace {

using google::protobuf::ListValue;
using google::protobuf::Struct;
using google::protobuf::Value;

// The tags and lengths that a Value takes in a list, at the least.
constexpr size_t kMinValueBytes = 4;

// Keeps a count of bytes from below while it builds, so that a small text that
// is large as a Struct costs no memory beyond the limit.
class Builder {
 public:
  bool Fill(const JsonObject& object, int level, Struct& out) {
    if (level > kMaxStructLevels) return false;
    for (const auto& member : object) {
      if (!Spend(member.key.size())) return false;
      Value& value = (*out.mutable_fields())[std::string(member.key)];
      value.Clear();
      if (!Fill(member.value, level, value)) return false;
    }
    return true;
  }

 private:
  bool Fill(const JsonArray& array, int level, ListValue& out) {
    if (level > kMaxStructLevels) return false;
    for (const JsonElement element : array) {
      if (!Fill(element, level, *out.add_values())) return false;
    }
    return true;
  }

  // `level` is that of the object or array around the element.
  bool Fill(const JsonElement& element, int level, Value& out) {
    using Type = simdjson::dom::element_type;
    if (!Spend(kMinValueBytes)) return false;
    switch (element.type()) {
      case Type::OBJECT:
        return Fill(JsonObject(element.get_object().value_unsafe()), level + 1,
                    *out.mutable_struct_value());
      case Type::ARRAY:
        return Fill(JsonArray(element.get_array().value_unsafe()), level + 1,
                    *out.mutable_list_value());
      case Type::STRING: {
        const std::string_view text = element.get_string().value_unsafe();
        out.set_string_value(text.data(), text.size());
        return Spend(text.size());
      }
      case Type::INT64:
      case Type::UINT64:
      case Type::DOUBLE:
        out.set_number_value(element.get_double().value_unsafe());
        return true;
      case Type::BOOL:
        out.set_bool_value(element.get_bool().value_unsafe());
        return true;
      case Type::NULL_VALUE:
        out.set_null_value(google::protobuf::NULL_VALUE);
        return true;
    }
    return false;
  }

  bool Spend(size_t bytes) {
    spent_ += bytes;
    return spent_ <= kMaxStructBytes;
  }

  size_t spent_ = 0;
};

}  // namespace

bool BuildStruct(const JsonObject& object, Struct& out) {
  if (Builder().Fill(object, 1, out) && out.ByteSizeLong() <= kMaxStructBytes) {
    return true;
  }
  out.Clear();
  return false;
}

}  // namespace waggle
