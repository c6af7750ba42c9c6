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

// What the record of a deregistered image says of who did it. The second until its snapshots are deleted, so
// that a run which is cut off is taken up, and never afterwards: a snapshot that comes back from the bin
// stays.
std::string reason_of(std::string_view policy) { return fmt::format("by lifecycle policy {}", policy); }
std::string unfinished(std::string_view policy) { return reason_of(policy) + ", its snapshots too"; }

bool is_past(const Retention& retention, std::size_t newer, const ImageRecord& image, UtcTime now) {
  return newer >= retention.keep_last && now.unix_ns >= image.created.unix_ns &&
         now.unix_ns - image.created.unix_ns >= retention.after_days * kDay;
}

LifecycleAction action_on(Kind kind, const LifecyclePolicy& policy, const ImageRecord& image) {
  return {kind, policy.name, image.id, image.name, image.revision, {}};
}

// The policy's images that can be launched, or could be if they were enabled, newest first.
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
    const bool is_deprecated = image->deprecated && *image->deprecated <= now;
    if (asks(policy.deregister)) {
      const auto before = actions.find(image->id);
      if (before == actions.end() || before->second.kind != Kind::kDeregister)
        actions[image->id] = action_on(Kind::kDeregister, policy, *image);
    } else if (asks(policy.deprecate) && !is_deprecated) {
      actions.try_emplace(image->id, action_on(Kind::kDeprecate, policy, *image));
    }
    ++newer;
  }
  return {};
}

// The policy that wants the snapshots of an image deleted: one that deregisters it in this plan, or did so in
// a run that was cut off.
const LifecyclePolicy* deletes_snapshots_of(const ImageRecord& image,
                                            const std::vector<LifecyclePolicy>& policies,
                                            const Actions& actions) {
  const auto action = actions.find(image.id);
  const bool is_planned = action != actions.end() && action->second.kind == Kind::kDeregister;
  for (const LifecyclePolicy& policy : policies) {
    if (!policy.delete_snapshots || policy.owner != image.owner) continue;
    if (is_planned && action->second.policy == policy.name) return &policy;
    if (image.state == ImageState::kDeregistered && image.state_reason == unfinished(policy.name))
      return &policy;
  }
  return nullptr;
}

Result<std::vector<LifecycleAction>> plan_snapshots(ObjectStore& objects,
                                                    const std::vector<LifecyclePolicy>& policies,
                                                    const std::vector<ImageRecord>& images,
                                                    const Actions& actions) {
  std::map<SnapshotId, LifecycleAction> wanted;
  std::set<SnapshotId> needed;
  for (const ImageRecord& image : images) {
    const LifecyclePolicy* policy = deletes_snapshots_of(image, policies, actions);
    for (const SnapshotId id : snapshots_of(image)) {
      if (policy) {
        wanted.try_emplace(id, action_on(Kind::kDeleteSnapshot, *policy, image)).first->second.snapshot = id;
      } else if (is_alive(image)) {
        needed.insert(id);
      }
    }
  }
  for (const VolumeRecord& volume : TRY(VolumeCatalog(objects).list())) {
    if (!volume.is_detached) needed.insert({volume.base, volume.previous_base});
  }
  const SnapshotCatalog snapshots(objects);
  std::vector<LifecycleAction> deletions;
  for (const auto& [id, action] : wanted) {
    if (needed.contains(id)) continue;
    const auto record = snapshots.get(id);
    if (record.ok() || record.error().code() != ErrorCode::kNotFound) deletions.push_back(action);
  }
  return deletions;
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
        record.state_reason = unfinished(action.policy);
        return {};
      });
    case Kind::kDeleteSnapshot:
      break;
  }
  return delete_snapshot(objects, action.snapshot);
}

// The image may be gone from the bin, or back from it, by now.
Status finish(ObjectStore& objects, const LifecycleAction& action) {
  const auto done = ImageCatalog(objects).update(action.image, [&](ImageRecord& record) -> Status {
    const bool is_ours =
        record.state == ImageState::kDeregistered && record.state_reason == unfinished(action.policy);
    if (is_ours) record.state_reason = reason_of(action.policy);
    return {};
  });
  if (done.ok() || done.error().code() == ErrorCode::kNotFound) return {};
  return Error(done.error().code(), done.error().text());
}

}  // namespace

std::string_view lifecycle_action_name(LifecycleAction::Kind kind) {
  return kNames.at(static_cast<std::size_t>(kind));
}

Result<std::vector<LifecycleAction>> plan_lifecycle(ObjectStore& objects,
                                                    const std::vector<LifecyclePolicy>& policies,
                                                    UtcTime now) {
  const std::vector<ImageRecord> images = TRY(ImageCatalog(objects).list());
  Actions actions;
  for (const LifecyclePolicy& policy : policies) TRY(plan_images(policy, images, now, actions));
  std::vector<LifecycleAction> plan;
  for (const Kind kind : {Kind::kDeprecate, Kind::kDeregister}) {
    for (const auto& [id, action] : actions) {
      if (action.kind == kind) plan.push_back(action);
    }
  }
  const std::vector<LifecycleAction> deletions = TRY(plan_snapshots(objects, policies, images, actions));
  plan.insert(plan.end(), deletions.begin(), deletions.end());
  return plan;
}

Status execute_lifecycle(ObjectStore& objects, const std::vector<LifecycleAction>& plan, UtcTime now,
                         const std::function<void(const LifecycleAction&, const Status&)>& report) {
  std::map<ImageId, LifecycleAction> finished;
  for (const LifecycleAction& action : plan) {
    if (action.kind != Kind::kDeprecate) finished.emplace(action.image, action);
  }
  for (const LifecycleAction& action : plan) {
    const Status done = execute(objects, action, now);
    report(action, done);
    const bool is_settled = done.ok() || done.error().code() == ErrorCode::kBusy;
    if (!is_settled) finished.erase(action.image);
  }
  for (const auto& [id, action] : finished) TRY(finish(objects, action));
  return {};
}

}  // namespace ashlar
