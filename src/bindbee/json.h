// simdjson with what webhooks need of it: bounded memory, forgiveness for valid
// JSON that it refuses, and look-ups that treat the wrong type as absent.
//
//   Json json(body);
//   if (std::optional<JsonObject> root = json.root()) {
//     std::optional<std::string_view> name = Text(*root, "name");
//   }
#ifndef WAGGLE_BINDBEE_JSON_H_
#define WAGGLE_BINDBEE_JSON_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "simdjson.h"

namespace waggle {

using JsonElement = simdjson::dom::element;
using JsonObject = simdjson::dom::object;
using JsonArray = simdjson::dom::array;

// A parsed document. Elements live until it is destroyed, or the same thread
// parses another. All strings in it are valid UTF-8.
class Json {
 public:
  explicit Json(std::string_view text);

  // Nothing if the text is not JSON, or its outermost value is no object.
  const std::optional<JsonObject>& root() const { return root_; }

  // Why there is no root, in words that quote nothing of the text.
  const std::string& problem() const { return problem_; }

 private:
  std::unique_ptr<simdjson::dom::parser> own_parser_;  // for large texts
  std::optional<JsonObject> root_;
  std::string problem_;
};

// The last member of that name, if there is one and it is not null.
std::optional<JsonElement> Member(const JsonObject& object,
                                  std::string_view name);

// The last member of that name, if it is a string, object or array.
std::optional<std::string_view> Text(const JsonObject& object,
                                     std::string_view name);
std::optional<JsonObject> Object(const JsonObject& object,
                                 std::string_view name);
std::optional<JsonArray> Array(const JsonObject& object, std::string_view name);

}  // namespace waggle

#endif  // WAGGLE_BINDBEE_JSON_H_
