#include "tests/golden/samples.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/text_format.h"

namespace waggle::golden {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::EnumDescriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::FileDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::OneofDescriptor;
using ::google::protobuf::TextFormat;

// One key in each object: JSON has no order of keys to rely on.
constexpr char kStruct[] = R"pb(
  fields {
    key: "list"
    value {
      list_value {
        values { null_value: NULL_VALUE }
        values { bool_value: true }
        values { number_value: -1.5 }
        values { string_value: "\360\237\220\235 \\ \n" }
        values {
          struct_value {
            fields {
              key: "\" \303\251"
              value { string_value: "" }
            }
          }
        }
      }
    }
  }
)pb";

// Types of which not every content is valid.
bool FillWellKnown(const FieldDescriptor& field, Message& message) {
  const std::string& type = message.GetDescriptor()->full_name();
  if (type == "google.protobuf.Timestamp") {
    return TextFormat::ParseFromString(
        absl::StrCat("seconds: ", 1'800'000'000 + field.number(),
                     " nanos: 123456789"),
        &message);
  }
  if (type == "google.protobuf.Duration") {
    return TextFormat::ParseFromString(
        absl::StrCat("seconds: ", field.number(), " nanos: 250000000"),
        &message);
  }
  return type == "google.protobuf.Struct" &&
         TextFormat::ParseFromString(kStruct, &message);
}

void Fill(Message& message, const FieldDescriptor* chosen = nullptr);

// `index` tells the values of one field apart.
void FillField(const FieldDescriptor& field, int index, Message& message) {
  const auto& reflection = *message.GetReflection();
  const auto put = [&](auto set, auto add, auto value) {
    if (field.is_repeated()) {
      (reflection.*add)(&message, &field, value);
    } else {
      (reflection.*set)(&message, &field, value);
    }
  };
  using R = google::protobuf::Reflection;
  const int n = field.number() + index;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      put(&R::SetInt32, &R::AddInt32, std::numeric_limits<int32_t>::min() + n);
      break;
    case FieldDescriptor::CPPTYPE_INT64:
      put(&R::SetInt64, &R::AddInt64, std::numeric_limits<int64_t>::min() + n);
      break;
    case FieldDescriptor::CPPTYPE_UINT32:
      put(&R::SetUInt32, &R::AddUInt32,
          std::numeric_limits<uint32_t>::max() - n);
      break;
    case FieldDescriptor::CPPTYPE_UINT64:
      put(&R::SetUInt64, &R::AddUInt64,
          std::numeric_limits<uint64_t>::max() - n);
      break;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      put(&R::SetDouble, &R::AddDouble, n + 0.1);
      break;
    case FieldDescriptor::CPPTYPE_FLOAT:
      put(&R::SetFloat, &R::AddFloat, n + 0.5F);
      break;
    case FieldDescriptor::CPPTYPE_BOOL:
      put(&R::SetBool, &R::AddBool, true);
      break;
    case FieldDescriptor::CPPTYPE_ENUM: {
      const EnumDescriptor& type = *field.enum_type();
      put(&R::SetEnumValue, &R::AddEnumValue,
          type.value(type.value_count() - 1 - index)->number());
      break;
    }
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string value = absl::StrCat(field.name(), " \u00e9 ", index);
      if (field.type() == FieldDescriptor::TYPE_BYTES) value += '\xff';
      if (field.is_repeated()) {
        reflection.AddString(&message, &field, std::move(value));
      } else {
        reflection.SetString(&message, &field, std::move(value));
      }
      break;
    }
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      Message& inner = field.is_repeated()
                           ? *reflection.AddMessage(&message, &field)
                           : *reflection.MutableMessage(&message, &field);
      if (!FillWellKnown(field, inner)) Fill(inner);
      break;
    }
  }
}

// Of each oneof one field is set: `chosen`, or else the first.
void Fill(Message& message, const FieldDescriptor* chosen) {
  const Descriptor& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (const OneofDescriptor* oneof = field.real_containing_oneof()) {
      const bool choice =
          chosen != nullptr && chosen->containing_oneof() == oneof;
      if (&field != (choice ? chosen : oneof->field(0))) continue;
    }
    const int count = field.is_repeated() ? 2 : 1;
    for (int index = 0; index < count; ++index) {
      FillField(field, index, message);
    }
  }
}

Sample MakeSample(const Message& prototype, const FieldDescriptor* chosen) {
  std::string name = prototype.GetDescriptor()->full_name();
  if (chosen != nullptr) absl::StrAppend(&name, ".", chosen->name());
  Sample sample{std::move(name), std::unique_ptr<Message>(prototype.New())};
  Fill(*sample.message, chosen);
  return sample;
}

void AddMessages(const Descriptor& type,
                 std::vector<const Descriptor*>& messages) {
  messages.push_back(&type);
  for (int i = 0; i < type.nested_type_count(); ++i) {
    AddMessages(*type.nested_type(i), messages);
  }
}

}  // namespace

std::vector<Sample> SamplesOf(const Message& prototype) {
  const Descriptor& type = *prototype.GetDescriptor();
  std::vector<Sample> samples;
  for (int i = 0; i < type.real_oneof_decl_count(); ++i) {
    const OneofDescriptor& oneof = *type.oneof_decl(i);
    for (int j = 0; j < oneof.field_count(); ++j) {
      samples.push_back(MakeSample(prototype, oneof.field(j)));
    }
  }
  if (samples.empty()) samples.push_back(MakeSample(prototype, nullptr));
  return samples;
}

std::vector<const Descriptor*> MessagesOf(
    const std::vector<const FileDescriptor*>& files) {
  std::vector<const Descriptor*> messages;
  for (const FileDescriptor* file : files) {
    for (int i = 0; i < file->message_type_count(); ++i) {
      AddMessages(*file->message_type(i), messages);
    }
  }
  return messages;
}

std::vector<const EnumDescriptor*> EnumsOf(
    const std::vector<const FileDescriptor*>& files) {
  std::vector<const EnumDescriptor*> enums;
  for (const FileDescriptor* file : files) {
    for (int i = 0; i < file->enum_type_count(); ++i) {
      enums.push_back(file->enum_type(i));
    }
  }
  for (const Descriptor* message : MessagesOf(files)) {
    for (int i = 0; i < message->enum_type_count(); ++i) {
      enums.push_back(message->enum_type(i));
    }
  }
  return enums;
}

std::string ToBytes(const Message& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return bytes;
}

}  // namespace waggle::golden
