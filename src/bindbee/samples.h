// Webhook bodies of every shape that Bindbee sends, built into the program, to
// try a gateway and its consumers with:
//
//   const Sample* sample = FindSample("sync_completed");
//   Post(sample->body, Sign(kDemoKey, sample->body));
#ifndef WAGGLE_BINDBEE_SAMPLES_H_
#define WAGGLE_BINDBEE_SAMPLES_H_

#include <string_view>

#include "absl/types/span.h"

namespace waggle {

// All views live as long as the program.
struct Sample {
  // What it is asked for by: lower case with underscores.
  std::string_view name;
  // For people, in one line.
  std::string_view description;
  // JSON, exactly as in the file of that name.
  std::string_view body;
};

// All samples, in the order of a story: a sync starts, changes records, and
// ends; then the older shapes, and an event that does not exist yet.
absl::Span<const Sample> Samples();

// The sample of that name, or null.
const Sample* FindSample(std::string_view name);

}  // namespace waggle

#endif  // WAGGLE_BINDBEE_SAMPLES_H_
