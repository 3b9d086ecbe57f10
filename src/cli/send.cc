#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/random/random.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "bindbee/samples.h"
#include "bindbee/signature.h"
#include "cli/command.h"
#include "cli/exit_codes.h"
#include "cli/io.h"
#include "cli/send_webhooks.h"
#include "cli/signing_key.h"
#include "config/suggest.h"

namespace waggle {
namespace {

// As long as Bindbee waits.
constexpr absl::Duration kTimeout = absl::Seconds(10);

struct SendFlags {
  std::string url = "http://127.0.0.1:8080/webhooks/bindbee";
  std::string key_file;
  std::string tls_ca;
  std::vector<std::string> samples;
  std::vector<std::string> files;
  int count = 1;
  int retries = 4;
  bool unique = false;
  bool list_samples = false;
};

struct Body {
  std::string name;
  std::string bytes;
};

int ListSamples() {
  std::string text;
  for (const Sample& sample : Samples()) {
    absl::StrAppendFormat(&text, "%-24s %s\n", AsAbsl(sample.name),
                          AsAbsl(sample.description));
  }
  return WriteAll(STDOUT_FILENO, text).ok() ? kExitOk : kExitFailure;
}

absl::Status AddSample(const std::string& name, std::vector<Body>& bodies) {
  std::vector<std::string> known = {"all"};
  const size_t before = bodies.size();
  for (const Sample& sample : Samples()) {
    known.emplace_back(sample.name);
    if (name == "all" || name == sample.name) {
      bodies.push_back({std::string(sample.name), std::string(sample.body)});
    }
  }
  if (bodies.size() > before) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--sample: there is no sample \"", name, "\"",
                   DidYouMean(name, known), " (see --list-samples)"));
}

absl::StatusOr<std::vector<Body>> Bodies(const SendFlags& flags) {
  std::vector<Body> bodies;
  for (const std::string& name : flags.samples) {
    WAGGLE_RETURN_IF_ERROR(AddSample(name, bodies));
  }
  for (const std::string& file : flags.files) {
    WAGGLE_ASSIGN_OR_RETURN(std::string bytes, ReadInput(file));
    bodies.push_back({file, std::move(bytes)});
  }
  if (bodies.empty()) {
    return absl::InvalidArgumentError(
        "nothing to send: give --sample NAME or --file FILE");
  }
  return bodies;
}

// Posts one webhook and tells what became of it.
ExitCode Post(const SendFlags& flags, const Secret& key, const Body& body) {
  const std::string signature = Sign(key.Reveal(), body.bytes);
  const absl::StatusOr<WebhookReply> reply = PostWithRetries(
      [&] {
        return PostWebhook(flags.url, body.bytes, kSignatureHeader, signature,
                           kTimeout, {.ca_file = flags.tls_ca});
      },
      flags.retries,
      [&](absl::Duration pause) {
        std::cerr << body.name << ": not taken; again in " << pause << "\n";
        absl::SleepFor(pause);
      });
  if (!reply.ok()) {
    std::cerr << body.name << ": " << reply.status().message() << "\n";
    return kExitFailure;
  }
  std::string answer =
      absl::StrReplaceAll(reply->body, {{"\n", " "}, {"\r", " "}});
  absl::StripTrailingAsciiWhitespace(&answer);
  const absl::Status written =
      WriteAll(STDOUT_FILENO,
               absl::StrCat(body.name, " ", reply->status, " ", answer, "\n"));
  if (!written.ok()) return kExitFailure;
  return reply->status / 100 == 2 ? kExitOk : kExitRefused;
}

int Send(const SendFlags& flags) {
  // A gateway that resets a TLS connection is an error like any other.
  std::signal(SIGPIPE, SIG_IGN);
  if (flags.list_samples) return ListSamples();
  const absl::StatusOr<std::vector<Body>> bodies = Bodies(flags);
  if (!bodies.ok()) {
    std::cerr << "waggle send: " << bodies.status().message() << "\n";
    return absl::IsInvalidArgument(bodies.status()) ? kExitUsage : kExitFailure;
  }
  if (flags.key_file.empty()) {
    std::cerr << "waggle send: signing with the public demo key\n";
  }
  const absl::StatusOr<Secret> key = LoadSigningKey(flags.key_file);
  if (!key.ok()) {
    std::cerr << "waggle send: " << key.status().message() << "\n";
    return kExitFailure;
  }
  absl::BitGen random;
  ExitCode worst = kExitOk;
  for (int i = 0; i < flags.count; ++i) {
    for (Body body : *bodies) {
      if (flags.unique) {
        absl::StatusOr<std::string> unique = MakeUnique(body.bytes, random);
        if (!unique.ok()) {
          std::cerr << body.name << ": --unique: " << unique.status().message()
                    << "\n";
          return kExitUsage;
        }
        body.bytes = *std::move(unique);
      }
      worst = std::max(worst, Post(flags, *key, body));
    }
  }
  return worst;
}

}  // namespace

Command AddSend(CLI::App& app) {
  CLI::App* send = app.add_subcommand(
      "send", "Post signed webhooks to a gateway, as Bindbee would");
  auto flags = std::make_shared<SendFlags>();
  send->add_option("--sample", flags->samples,
                   "A built-in sample, or \"all\"; repeatable")
      ->type_name("NAME")
      ->allow_extra_args(false);
  send->add_option("--file", flags->files,
                   "A file with the body, \"-\" for standard input; repeatable")
      ->type_name("FILE")
      ->allow_extra_args(false);
  send->add_flag("--list-samples", flags->list_samples,
                 "List the built-in samples");
  send->add_option("--url", flags->url, "Where to post to")
      ->type_name("URL")
      ->capture_default_str();
  send->add_option("--key-file", flags->key_file,
                   "A file that holds the signing key; by default the public "
                   "key of `waggle serve` without a configuration")
      ->type_name("FILE");
  send->add_option("--tls-ca", flags->tls_ca,
                   "For https: the authorities that may have issued the "
                   "gateway's certificate (PEM); by default the system's")
      ->type_name("FILE");
  send->add_option("--count", flags->count, "How often to send everything")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000'000))
      ->capture_default_str();
  send->add_flag("--unique", flags->unique,
                 "Make every body different by a member \"waggle_send_id\"; "
                 "without it, what was sent before is a duplicate");
  send->add_option("--retries", flags->retries,
                   "How often to try again after 503 or without an answer")
      ->type_name("N")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  send->footer(R"(
Prints a line for each webhook: its name, the status and the answer. The exit
code is 3 if any was refused, 1 if any got no answer.

Examples:
  waggle send --sample all
  waggle send --sample sync_completed --unique --count 100
  waggle send --file body.json --key-file key --url http://10.0.0.5:8080/webhooks/bindbee)");
  return {send, [flags] { return Send(*flags); }};
}

}  // namespace waggle
