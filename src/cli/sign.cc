#include <unistd.h>

#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "bindbee/signature.h"
#include "cli/command.h"
#include "cli/exit_codes.h"
#include "cli/io.h"
#include "cli/signing_key.h"

namespace waggle {
namespace {

struct SignFlags {
  std::string file = "-";
  std::string key_file;
  bool demo_key = false;
  bool header = false;
};

int SignFile(const SignFlags& flags) {
  const absl::StatusOr<Secret> key = LoadSigningKey(flags.key_file);
  if (!key.ok()) {
    std::cerr << "waggle sign: " << key.status().message() << "\n";
    return kExitFailure;
  }
  const absl::StatusOr<std::string> body = ReadInput(flags.file);
  if (!body.ok()) {
    std::cerr << "waggle sign: " << body.status().message() << "\n";
    return kExitFailure;
  }
  const std::string signature = Sign(key->Reveal(), *body);
  const std::string line =
      flags.header ? absl::StrCat(kSignatureHeader, ": ", signature, "\n")
                   : absl::StrCat(signature, "\n");
  return WriteAll(STDOUT_FILENO, line).ok() ? kExitOk : kExitFailure;
}

}  // namespace

Command AddSign(CLI::App& app) {
  CLI::App* sign =
      app.add_subcommand("sign", "Print the signature of a webhook's body");
  auto flags = std::make_shared<SignFlags>();
  sign->add_option("file", flags->file,
                   "The body; \"-\", the default, is standard input")
      ->type_name("FILE");
  auto* key = sign->add_option_group("key", "Which key signs");
  key->add_option("--key-file", flags->key_file, "A file that holds the key")
      ->type_name("FILE");
  key->add_flag("--demo-key", flags->demo_key,
                "The public key of `waggle serve` without a configuration");
  key->require_option(1);
  sign->add_flag("--header", flags->header,
                 "Print the complete header, for curl");
  sign->footer(R"help(
The signature covers every byte of the body: send exactly the same bytes.

Examples:
  waggle sign --key-file key body.json
  curl -H "$(waggle sign --demo-key --header body.json)" \
       --data-binary @body.json http://127.0.0.1:8080/webhooks/bindbee)help");
  return {sign, [flags] { return SignFile(*flags); }};
}

}  // namespace waggle
