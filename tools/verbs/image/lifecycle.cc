// ashlar lifecycle …: policies that deprecate and deregister images, and running them.
#include <fmt/format.h>

#include "action/policies.h"
#include "program/cli.h"
#include "program/input_file.h"
#include "program/output.h"
#include "program/store_option.h"
#include "shapes/policy_output.h"
#include "shapes/unread.h"

namespace ashlar {
namespace {

struct Options {
  std::string file;
  std::string name;
  std::vector<std::string> names;
  bool all_accounts = false;
  bool dry_run = false;
};

Result<ExitCode> put(const Globals& globals, const Options& options) {
  const OpenStore store = TRY(open_for_actions(globals));
  const std::string text = TRY(read_input(options.file, kMaxLifecyclePolicyBytes));
  LifecyclePolicy wanted = TRY(parse_lifecycle_policy(text).with_context(options.file));
  const LifecyclePolicy made =
      TRY(put_lifecycle_policy(*store.repo, store.caller, std::move(wanted)).with_context(options.file));
  globals.json ? print_json({{"PolicyId", made.id.text()}}) : print(made.id.text() + "\n");
  return ExitCode::kDone;
}

Result<ExitCode> list(const Globals& globals) {
  const OpenStore store = TRY(open_for_actions(globals));
  const auto policies = TRY(describe_lifecycle_policies(*store.repo, store.caller));
  globals.json ? print_json(policies_json(policies.found)) : print(policies_text(policies.found));
  return name_unread(policies.unread);
}

Result<ExitCode> describe(const Globals& globals, const Options& options) {
  const OpenStore store = TRY(open_for_actions(globals));
  const LifecyclePolicy policy = TRY(find_lifecycle_policy(*store.repo, store.caller, options.name));
  globals.json ? print_json(policies_json({policy})) : print(lifecycle_policy_text(policy));
  return ExitCode::kDone;
}

Result<ExitCode> remove(const Globals& globals, const Options& options) {
  const OpenStore store = TRY(open_for_actions(globals));
  const LifecyclePolicyId id = TRY(delete_lifecycle_policy(*store.repo, store.caller, options.name));
  if (globals.json) print_json({{"PolicyId", id.text()}});
  return ExitCode::kDone;
}

// Prints the plan before anything of it is done.
Result<ExitCode> run(const Globals& globals, const Options& options) {
  const OpenStore store = TRY(open_for_actions(globals));
  const LifecycleRun planned =
      TRY(plan_lifecycle_run(*store.repo, store.caller, {options.names, options.all_accounts}));
  if (!globals.json) print(plan_text(planned.plan.actions));
  if (!globals.json && planned.plan.actions.empty()) print_note("there is nothing to do");
  if (!globals.json && !finish_output()) return ExitCode::kFailed;
  Json actions = Json::array();
  bool all_done = true;
  const auto report = [&](const LifecycleAction& action, const Status& done) {
    actions.push_back(action_json(action, done));
    if (!done.ok()) print_warning(done.error().text());
    all_done = all_done && done.ok();
  };
  Status finished;
  if (options.dry_run) {
    for (const LifecycleAction& action : planned.plan.actions) report(action, Status());
  } else {
    finished = execute_lifecycle_run(*store.repo, store.caller, planned, report);
  }
  if (globals.json) print_json({{"DryRun", options.dry_run}, {"Actions", actions}});
  if (!finished.ok()) print_warning(finished.error().text());
  const ExitCode code = name_unread(planned.unread);
  return all_done && finished.ok() ? code : ExitCode::kFailed;
}

}  // namespace

void add_lifecycle(Cli& cli) {
  cli.add_group("lifecycle", "Store and run policies that deprecate and deregister images");
  const auto options = std::make_shared<Options>();
  Verb putting = cli.add_verb("lifecycle put", "Create a policy, or replace the policy of its name",
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
  Verb running = cli.add_verb("lifecycle run", "Print what the policies ask for, and do exactly that",
                              "  ashlar lifecycle run --dry-run");
  running.texts("--policy", "NAME", options->names,
                "Run only this policy; may be given more than once [all]");
  running.flag("--all-accounts", options->all_accounts, "Run the policies of all accounts of the store");
  running.flag("--dry-run", options->dry_run, "Print the plan and change nothing");
  running.check([options]() -> Status {
    if (options->all_accounts && !options->names.empty())
      return invalid("--policy and --all-accounts exclude each other");
    return {};
  });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
