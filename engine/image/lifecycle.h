// What lifecycle policies ask for at one moment, and doing just that.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "catalog/images.h"
#include "document/lifecycle_policy.h"

namespace ashlar {

// An image, and the policy that deregisters it.
struct PolicyImage {
  ImageId image;
  std::string policy;  // its name
  friend bool operator==(const PolicyImage&, const PolicyImage&) = default;
};

struct LifecycleAction {
  enum class Kind : unsigned char { kDeprecate, kDeregister, kDeleteSnapshot };
  Kind kind = Kind::kDeprecate;
  std::string policy;              // its name
  ImageId image;                   // of kDeleteSnapshot: one of those that had it
  std::string image_name;          // for people
  std::uint64_t revision = 0;      // of the image's record, as it was seen
  bool deletes_snapshots = false;  // kDeregister: they are to go too
  SnapshotId snapshot;             // kDeleteSnapshot
  std::vector<PolicyImage> had;    // kDeleteSnapshot: all that had it
  friend bool operator==(const LifecycleAction&, const LifecycleAction&) = default;
};
std::string_view lifecycle_action_name(LifecycleAction::Kind kind);

struct LifecyclePlan {
  std::vector<LifecycleAction> actions;  // in the order in which they are to be done
  // Deregistered images whose records are to say, once their deletions are done, that nothing is left to do:
  // those of this plan, and those of runs that were cut off.
  std::vector<PolicyImage> unfinished;
};

// An image that two policies ask for is deregistered if one says so, by the first that does. A snapshot is
// deleted when every image that needs it is deregistered by a policy that deletes snapshots, now or in a run
// that was cut off, and no volume stands on it. kInvalid for a filter that makes no sense, and when an image
// is dated after `now`: the clock is wrong then, and ages mean nothing. A damaged image or volume record is
// an error, for what it needs is not known.
Result<LifecyclePlan> plan_lifecycle(ObjectStore& objects, const std::vector<LifecyclePolicy>& policies,
                                     UtcTime now);

// Does the actions one after the other and reports each: kBusy when the image was changed, or the snapshot
// taken into use, since the plan was made, or when the image that had the snapshot was not deregistered after
// all. An action that fails keeps none of the others from being done.
Status execute_lifecycle(ObjectStore& objects, const LifecyclePlan& plan, UtcTime now,
                         const std::function<void(const LifecycleAction&, const Status&)>& report);

}  // namespace ashlar
