// Lifecycle policies: which images of an account are deprecated and deregistered, and when. An account sees
// and changes its own policies; a run may do those of all accounts. A policy that the account does not have
// is kNotFound, kind kNoSuchPolicy.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "action/caller.h"
#include "action/named_records.h"
#include "catalog/lifecycle_policies.h"
#include "image/lifecycle.h"
#include "repo/repo.h"

namespace ashlar {

// Makes a policy of the account, or replaces its policy of the same name. Owner, id and time of `wanted` are
// filled in. Fails with kInvalid for a filter that makes no sense, with kCorrupt when the record to replace
// can't be read.
Result<LifecyclePolicy> put_lifecycle_policy(Repo& repo, const Caller& caller, LifecyclePolicy wanted);

// Lists the policies of the account by name.
Result<NamedRecords<LifecyclePolicy>> describe_lifecycle_policies(Repo& repo, const Caller& caller);
Result<LifecyclePolicy> find_lifecycle_policy(Repo& repo, const Caller& caller, std::string_view name);

// Deletes a policy, also when its record is damaged; images stay as they are. Returns its id.
Result<LifecyclePolicyId> delete_lifecycle_policy(Repo& repo, const Caller& caller, std::string_view name);

// Policies for one moment, and the actions that they demand.
struct LifecycleRun {
  LifecyclePlan plan;
  UtcTime now;
  std::vector<Error>
      unread;  // of policies that can't be read, and of damaged images and volumes: all left out
};
struct PlanLifecycle {
  std::vector<std::string> names;  // of the account's policies; empty: all of them
  bool all_accounts = false;       // the policies of every account of the store
};
Result<LifecycleRun> plan_lifecycle_run(Repo& repo, const Caller& caller, const PlanLifecycle& request);

// Does the actions of a plan one after the other and reports each. An action that fails does not stop the
// others. Returns the first failure to finish an image.
Status execute_lifecycle_run(Repo& repo, const Caller& caller, const LifecycleRun& run,
                             const std::function<void(const LifecycleAction&, const Status&)>& report);

}  // namespace ashlar
