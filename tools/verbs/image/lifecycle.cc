// ashlar lifecycle …: policies that deprecate and deregister images, and running them.
#include "image/lifecycle.h"

#include <fmt/format.h>

#include <algorithm>

#include "catalog/lifecycle_policies.h"
#include "image/filter.h"
#include "input_file.h"
#include "program/cli.h"
#include "program/image_store.h"
#include "program/output.h"

namespace ashlar {
namespace {

struct Options {
  std::string file;
  std::string name;
  std::vector<std::string> names;
  bool all_accounts = false;
  bool dry_run = false;
};

// Policies, and what keeps others from being read.
struct Policies {
  std::vector<LifecyclePolicy> found;
  std::vector<std::string> damaged;
};

Result<LifecyclePolicy> find_policy(ImageStore& store, const std::string& name) {
  const LifecyclePolicyCatalog catalog(store.repo().objects());
  auto policy = catalog.get(lifecycle_policy_id(store.account(), name));
  const bool is_it = policy.ok() && policy.value().name == name && policy.value().owner == store.account();
  if (is_it || (!policy.ok() && policy.error().code() != ErrorCode::kNotFound)) return policy;
  return not_found(fmt::format("no lifecycle policy '{}': 'ashlar lifecycle list' lists them", name));
}

// A new one, or in place of the one of its name; one that can't be read is for 'lifecycle delete'.
Result<ExitCode> put(const Globals& globals, const Options& options) {
  ImageStore store = TRY(ImageStore::open(globals));
  const std::string text = TRY(read_input(options.file, kMaxLifecyclePolicyBytes));
  LifecyclePolicy wanted = TRY(parse_lifecycle_policy(text).with_context(options.file));
  for (const std::string& filter : wanted.filters) TRY(parse_image_filter(filter).with_context(options.file));
  wanted.owner = store.account();
  wanted.id = lifecycle_policy_id(wanted.owner, wanted.name);
  wanted.created = UtcTime::now();
  LifecyclePolicyCatalog catalog(store.repo().objects());
  Status made = catalog.publish(wanted);
  if (is(made, ErrorCode::kBusy)) {
    TRY(catalog.update(wanted.id, [&](LifecyclePolicy& policy) -> Status {
      wanted.created = policy.created;
      wanted.revision = policy.revision;
      policy = wanted;
      return {};
    }));
  } else {
    TRY(std::move(made));
  }
  globals.json ? print_json({{"PolicyId", wanted.id.text()}}) : print(wanted.id.text() + "\n");
  return ExitCode::kDone;
}

Json policy_json(const LifecyclePolicy& policy) {
  return {{"PolicyId", policy.id.text()},
          {"CreateTime", policy.created.iso8601()},
          {"OwnerId", policy.owner.text()},
          {"Policy", Json::parse(lifecycle_policy_text(policy))}};
}

// Returns the policies of the account, or of all accounts. A damaged policy hides no other.
Result<Policies> policies_of(ImageStore& store, bool all_accounts) {
  Policies policies;
  const LifecyclePolicyCatalog catalog(store.repo().objects());
  for (const LifecyclePolicyId id : TRY(catalog.list_ids())) {
    auto policy = catalog.get(id);
    if (!policy.ok() && policy.error().code() != ErrorCode::kNotFound)
      policies.damaged.push_back(policy.error().text());
    if (policy.ok() && (all_accounts || policy.value().owner == store.account()))
      policies.found.push_back(policy.take());
  }
  std::ranges::sort(policies.found, {}, [](const LifecyclePolicy& p) { return std::pair(p.name, p.id); });
  return policies;
}

Result<Policies> policies_of(ImageStore& store, const Options& options) {
  if (options.names.empty()) return policies_of(store, options.all_accounts);
  Policies policies;
  for (const std::string& name : options.names) policies.found.push_back(TRY(find_policy(store, name)));
  return policies;
}

ExitCode finish(const Policies& policies) {
  for (const std::string& what : policies.damaged) print_warning(what);
  return policies.damaged.empty() ? ExitCode::kDone : ExitCode::kDamaged;
}

Result<ExitCode> list(const Globals& globals) {
  ImageStore store = TRY(ImageStore::open(globals));
  const Policies policies = TRY(policies_of(store, false));
  Json all = Json::array();
  Table table({"NAME", "ID", "CREATED", "FILTERS"});
  for (const LifecyclePolicy& policy : policies.found) {
    all.push_back(policy_json(policy));
    table.add({policy.name, policy.id.text(), policy.created.iso8601(),
               fmt::format("{}", fmt::join(policy.filters, " "))});
  }
  globals.json ? print_json({{"Policies", all}}) : print(table.text());
  return finish(policies);
}

Result<ExitCode> describe(const Globals& globals, const Options& options) {
  ImageStore store = TRY(ImageStore::open(globals));
  const LifecyclePolicy policy = TRY(find_policy(store, options.name));
  globals.json ? print_json({{"Policies", Json::array({policy_json(policy)})}})
               : print(lifecycle_policy_text(policy));
  return ExitCode::kDone;
}

// Without reading it: a damaged one must go too.
Result<ExitCode> remove(const Globals& globals, const Options& options) {
  ImageStore store = TRY(ImageStore::open(globals));
  const LifecyclePolicyId id = lifecycle_policy_id(store.account(), options.name);
  const Status gone = LifecyclePolicyCatalog(store.repo().objects()).remove(id);
  if (is(gone, ErrorCode::kNotFound)) TRY(find_policy(store, options.name));
  if (!gone.ok()) return gone.error();
  if (globals.json) print_json({{"PolicyId", id.text()}});
  return ExitCode::kDone;
}

Json action_json(const LifecycleAction& action) {
  const bool deletes = action.kind == LifecycleAction::Kind::kDeleteSnapshot;
  return {{"Action", lifecycle_action_name(action.kind)},
          {"Policy", action.policy},
          {"ImageId", action.image.text()},
          {"Name", action.image_name},
          {"SnapshotId", deletes ? Json(action.snapshot.text()) : Json(nullptr)}};
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

// The plan stands on standard output before anything of it is done.
Result<ExitCode> run(const Globals& globals, const Options& options) {
  ImageStore store = TRY(ImageStore::open(globals));
  ObjectStore& objects = store.repo().objects();
  const UtcTime now = UtcTime::now();
  const Policies policies = TRY(policies_of(store, options));
  const LifecyclePlan plan = TRY(plan_lifecycle(objects, policies.found, now));
  if (!globals.json) print(plan_text(plan.actions));
  if (!globals.json && !finish_output()) return ExitCode::kFailed;
  Json actions = Json::array();
  bool all_done = true;
  const auto report = [&](const LifecycleAction& action, const Status& done) {
    actions.push_back(action_json(action));
    actions.back()["Error"] = done.ok() ? Json(nullptr) : Json(done.error().text());
    if (!done.ok()) print_warning(done.error().text());
    all_done = all_done && done.ok();
  };
  Status finished;
  if (options.dry_run) {
    for (const LifecycleAction& action : plan.actions) report(action, Status());
  } else {
    finished = execute_lifecycle(objects, plan, now, report);
  }
  if (globals.json) print_json({{"DryRun", options.dry_run}, {"Actions", actions}});
  if (!finished.ok()) print_warning(finished.error().text());
  const ExitCode code = finish(policies);
  return all_done && finished.ok() ? code : ExitCode::kFailed;
}

}  // namespace

void add_lifecycle(Cli& cli) {
  cli.add_group("lifecycle", "Keep policies that deprecate and deregister images, and run them");
  const auto options = std::make_shared<Options>();
  Verb putting = cli.add_verb("lifecycle put", "Keep a policy, in place of an earlier one of its name",
                              "  echo '{\"name\": \"web\", \"filters\": [\"name=tag:group,values=web\"], "
                              "\"deregister\": {\"keep_last\": 5}}' | ashlar lifecycle put -");
  putting.positional("FILE", "FILE|-", options->file, "The policy as JSON, or - for standard input");
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return put(globals, *options); });
  cli.add_verb("lifecycle list", "List the policies of the account", "  ashlar lifecycle list");
  cli.on_run(Needs::kStore, list);
  Verb describing = cli.add_verb("lifecycle describe", "Print a policy, to be changed and put again",
                                 "  ashlar lifecycle describe web >web.json");
  describing.positional("NAME", "NAME", options->name, "The policy");
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return describe(globals, *options); });
  Verb removing = cli.add_verb("lifecycle delete", "Delete a policy; images stay as they are",
                               "  ashlar lifecycle delete web");
  removing.positional("NAME", "NAME", options->name, "The policy");
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return remove(globals, *options); });
  Verb running = cli.add_verb("lifecycle run", "Print what the policies ask for now, and do just that",
                              "  ashlar lifecycle run --dry-run");
  running.texts("--policy", "NAME", options->names, "This policy alone; may be given more than once [all]");
  running.flag("--all-accounts", options->all_accounts, "Those of every account of the store");
  running.flag("--dry-run", options->dry_run, "Print it only");
  running.check([options]() -> Status {
    if (options->all_accounts && !options->names.empty())
      return invalid("--policy and --all-accounts exclude each other");
    return {};
  });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
