// ashlar image sign and image verify: who vouches for an image, and whether it is what was vouched for.
#include <fmt/format.h>

#include <algorithm>

#include "action/keys.h"
#include "base/clock.h"
#include "catalog/settings.h"
#include "image/signing.h"
#include "program/cli.h"
#include "program/image_store.h"
#include "program/output.h"
#include "program/progress.h"
#include "program/stop.h"
#include "scrub/verify.h"
#include "shapes/image_output.h"

namespace ashlar {
namespace {

struct Options {
  std::string image;
  std::string key;
};

// A key has one signature of an image: the last one.
Result<ExitCode> sign(const Globals& globals, const Options& options) {
  ImageStore store = TRY(ImageStore::open(globals));
  const ImageId id = TRY(ImageId::parse(options.image));
  const SigningKey key = TRY(read_key_file(options.key));
  TRY(store.find_own(id));
  const ImageRecord now = TRY(store.catalog().update(id, [&](ImageRecord& record) -> Status {
    if (record.state != ImageState::kAvailable)
      return invalid(fmt::format("{} is {}, not available", id.text(), image_state_name(record.state)));
    const ImageSignature made = TRY(sign_image(record, key, UtcTime::now()));
    std::erase_if(record.signatures, [&](const ImageSignature& old) { return old.key == made.key; });
    record.signatures.push_back(made);
    return {};
  }));
  if (globals.json) print_json({{"Images", Json::array({image_json(now, store.account())})}});
  return ExitCode::kDone;
}

struct Checked {
  Json signatures = Json::array();
  std::vector<std::pair<std::string, std::string>> lines;
  bool is_trusted = false;
  bool has_invalid = false;
};

Checked check_signatures(const ImageRecord& image, const StoreSettings& settings) {
  Checked checked;
  for (const ImageSignature& signature : image.signatures) {
    const bool valid = is_valid(image, signature);
    const auto key = settings.trusted_keys.find(signature.key);
    const bool trusted = valid && key != settings.trusted_keys.end();
    checked.is_trusted = checked.is_trusted || trusted;
    checked.has_invalid = checked.has_invalid || !valid;
    const std::string name = trusted ? key->second : "";
    checked.signatures.push_back({{"Key", to_hex(signature.key)},
                                  {"Name", signature.name},
                                  {"SignedAt", signature.signed_at.iso8601()},
                                  {"Valid", valid},
                                  {"TrustedAs", trusted ? Json(name) : Json()}});
    const std::string word = !valid    ? "INVALID"
                             : trusted ? "valid, trusted as '" + name + "'"
                                       : "valid, not trusted";
    checked.lines.emplace_back(to_hex(signature.key), fmt::format("{}: '{}' of {}", word, signature.name,
                                                                  signature.signed_at.iso8601()));
  }
  return checked;
}

ProgressSample sample_of(const VerifyProgress& progress) {
  ProgressSample sample;
  sample.total_bytes = progress.total_bytes;
  sample.done_bytes = progress.done_bytes;
  return sample;
}

// All that is wrong with what the image holds: every block of its snapshots is read.
Result<std::vector<std::string>> check_contents(const Globals& globals, Repo& repo, const ImageRecord& image,
                                                const Stop& stop) {
  std::vector<std::string> faults;
  const auto compare = [&](std::string_view whose, const ImageContent& content) -> Status {
    const auto record = repo.snapshots().get(content.snapshot);
    if (!record.ok()) {
      faults.push_back(fmt::format("{}: {}", whose, record.error().text()));
    } else if (record.value().content != content.digest || record.value().size != content.size) {
      faults.push_back(
          fmt::format("{}: {} is not what the image was made of", whose, content.snapshot.text()));
    }
    return {};
  };
  for (const ImageDevice& device : image.devices) {
    if (device.kind == ImageDevice::Kind::kSnapshot) TRY(compare(device.name, device.content));
  }
  if (image.boot.kernel) TRY(compare("the kernel", *image.boot.kernel));
  if (image.boot.ramdisk) TRY(compare("the RAM disk", *image.boot.ramdisk));
  const VerifyParts parts = TRY(repo.verify_parts());
  VerifyProgress progress;
  const ProgressDisplay display(globals, "image verify", [&progress] { return sample_of(progress); });
  for (const SnapshotId id : snapshots_of(image)) {
    if (!repo.snapshots().get(id).ok()) continue;  // said above
    const VerifyReport report = TRY(verify_snapshot(parts, id, progress, stop.token()));
    for (const Damage& damage : report.damages)
      faults.push_back(fmt::format("{}: {}: {}", id.text(), damage.object, damage.what));
  }
  return faults;
}

Result<ExitCode> verify(const Globals& globals, const Options& options) {
  Stop stop;
  ImageStore store = TRY(ImageStore::open(globals));
  const ImageRecord image = TRY(store.find(TRY(ImageId::parse(options.image))));
  TRY(stop.watch());
  const Checked checked = check_signatures(image, TRY(get_settings(store.repo().objects())));
  const std::vector<std::string> faults = TRY(check_contents(globals, store.repo(), image, stop));
  const bool ok = faults.empty() && !checked.has_invalid;
  if (globals.json) {
    print_json({{"ok", ok},
                {"ImageId", image.id.text()},
                {"ContentDigest", to_hex(image_digest(image))},
                {"Trusted", checked.is_trusted},
                {"Signatures", checked.signatures},
                {"faults", faults}});
  } else {
    print(aligned(checked.lines));
    for (const std::string& fault : faults) print(fault + "\n");
    print(fmt::format("{}: {}, {}\n", image.id.text(), faults.empty() ? "holds what it says" : "damaged",
                      checked.is_trusted         ? "signed by a trusted key"
                      : image.signatures.empty() ? "not signed"
                                                 : "not signed by a trusted key"));
  }
  if (ok) return ExitCode::kDone;
  print_note(fmt::format("ashlar: {} is not what it says it is", image.id.text()));
  return ExitCode::kDamaged;
}

}  // namespace

void add_image_sign(Cli& cli) {
  const auto options = std::make_shared<Options>();
  Verb signing = cli.add_verb("image sign", "Sign an image: its attributes and every block of its disks",
                              "  ashlar image sign ami-01a2b3c4d5e6f7089 --key release-key.pem");
  signing.image("IMAGE", options->image, "The image");
  signing.text("--key", "FILE", options->key, "The key, as 'ashlar key generate' makes it");
  signing.check([options] { return options->key.empty() ? Status(invalid("--key is required")) : Status(); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return sign(globals, *options); });
  Verb verifying =
      cli.add_verb("image verify", "Read every block of an image, and check it and its signatures",
                   "  ashlar image verify ami-01a2b3c4d5e6f7089");
  verifying.image("IMAGE", options->image, "The image");
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return verify(globals, *options); });
}

}  // namespace ashlar
