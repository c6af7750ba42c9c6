// ashlar image verify: who vouches for an image, and whether it is what they vouched for.
#include <fmt/format.h>

#include "action/image_checks.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/stop.h"
#include "program/store_option.h"
#include "program/terminal_notices.h"

namespace ashlar {
namespace {

Json verified_json(const VerifiedImage& verified) {
  Json signatures = Json::array();
  for (const VerifiedSignature& one : verified.signatures) {
    signatures.push_back({{"Key", to_hex(one.signature.key)},
                          {"Name", one.signature.name},
                          {"SignedAt", one.signature.signed_at.iso8601()},
                          {"Valid", one.is_valid},
                          {"TrustedAs", one.is_trusted ? Json(one.trusted_as) : Json()}});
  }
  return {{"ok", verified.is_whole()},
          {"ImageId", verified.image.id.text()},
          {"ContentDigest", to_hex(image_digest(verified.image))},
          {"Trusted", verified.is_trusted()},
          {"Signatures", signatures},
          {"faults", verified.faults}};
}

std::string signature_text(const VerifiedSignature& one) {
  const std::string word = !one.is_valid    ? "INVALID"
                           : one.is_trusted ? "valid, trusted as '" + one.trusted_as + "'"
                                            : "valid, not trusted";
  return fmt::format("{}: '{}' of {}", word, one.signature.name, one.signature.signed_at.iso8601());
}

std::string verified_text(const VerifiedImage& verified) {
  std::vector<std::pair<std::string, std::string>> lines;
  for (const VerifiedSignature& one : verified.signatures)
    lines.emplace_back(to_hex(one.signature.key), signature_text(one));
  std::string text = aligned(lines);
  for (const std::string& fault : verified.faults) text += fault + "\n";
  const char* trust = verified.is_trusted()         ? "signed by a trusted key"
                      : verified.signatures.empty() ? "not signed"
                                                    : "not signed by a trusted key";
  return text +
         fmt::format("{}: {}, {}\n", verified.image.id.text(),
                     verified.faults.empty() ? "no faults" : count_text(verified.faults.size(), "fault"),
                     trust);
}

Result<ExitCode> run(const Globals& globals, const std::string& image) {
  Stop stop;
  const auto repo = TRY(open_store(globals));
  TerminalNotices notices(globals);
  const Caller caller = TRY(caller_of(globals, *repo, notices, stop.token()));
  TRY(stop.watch());
  const VerifiedImage verified = TRY(verify_image(*repo, caller, TRY(ImageId::parse(image))));
  globals.json ? print_json(verified_json(verified)) : print(verified_text(verified));
  if (verified.is_whole()) return ExitCode::kDone;
  print_note(fmt::format("ashlar: {}", verified.faults.empty()
                                           ? image + " has a signature that is not valid for it"
                                           : count_text(verified.faults.size(), "fault") + " of " + image));
  return ExitCode::kDamaged;
}

}  // namespace

void add_image_verify(Cli& cli) {
  const auto image = std::make_shared<std::string>();
  Verb verb = cli.add_verb("image verify", "Read every block of an image, and check it and its signatures",
                           "  ashlar image verify ami-01a2b3c4d5e6f7089");
  verb.image("IMAGE", *image, "The image");
  cli.on_run(Needs::kStore, [image](const Globals& globals) { return run(globals, *image); });
}

}  // namespace ashlar
