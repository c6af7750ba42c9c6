#include <fmt/format.h>

#include "action/account_images.h"
#include "action/images.h"

namespace ashlar {
namespace {

template <class Change>
Result<ImageRecord> change_image(Repo& repo, const Caller& caller, ImageId id, const Change& change) {
  return AccountImages::open(repo, caller).update_own(id, [&](ImageRecord& image) -> Status {
    change(image);
    return {};
  });
}

void set_permission(ImageRecord& image, const Grantee& grantee, bool is_allowed) {
  if (!grantee) {
    image.is_public = is_allowed;
  } else if (is_allowed) {
    image.shared_with.insert(*grantee);
  } else {
    image.shared_with.erase(*grantee);
  }
}

// Moves an image between the states available and disabled; an image that is in the state already stays.
Status move(ImageRecord& image, ImageState from, ImageState to, std::string_view rule) {
  if (image.state == to) return {};
  if (image.state != from)
    return invalid(fmt::format("{} is {}: {}", image.id.text(), image_state_name(image.state), rule));
  image.state = to;
  return {};
}

}  // namespace

Result<ImageRecord> create_image_tags(Repo& repo, const Caller& caller, ImageId id, const Tags& tags) {
  return change_image(repo, caller, id, [&](ImageRecord& image) {
    for (const auto& [key, value] : tags) image.tags[key] = value;
  });
}

Result<ImageRecord> delete_image_tags(Repo& repo, const Caller& caller, ImageId id,
                                      const std::vector<std::string>& keys) {
  return change_image(repo, caller, id, [&](ImageRecord& image) {
    for (const std::string& key : keys) image.tags.erase(key);
  });
}

Result<ImageRecord> modify_image_description(Repo& repo, const Caller& caller, ImageId id,
                                             const std::string& description) {
  return change_image(repo, caller, id, [&](ImageRecord& image) { image.description = description; });
}

Result<ImageRecord> modify_launch_permissions(Repo& repo, const Caller& caller, ImageId id,
                                              const LaunchPermissions& change) {
  return change_image(repo, caller, id, [&](ImageRecord& image) {
    for (const Grantee& grantee : change.add) set_permission(image, grantee, true);
    for (const Grantee& grantee : change.remove) set_permission(image, grantee, false);
  });
}

Result<ImageRecord> enable_image_deprecation(Repo& repo, const Caller& caller, ImageId id, UtcTime at) {
  return change_image(repo, caller, id, [&](ImageRecord& image) { image.deprecated = at; });
}

Result<ImageRecord> disable_image_deprecation(Repo& repo, const Caller& caller, ImageId id) {
  return change_image(repo, caller, id, [&](ImageRecord& image) { image.deprecated.reset(); });
}

// The launch permissions go, as in EC2: enabled again, the image is its owner's alone.
Result<ImageRecord> disable_image(Repo& repo, const Caller& caller, ImageId id) {
  return AccountImages::open(repo, caller).update_own(id, [](ImageRecord& image) -> Status {
    if (image.state == ImageState::kDisabled) return {};
    TRY(move(image, ImageState::kAvailable, ImageState::kDisabled,
             "only an available image can be disabled"));
    image.is_public = false;
    image.shared_with.clear();
    return {};
  });
}

Result<ImageRecord> enable_image(Repo& repo, const Caller& caller, ImageId id) {
  return AccountImages::open(repo, caller).update_own(id, [](ImageRecord& image) {
    return move(image, ImageState::kDisabled, ImageState::kAvailable, "only a disabled image can be enabled");
  });
}

}  // namespace ashlar
