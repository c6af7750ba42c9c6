#include "image/lifecycle.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <set>
#include <span>

#include "catalog/snapshots.h"
#include "image/deletion.h"
#include "image/filter.h"
#include "image/snapshot_users.h"

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
                      const SnapshotUsers& users, const Actions& actions, LifecyclePlan& plan) {
  std::map<SnapshotId, LifecycleAction> wanted;
  std::set<SnapshotId> needed;
  for (const ImageRecord& image : users.images()) {
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
  const SnapshotCatalog snapshots(objects);
  for (const auto& [id, action] : wanted) {
    if (needed.contains(id) || users.is_base(id) || users.damaged_user(id)) continue;
    const auto record = snapshots.get(id);
    if (!is(record, ErrorCode::kNotFound)) plan.actions.push_back(action);
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

// Fails with kBusy when one of the images of a snapshot changed. An image that a person deregistered by hand
// since the plan, or restored, keeps its snapshots.
Status check_still_planned(const ImageCatalog& images, const LifecycleAction& action) {
  for (const PolicyImage& had : action.had) {
    const auto image = images.get(had.image);
    if (!image.ok() || !is_unfinished(image.value(), had.policy))
      return busy(fmt::format("{} stays: {} was changed since the plan was made", action.snapshot.text(),
                              had.image.text()));
  }
  return {};
}

// Deletes the snapshots of actions together: each reading of all records serves all of them.
std::vector<Status> delete_as_planned(ObjectStore& objects, std::span<const LifecycleAction> actions) {
  const ImageCatalog images(objects);
  std::vector<Status> done;
  std::vector<SnapshotId> ids;
  done.reserve(actions.size());
  for (const LifecycleAction& action : actions) {
    done.push_back(check_still_planned(images, action));
    if (done.back().ok()) ids.push_back(action.snapshot);
  }
  std::vector<Status> deleted = delete_snapshots(objects, ids);
  auto next = deleted.begin();
  for (Status& one : done) {
    if (one.ok()) one = std::move(*next++);
  }
  return done;
}

Status change_as_planned(ObjectStore& objects, const LifecycleAction& action, UtcTime now) {
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
  return invalid("not a change of an image");
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

// Finishes images after the last action that concerns them, so that a run which is cut off later does not
// take them up again.
class Finisher {
 public:
  Finisher(ObjectStore& objects, const LifecyclePlan& plan) : objects_(objects) {
    std::map<ImageId, std::size_t> last;
    for (std::size_t i = 0; i < plan.actions.size(); ++i) {
      const LifecycleAction& action = plan.actions[i];
      if (action.kind == Kind::kDeregister) last[action.image] = i + 1;
      for (const PolicyImage& had : action.had) last[had.image] = i + 1;
    }
    for (const PolicyImage& one : plan.unfinished) after_[last[one.image]].push_back(one);
  }

  // Leaves the images of an action unfinished, since a later run has to try it again.
  void failed(const LifecycleAction& action) {
    for (const PolicyImage& had : action.had) failed_.insert(had.image);
  }
  // Finishes the images whose last action is number `done`, counted from 1; 0: those without one. Keeps the
  // first failure.
  void after(std::size_t done) {
    for (const PolicyImage& one : after_[done]) {
      if (failed_.contains(one.image)) continue;
      Status finished = finish(objects_, one);
      if (first_.ok()) first_ = std::move(finished);
    }
  }
  Status first_failure() { return std::move(first_); }

 private:
  ObjectStore& objects_;
  std::map<std::size_t, std::vector<PolicyImage>> after_;
  std::set<ImageId> failed_;
  Status first_;
};

}  // namespace

std::string_view lifecycle_action_name(LifecycleAction::Kind kind) {
  return kNames.at(static_cast<std::size_t>(kind));
}

Result<LifecyclePlan> plan_lifecycle(ObjectStore& objects, const std::vector<LifecyclePolicy>& policies,
                                     UtcTime now) {
  const SnapshotUsers users = TRY(SnapshotUsers::read(objects, SnapshotUsers::Images::kKept));
  TRY(check_clock(users.images(), now));
  Actions actions;
  for (const LifecyclePolicy& policy : policies) TRY(plan_images(policy, users.images(), now, actions));
  LifecyclePlan plan;
  for (const Kind kind : {Kind::kDeprecate, Kind::kDeregister}) {
    for (const auto& [id, action] : actions) {
      if (action.kind == kind) plan.actions.push_back(action);
    }
  }
  TRY(plan_snapshots(objects, policies, users, actions, plan));
  for (const SnapshotUsers::DamagedRecord& record : users.damaged()) plan.damaged.push_back(record.what);
  return plan;
}

Status execute_lifecycle(ObjectStore& objects, const LifecyclePlan& plan, UtcTime now,
                         const std::function<void(const LifecycleAction&, const Status&)>& report) {
  Finisher finisher(objects, plan);
  const auto ended = [&](std::size_t i, const Status& done) {
    if (!done.ok() && done.error().code() != ErrorCode::kBusy) finisher.failed(plan.actions[i]);
    finisher.after(i + 1);
  };
  finisher.after(0);
  const auto deletions = std::ranges::find(plan.actions, Kind::kDeleteSnapshot, &LifecycleAction::kind);
  const auto changes = static_cast<std::size_t>(deletions - plan.actions.begin());
  for (std::size_t i = 0; i < changes; ++i) {
    const Status done = change_as_planned(objects, plan.actions[i], now);
    ended(i, done);
    report(plan.actions[i], done);
  }
  const std::vector<Status> deleted = delete_as_planned(objects, {deletions, plan.actions.end()});
  for (std::size_t i = 0; i < deleted.size(); ++i) ended(changes + i, deleted[i]);
  for (std::size_t i = 0; i < deleted.size(); ++i) report(plan.actions[changes + i], deleted[i]);
  return finisher.first_failure();
}

}  // namespace ashlar
