#include <fmt/format.h>

#include <algorithm>

#include "action/account_images.h"
#include "action/image_checks.h"
#include "catalog/settings.h"
#include "image/contents.h"
#include "image/signing.h"
#include "scrub/verify.h"

namespace ashlar {
namespace {

using Faults = std::vector<std::string>;

VerifiedSignature check_signature(const ImageRecord& image, const ImageSignature& signature,
                                  const StoreSettings& settings) {
  VerifiedSignature verified{signature, is_valid(image, signature), false, {}};
  const auto key = settings.trusted_keys.find(signature.key);
  if (!verified.is_valid || key == settings.trusted_keys.end()) return verified;
  verified.is_trusted = true;
  verified.trusted_as = key->second;
  return verified;
}

// Compares the snapshots' records with what the image was made of.
Status compare_records(Repo& repo, const ImageRecord& image, Faults& faults) {
  return visit_contents(image, [&](std::string_view place, const ImageContent& content) -> Status {
    const Status same = check_content(content, repo.snapshots());
    if (!same.ok()) faults.push_back(fmt::format("{}: {}", place, same.error().text()));
    return {};
  });
}

// Reads every block of the snapshots. A snapshot without a readable record is a fault already.
Status read_blocks(Repo& repo, const Caller& caller, const ImageRecord& image, Faults& faults) {
  const VerifyParts parts = TRY(repo.verify_parts());
  VerifyProgress progress;
  const auto watch = caller.notices.watch("image verify", [&progress] {
    ProgressSample sample;
    sample.total_bytes = progress.total_bytes;
    sample.done_bytes = progress.done_bytes;
    return sample;
  });
  for (const SnapshotId id : snapshots_of(image)) {
    if (!repo.snapshots().get(id).ok()) continue;
    const VerifyReport report = TRY(verify_snapshot(parts, id, progress, caller.stop));
    for (const Damage& damage : report.damages) {
      const bool is_sound_elsewhere = damage.losses.empty() && !damage.sound_in.empty();
      if (is_sound_elsewhere) continue;
      faults.push_back(fmt::format("{}: {}: {}{}", id.text(), damage.object,
                                   damage.is_unread ? "could not be read now: " : "", damage.what));
    }
  }
  return {};
}

}  // namespace

bool VerifiedImage::is_trusted() const {
  return std::ranges::any_of(signatures, [](const VerifiedSignature& one) { return one.is_trusted; });
}

bool VerifiedImage::is_whole() const {
  return faults.empty() &&
         std::ranges::all_of(signatures, [](const VerifiedSignature& one) { return one.is_valid; });
}

Result<VerifiedImage> verify_image(Repo& repo, const Caller& caller, ImageId id) {
  VerifiedImage verified;
  verified.image = TRY(AccountImages::open(repo, caller).find(id));
  const auto read = get_settings(repo.objects());
  if (!read.ok() && !is(read, ErrorCode::kCorrupt)) return read.error();
  if (!read.ok()) verified.faults.push_back(read.error().text() + ": it is not known which keys are trusted");
  const StoreSettings settings = read.ok() ? read.value() : StoreSettings();
  for (const ImageSignature& signature : verified.image.signatures)
    verified.signatures.push_back(check_signature(verified.image, signature, settings));
  TRY(compare_records(repo, verified.image, verified.faults));
  TRY(read_blocks(repo, caller, verified.image, verified.faults));
  return verified;
}

}  // namespace ashlar
