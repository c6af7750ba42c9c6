#include "action/policies.h"

#include "action/account_images.h"
#include "image/filter.h"

namespace ashlar {
namespace {

Result<NamedRecords<LifecyclePolicy>> policies_of(Repo& repo, const Caller& caller,
                                                  const PlanLifecycle& request) {
  const LifecyclePolicyCatalog catalog(repo.objects());
  if (request.all_accounts) return list_named(catalog, std::nullopt);
  if (request.names.empty()) return list_named(catalog, caller.account);
  NamedRecords<LifecyclePolicy> policies;
  for (const std::string& name : request.names)
    policies.found.push_back(TRY(find_lifecycle_policy(repo, caller, name)));
  return policies;
}

}  // namespace

Result<LifecyclePolicy> put_lifecycle_policy(Repo& repo, const Caller& caller, LifecyclePolicy wanted) {
  for (const std::string& filter : wanted.filters) TRY(parse_image_filter(filter));
  wanted.owner = caller.account;
  wanted.id = lifecycle_policy_id(wanted.owner, wanted.name);
  wanted.created = UtcTime::now();
  LifecyclePolicyCatalog catalog(repo.objects());
  auto made = catalog.claim(wanted);
  if (!is(made, ErrorCode::kBusy)) return made;
  return catalog.update(wanted.id, [&](LifecyclePolicy& policy) -> Status {
    wanted.created = policy.created;
    wanted.revision = policy.revision;
    policy = wanted;
    return {};
  });
}

Result<NamedRecords<LifecyclePolicy>> describe_lifecycle_policies(Repo& repo, const Caller& caller) {
  return list_named(LifecyclePolicyCatalog(repo.objects()), caller.account);
}

Result<LifecyclePolicy> find_lifecycle_policy(Repo& repo, const Caller& caller, std::string_view name) {
  return find_named(LifecyclePolicyCatalog(repo.objects()), lifecycle_policy_id(caller.account, name),
                    caller.account, name);
}

Result<LifecyclePolicyId> delete_lifecycle_policy(Repo& repo, const Caller& caller, std::string_view name) {
  const LifecyclePolicyId id = lifecycle_policy_id(caller.account, name);
  LifecyclePolicyCatalog catalog(repo.objects());
  TRY(remove_named(catalog, id, name));
  return id;
}

Result<LifecycleRun> plan_lifecycle_run(Repo& repo, const Caller& caller, const PlanLifecycle& request) {
  if (request.all_accounts && !request.names.empty())
    return invalid("a run is either of named policies or of all accounts");
  AccountImages::open(repo, caller);  // fails abandoned images, so that no policy counts them
  LifecycleRun run;
  run.now = UtcTime::now();
  NamedRecords<LifecyclePolicy> policies = TRY(policies_of(repo, caller, request));
  run.unread = std::move(policies.unread);
  run.plan = TRY(plan_lifecycle(repo.objects(), policies.found, run.now));
  for (const std::string& damaged : run.plan.damaged) run.unread.push_back(corrupt(damaged));
  return run;
}

Status execute_lifecycle_run(Repo& repo, const Caller& /*caller*/, const LifecycleRun& run,
                             const std::function<void(const LifecycleAction&, const Status&)>& report) {
  return execute_lifecycle(repo.objects(), run.plan, run.now, report);
}

}  // namespace ashlar
