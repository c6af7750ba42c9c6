// ashlar lifecycle …: policies that deprecate and deregister images, and running them.
#include <fmt/format.h>

#include <algorithm>

#include "catalog/lifecycle_policies.h"
#include "cli.h"
#include "image/filter.h"
#include "image/lifecycle.h"
#include "image_store.h"
#include "input_file.h"
#include "output.h"

namespace ashlar {
namespace {

struct Options {
  std::string file;
  std::string name;
  std::vector<std::string> names;
  bool dry_run = false;
};

Result<LifecyclePolicy> find_policy(ImageStore& store, const std::string& name) {
  const LifecyclePolicyCatalog catalog(store.repo().objects());
  auto policy = catalog.get(lifecycle_policy_id(store.account(), name));
  if (policy.ok() || policy.error().code() != ErrorCode::kNotFound) return policy;
  return not_found(fmt::format("no lifecycle policy '{}': 'ashlar lifecycle list' lists them", name));
}

// A new one, or in place of the one of its name.
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
  if (!made.ok() && made.error().code() == ErrorCode::kBusy) {
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

Result<std::vector<LifecyclePolicy>> policies_of(ImageStore& store, const std::vector<std::string>& names) {
  std::vector<LifecyclePolicy> policies;
  policies.reserve(names.size());
  for (const std::string& name : names) policies.push_back(TRY(find_policy(store, name)));
  if (!names.empty()) return policies;
  for (LifecyclePolicy& policy : TRY(LifecyclePolicyCatalog(store.repo().objects()).list())) {
    if (policy.owner == store.account()) policies.push_back(std::move(policy));
  }
  std::ranges::sort(policies, {}, &LifecyclePolicy::name);
  return policies;
}

Result<ExitCode> list(const Globals& globals) {
  ImageStore store = TRY(ImageStore::open(globals));
  Json all = Json::array();
  Table table({"NAME", "ID", "CREATED", "FILTERS"});
  for (const LifecyclePolicy& policy : TRY(policies_of(store, {}))) {
    all.push_back(policy_json(policy));
    table.add({policy.name, policy.id.text(), policy.created.iso8601(),
               fmt::format("{}", fmt::join(policy.filters, " "))});
  }
  globals.json ? print_json({{"Policies", all}}) : print(table.text());
  return ExitCode::kDone;
}

Result<ExitCode> describe(const Globals& globals, const Options& options) {
  ImageStore store = TRY(ImageStore::open(globals));
  const LifecyclePolicy policy = TRY(find_policy(store, options.name));
  globals.json ? print_json({{"Policies", Json::array({policy_json(policy)})}})
               : print(lifecycle_policy_text(policy));
  return ExitCode::kDone;
}

Result<ExitCode> remove(const Globals& globals, const Options& options) {
  ImageStore store = TRY(ImageStore::open(globals));
  const LifecyclePolicy policy = TRY(find_policy(store, options.name));
  TRY(LifecyclePolicyCatalog(store.repo().objects()).remove(policy.id));
  if (globals.json) print_json({{"PolicyId", policy.id.text()}});
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
  const auto plan = TRY(plan_lifecycle(objects, TRY(policies_of(store, options.names)), now));
  if (!globals.json) print(plan_text(plan));
  if (!globals.json && !finish_output()) return ExitCode::kFailed;
  Json actions = Json::array();
  bool all_done = true;
  const auto report = [&](const LifecycleAction& action, const Status& done) {
    actions.push_back(action_json(action));
    actions.back()["Error"] = done.ok() ? Json(nullptr) : Json(done.error().text());
    if (!done.ok()) print_warning(done.error().text());
    all_done = all_done && done.ok();
  };
  if (options.dry_run) {
    for (const LifecycleAction& action : plan) report(action, Status());
  } else {
    TRY(execute_lifecycle(objects, plan, now, report));
  }
  if (globals.json) print_json({{"DryRun", options.dry_run}, {"Actions", actions}});
  return all_done ? ExitCode::kDone : ExitCode::kFailed;
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
  running.flag("--dry-run", options->dry_run, "Print it only");
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
