// Lifecycle: the actions that lifecycle policies demand at one moment (the plan), and their execution.
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
  std::string policy;  // name of the policy
  friend bool operator==(const PolicyImage&, const PolicyImage&) = default;
};

struct LifecycleAction {
  enum class Kind : unsigned char { kDeprecate, kDeregister, kDeleteSnapshot };
  Kind kind = Kind::kDeprecate;
  std::string policy;              // name of the policy
  ImageId image;                   // kDeleteSnapshot: one of the images that had it
  std::string image_name;          // to be shown to people
  std::uint64_t revision = 0;      // revision of the image's record when the plan was made
  bool deletes_snapshots = false;  // kDeregister: its snapshots are to be deleted too
  SnapshotId snapshot;             // kDeleteSnapshot only
  std::vector<PolicyImage> had;    // kDeleteSnapshot: all images that had it
  friend bool operator==(const LifecycleAction&, const LifecycleAction&) = default;
};
std::string_view lifecycle_action_name(LifecycleAction::Kind kind);

struct LifecyclePlan {
  std::vector<LifecycleAction> actions;  // in the order of execution: deletions of snapshots come last
  // Deregistered images whose records have to be finished once their deletions are done: those of this plan,
  // and those of runs that were cut off.
  std::vector<PolicyImage> unfinished;
  std::vector<std::string> damaged;  // what is wrong with records that are damaged; the plan leaves them out
};

// Plans the actions of policies. An image that two policies ask for is deregistered if one says so, by the
// first that does. A snapshot is deleted when every image that needs it is deregistered by a policy that
// deletes snapshots, in this plan or in a run that was cut off, and no volume has it as base. Returns
// kInvalid for a filter that makes no sense, and when an image is dated after `now`: then the clock is wrong,
// and ages mean nothing. A damaged record is left out, and keeps each snapshot that its bytes name; one that
// can't be read at the moment is an error.
Result<LifecyclePlan> plan_lifecycle(ObjectStore& objects, const std::vector<LifecyclePolicy>& policies,
                                     UtcTime now);

// Does the actions one after the other and reports each: kBusy when the image was changed, or the snapshot
// taken into use, since the plan was made, or when the image that had the snapshot was not deregistered. An
// action that fails does not stop the others. Snapshots are deleted together, at the end. Returns the first
// failure to finish an image.
Status execute_lifecycle(ObjectStore& objects, const LifecyclePlan& plan, UtcTime now,
                         const std::function<void(const LifecycleAction&, const Status&)>& report);

}  // namespace ashlar
