#include "image/lifecycle.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <set>

#include "catalog/snapshots.h"
#include "catalog/volumes.h"
#include "image/deletion.h"
#include "image/filter.h"

namespace ashlar {
namespace {

using Kind = LifecycleAction::Kind;

constexpr std::array kNames = {std::string_view("deprecate"), std::string_view("deregister"),
                               std::string_view("delete")};
constexpr std::uint64_t kDay = std::uint64_t{24} * 3600 * 1'000'000'000;

// The reasons that the record of a deregistered image states. The second one stands there until the image's
// snapshots are deleted, so that a later run continues one that was cut off; after that it is replaced by the
// first, so that a snapshot that is restored from the bin stays.
std::string reason_of(std::string_view policy) { return fmt::format("by lifecycle policy {}", policy); }
std::string unfinished_by(std::string_view policy) { return reason_of(policy) + ", its snapshots too"; }

bool is_unfinished(const ImageRecord& image, std::string_view policy) {
  return image.state == ImageState::kDeregistered && image.state_reason == unfinished_by(policy);
}

bool is_past(const Retention& retention, std::size_t newer, const ImageRecord& image, UtcTime now) {
  return newer >= retention.keep_last && now.unix_ns >= image.created.unix_ns &&
         now.unix_ns - image.created.unix_ns >= retention.after_days * kDay;
}

LifecycleAction action_on(Kind kind, const LifecyclePolicy& policy, const ImageRecord& image) {
  LifecycleAction action;
  action.kind = kind;
  action.policy = policy.name;
  action.image = image.id;
  action.image_name = image.name;
  action.revision = image.revision;
  action.deletes_snapshots = kind == Kind::kDeregister && policy.delete_snapshots;
  return action;
}

// Returns the policy's images that are available or disabled, newest first.
Result<std::vector<const ImageRecord*>> images_of(const LifecyclePolicy& policy,
                                                  const std::vector<ImageRecord>& images) {
  std::vector<ImageFilter> filters;
  filters.reserve(policy.filters.size());
  for (const std::string& text : policy.filters)
    filters.push_back(TRY(parse_image_filter(text).with_context("policy " + policy.name)));
  std::vector<const ImageRecord*> found;
  for (const ImageRecord& image : images) {
    const bool is_ready = image.state == ImageState::kAvailable || image.state == ImageState::kDisabled;
    const auto passed = [&](const ImageFilter& filter) { return passes(image, filter); };
    if (is_ready && image.owner == policy.owner && std::ranges::all_of(filters, passed))
      found.push_back(&image);
  }
  std::ranges::sort(found, std::ranges::greater(),
                    [](const ImageRecord* image) { return std::pair(image->created, image->id); });
  return found;
}

using Actions = std::map<ImageId, LifecycleAction>;

Status plan_images(const LifecyclePolicy& policy, const std::vector<ImageRecord>& images, UtcTime now,
                   Actions& actions) {
  std::size_t newer = 0;
  for (const ImageRecord* image : TRY(images_of(policy, images))) {
    const auto asks = [&](const std::optional<Retention>& retention) {
      return retention && is_past(*retention, newer, *image, now);
    };
    if (asks(policy.deregister)) {
      const auto before = actions.find(image->id);
      if (before == actions.end() || before->second.kind != Kind::kDeregister)
        actions[image->id] = action_on(Kind::kDeregister, policy, *image);
    } else if (asks(policy.deprecate) && !image->deprecated) {
      actions.try_emplace(image->id, action_on(Kind::kDeprecate, policy, *image));
    }
    ++newer;
  }
  return {};
}

// Returns the policy that wants the snapshots of an image deleted: one that deregisters the image in this
// plan, or did so in a run that was cut off. Returns an empty name when there is none.
std::string deletes_snapshots_of(const ImageRecord& image, const std::vector<LifecyclePolicy>& policies,
                                 const Actions& actions) {
  const auto action = actions.find(image.id);
  if (action != actions.end() && action->second.deletes_snapshots) return action->second.policy;
  for (const LifecyclePolicy& policy : policies) {
    if (policy.owner == image.owner && is_unfinished(image, policy.name)) return policy.name;
  }
  return {};
}

LifecycleAction deletion_of(SnapshotId snapshot, const ImageRecord& image, const std::string& policy) {
  LifecycleAction action;
  action.kind = Kind::kDeleteSnapshot;
  action.policy = policy;
  action.image = image.id;
  action.image_name = image.name;
  action.snapshot = snapshot;
  return action;
}

Status plan_snapshots(ObjectStore& objects, const std::vector<LifecyclePolicy>& policies,
                      const std::vector<ImageRecord>& images, const Actions& actions, LifecyclePlan& plan) {
  std::map<SnapshotId, LifecycleAction> wanted;
  std::set<SnapshotId> needed;
  for (const ImageRecord& image : images) {
    const std::string policy = deletes_snapshots_of(image, policies, actions);
    if (!policy.empty()) plan.unfinished.push_back({image.id, policy});
    for (const SnapshotId id : snapshots_of(image)) {
      if (!policy.empty()) {
        LifecycleAction& action = wanted.try_emplace(id, deletion_of(id, image, policy)).first->second;
        action.had.push_back({image.id, policy});
      } else if (is_alive(image)) {
        needed.insert(id);
      }
    }
  }
  for (const VolumeRecord& volume : TRY(VolumeCatalog(objects).list())) {
    if (!volume.is_detached) needed.insert({volume.base, volume.previous_base});
  }
  const SnapshotCatalog snapshots(objects);
  for (const auto& [id, action] : wanted) {
    if (needed.contains(id)) continue;
    const auto record = snapshots.get(id);
    if (record.ok() || record.error().code() != ErrorCode::kNotFound) plan.actions.push_back(action);
  }
  return {};
}

Status check_clock(const std::vector<ImageRecord>& images, UtcTime now) {
  for (const ImageRecord& image : images) {
    if (image.created > now)
      return invalid(fmt::format("{} is dated {}, after now, which is {}: set the clock", image.id.text(),
                                 image.created.iso8601(), now.iso8601()));
  }
  return {};
}

Status change_image(ObjectStore& objects, const LifecycleAction& action,
                    const std::function<Status(ImageRecord&)>& change) {
  ImageCatalog images(objects);
  TRY(images.update(action.image, [&](ImageRecord& record) -> Status {
    if (record.revision != action.revision)
      return busy(fmt::format("{} was changed since the plan was made: run again", action.image.text()));
    return change(record);
  }));
  return {};
}

// Deletes a snapshot unless one of its images changed. An image that a person deregistered by hand since the
// plan, or restored, keeps its snapshots.
Status delete_as_planned(ObjectStore& objects, const LifecycleAction& action) {
  const ImageCatalog images(objects);
  for (const PolicyImage& had : action.had) {
    const auto image = images.get(had.image);
    if (!image.ok() || !is_unfinished(image.value(), had.policy))
      return busy(fmt::format("{} stays: {} was changed since the plan was made", action.snapshot.text(),
                              had.image.text()));
  }
  return delete_snapshot(objects, action.snapshot);
}

Status execute(ObjectStore& objects, const LifecycleAction& action, UtcTime now) {
  switch (action.kind) {
    case Kind::kDeprecate:
      return change_image(objects, action, [&](ImageRecord& record) -> Status {
        record.deprecated = now;
        return {};
      });
    case Kind::kDeregister:
      return change_image(objects, action, [&](ImageRecord& record) -> Status {
        TRY(deregister(record, now));
        record.state_reason =
            action.deletes_snapshots ? unfinished_by(action.policy) : reason_of(action.policy);
        return {};
      });
    case Kind::kDeleteSnapshot:
      break;
  }
  return delete_as_planned(objects, action);
}

// Notes that an image has no deletions left. It may have left the bin meanwhile, purged or restored.
Status finish(ObjectStore& objects, const PolicyImage& done) {
  const auto changed = ImageCatalog(objects).update(done.image, [&](ImageRecord& record) -> Status {
    if (is_unfinished(record, done.policy)) record.state_reason = reason_of(done.policy);
    return {};
  });
  if (changed.ok() || changed.error().code() == ErrorCode::kNotFound) return {};
  return changed.error();
}

bool concerns(const LifecycleAction& action, ImageId image) {
  if (action.kind == Kind::kDeregister) return action.image == image;
  return std::ranges::find(action.had, image, &PolicyImage::image) != action.had.end();
}

}  // namespace

std::string_view lifecycle_action_name(LifecycleAction::Kind kind) {
  return kNames.at(static_cast<std::size_t>(kind));
}

Result<LifecyclePlan> plan_lifecycle(ObjectStore& objects, const std::vector<LifecyclePolicy>& policies,
                                     UtcTime now) {
  const std::vector<ImageRecord> images = TRY(ImageCatalog(objects).list());
  TRY(check_clock(images, now));
  Actions actions;
  for (const LifecyclePolicy& policy : policies) TRY(plan_images(policy, images, now, actions));
  LifecyclePlan plan;
  for (const Kind kind : {Kind::kDeprecate, Kind::kDeregister}) {
    for (const auto& [id, action] : actions) {
      if (action.kind == kind) plan.actions.push_back(action);
    }
  }
  TRY(plan_snapshots(objects, policies, images, actions, plan));
  return plan;
}

// Finishes each image right after the last action that concerns it, so that a run which is cut off later does
// not take that image up again.
Status execute_lifecycle(ObjectStore& objects, const LifecyclePlan& plan, UtcTime now,
                         const std::function<void(const LifecycleAction&, const Status&)>& report) {
  std::map<ImageId, std::size_t> last;
  std::set<ImageId> failed;
  for (const PolicyImage& one : plan.unfinished) {
    last[one.image] = 0;
    for (std::size_t i = 0; i < plan.actions.size(); ++i) {
      if (concerns(plan.actions[i], one.image)) last[one.image] = i + 1;
    }
  }
  const auto finish_those_behind = [&](std::size_t done) -> Status {
    Status first;
    for (const PolicyImage& one : plan.unfinished) {
      if (last[one.image] != done || failed.contains(one.image)) continue;
      Status finished = finish(objects, one);
      if (first.ok() && !finished.ok()) first = std::move(finished);
    }
    return first;
  };
  Status first = finish_those_behind(0);
  for (std::size_t i = 0; i < plan.actions.size(); ++i) {
    const LifecycleAction& action = plan.actions[i];
    const Status done = execute(objects, action, now);
    if (!done.ok() && done.error().code() != ErrorCode::kBusy) {
      for (const PolicyImage& had : action.had) failed.insert(had.image);
    }
    Status finished = finish_those_behind(i + 1);
    if (first.ok() && !finished.ok()) first = std::move(finished);
    report(action, done);
  }
  return first;
}

}  // namespace ashlar
