#include "bindbee/samples.h"

namespace waggle {
namespace {

// Made by CMake from samples/*.json: k_<name> for each.
#include "sample_bodies.inc"

constexpr Sample kSamples[] = {
    {"sync_started", "a sync began", k_sync_started},
    {"employee_changed", "two employees were created or changed",
     k_employee_changed},
    {"data_modified", "records of two models were created or changed",
     k_data_modified},
    {"sync_completed", "the sync ended well", k_sync_completed},
    {"sync_error", "another connector's sync failed; its user must link again",
     k_sync_error},
    {"older_shape_synced", "an older shape: a completed sync without its id",
     k_older_shape_synced},
    {"older_shape_hook_key", "an older shape: \"hook\" instead of \"webhook\"",
     k_older_shape_hook_key},
    {"unknown_event", "an event that no edition of Waggle knows",
     k_unknown_event},
};

}  // namespace

absl::Span<const Sample> Samples() { return kSamples; }

const Sample* FindSample(std::string_view name) {
  for (const Sample& sample : kSamples) {
    if (sample.name == name) return &sample;
  }
  return nullptr;
}

}  // namespace waggle
