#include <algorithm>

#include "action/account_images.h"
#include "action/images.h"
#include "image/access.h"

namespace ashlar {
namespace {

bool is_granted(const ImageRecord& image, const Grantee& grantee) {
  return grantee ? image.shared_with.contains(*grantee) : image.is_public;
}

bool is_wanted(const ImageRecord& image, const DescribeImages& request) {
  const auto& [ids, owners, grantees, filters, include_deprecated] = request;
  if (!owners.empty() && std::ranges::find(owners, image.owner) == owners.end()) return false;
  const auto granted = [&](const Grantee& grantee) { return is_granted(image, grantee); };
  if (!grantees.empty() && std::ranges::none_of(grantees, granted)) return false;
  return std::ranges::all_of(filters, [&](const ImageFilter& filter) { return passes(image, filter); });
}

// Returns the images that lists show to the account. A record that is gone since is not damaged.
Result<DescribedImages> list_images(const AccountImages& images, bool include_deprecated) {
  DescribedImages listed;
  const UtcTime now = UtcTime::now();
  for (const ImageId id : TRY(images.catalog().list_ids())) {
    auto record = images.catalog().get(id);
    if (is(record, ErrorCode::kNotFound)) continue;
    if (!record.ok()) {
      listed.unread.push_back(record.take_error());
      continue;
    }
    const bool is_shown = include_deprecated ? may_see(record.value(), images.account())
                                             : is_listed(record.value(), images.account(), now);
    if (is_shown) listed.images.push_back(record.take());
  }
  return listed;
}

Result<DescribedImages> find_images(const AccountImages& images, const std::vector<ImageId>& ids) {
  DescribedImages found;
  found.images.reserve(ids.size());
  for (const ImageId id : ids) found.images.push_back(TRY(images.find(id)));
  return found;
}

}  // namespace

Result<DescribedImages> describe_images(Repo& repo, const Caller& caller, const DescribeImages& request) {
  const AccountImages images = AccountImages::open(repo, caller);
  DescribedImages described = TRY(request.ids.empty() ? list_images(images, request.include_deprecated)
                                                      : find_images(images, request.ids));
  std::erase_if(described.images, [&](const ImageRecord& image) { return !is_wanted(image, request); });
  std::ranges::sort(described.images, {},
                    [](const ImageRecord& image) { return std::pair(image.created, image.id); });
  return described;
}

}  // namespace ashlar
