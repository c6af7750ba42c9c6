// What lifecycle policies ask for at one moment, and doing just that.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "catalog/images.h"
#include "format/lifecycle_policy.h"

namespace ashlar {

struct LifecycleAction {
  enum class Kind : unsigned char { kDeprecate, kDeregister, kDeleteSnapshot };
  Kind kind = Kind::kDeprecate;
  std::string policy;          // its name
  ImageId image;               // of kDeleteSnapshot: the deregistered one that had it
  std::string image_name;      // for people
  std::uint64_t revision = 0;  // of the image's record, as it was seen
  SnapshotId snapshot;         // kDeleteSnapshot
  friend bool operator==(const LifecycleAction&, const LifecycleAction&) = default;
};
std::string_view lifecycle_action_name(LifecycleAction::Kind kind);

// In the order in which they are to be done. An image that two policies ask for is deregistered if one says
// so. A snapshot is deleted when every image that needs it is deregistered by a policy that deletes
// snapshots, now or in a run that was cut off, and no volume stands on it. kInvalid for a filter that makes
// no sense; a damaged image or volume record is an error, for what it needs is not known.
Result<std::vector<LifecycleAction>> plan_lifecycle(ObjectStore& objects,
                                                    const std::vector<LifecyclePolicy>& policies,
                                                    UtcTime now);

// Does the actions one after the other and reports each: kBusy when the image was changed, or the snapshot
// taken into use, since the plan was made. An action that fails keeps none of the others from being done.
Status execute_lifecycle(ObjectStore& objects, const std::vector<LifecycleAction>& plan, UtcTime now,
                         const std::function<void(const LifecycleAction&, const Status&)>& report);

}  // namespace ashlar
