// Lifecycle policies, and the actions that they demand, as JSON and as text.
#pragma once

#include <string>
#include <vector>

#include "document/lifecycle_policy.h"
#include "image/lifecycle.h"
#include "program/output.h"

namespace ashlar {

Json policies_json(const std::vector<LifecyclePolicy>& policies);
std::string policies_text(const std::vector<LifecyclePolicy>& policies);
Json action_json(const LifecycleAction& action, const Status& done);
// Returns a table of the actions; empty without an action.
std::string plan_text(const std::vector<LifecycleAction>& plan);

}  // namespace ashlar
