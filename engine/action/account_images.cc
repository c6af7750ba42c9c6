#include "action/account_images.h"

#include <fmt/format.h>

#include "image/access.h"
#include "image/register.h"

namespace ashlar {
namespace {

Error unknown(ImageId id) {
  return not_found(fmt::format("no image {} in this store", id.text())).about(ImageId::kMissing, id.text());
}

}  // namespace

AccountImages AccountImages::open(Repo& repo, const Caller& caller) {
  AccountImages images(repo.objects(), caller.account);
  const auto failed = fail_abandoned_images(images.catalog_, repo.objects());
  if (!failed.ok()) caller.notices.warn(failed.error().text());
  return images;
}

Result<ImageRecord> AccountImages::find(ImageId id) const {
  ImageRecord record = TRY(catalog_.get(id));
  if (!may_see(record, account_)) return unknown(id);
  return record;
}

Result<ImageRecord> AccountImages::find_available(ImageId id) const {
  ImageRecord record = TRY(find(id));
  TRY(check_available(record));
  return record;
}

Result<ImageRecord> AccountImages::find_own(ImageId id, bool in_bin) const {
  ImageRecord record = TRY(catalog_.get(id));
  const bool is_shown = !is_retired(record) || (in_bin && record.state == ImageState::kDeregistered);
  if (record.owner == account_ && is_shown) return record;
  if (!may_see(record, account_)) return unknown(id);
  return invalid(
      fmt::format("{} belongs to {}: only its owner may change it", id.text(), record.owner.text()));
}

Status AccountImages::check_not_retired(const ImageRecord& record) {
  return is_retired(record) ? Status(invalid(record.id.text() + " is deregistered")) : Status();
}

Status check_available(const ImageRecord& image) {
  if (image.state == ImageState::kAvailable) return {};
  return invalid(fmt::format("{} is {}, not available", image.id.text(), image_state_name(image.state)));
}

}  // namespace ashlar
