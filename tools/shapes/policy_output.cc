#include "shapes/policy_output.h"

#include <fmt/format.h>

namespace ashlar {
namespace {

Json policy_json(const LifecyclePolicy& policy) {
  return {{"PolicyId", policy.id.text()},
          {"CreateTime", policy.created.iso8601()},
          {"OwnerId", policy.owner.text()},
          {"Policy", Json::parse(lifecycle_policy_text(policy))}};
}

}  // namespace

Json policies_json(const std::vector<LifecyclePolicy>& policies) {
  Json all = Json::array();
  for (const LifecyclePolicy& policy : policies) all.push_back(policy_json(policy));
  return {{"Policies", all}};
}

std::string policies_text(const std::vector<LifecyclePolicy>& policies) {
  Table table({"NAME", "ID", "CREATED", "FILTERS"});
  for (const LifecyclePolicy& policy : policies) {
    table.add({policy.name, policy.id.text(), policy.created.iso8601(),
               fmt::format("{}", fmt::join(policy.filters, " "))});
  }
  return table.text();
}

Json action_json(const LifecycleAction& action, const Status& done) {
  const bool deletes = action.kind == LifecycleAction::Kind::kDeleteSnapshot;
  return {{"Action", lifecycle_action_name(action.kind)},
          {"Policy", action.policy},
          {"ImageId", action.image.text()},
          {"Name", action.image_name},
          {"SnapshotId", deletes ? Json(action.snapshot.text()) : Json(nullptr)},
          {"Error", done.ok() ? Json(nullptr) : Json(done.error().text())}};
}

std::string plan_text(const std::vector<LifecycleAction>& plan) {
  Table table({"ACTION", "WHAT", "IMAGE", "POLICY"});
  for (const LifecycleAction& action : plan) {
    const bool deletes = action.kind == LifecycleAction::Kind::kDeleteSnapshot;
    table.add({std::string(lifecycle_action_name(action.kind)),
               deletes ? action.snapshot.text() : action.image.text(), action.image_name, action.policy});
  }
  return plan.empty() ? std::string() : table.text();
}

}  // namespace ashlar
