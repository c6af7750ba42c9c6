// ashlar template …: the choices that machines are launched with, under a name, in numbered versions.
#include <fmt/format.h>

#include "action/templates.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/store_option.h"
#include "shapes/launch_options.h"
#include "shapes/template_output.h"
#include "shapes/unread.h"

namespace ashlar {
namespace {

struct Options {
  std::string name;
  std::string description;
  std::string base;
  std::string version;
  std::vector<std::string> versions;
  LaunchChoices choices;
};
using Shared = std::shared_ptr<Options>;

Result<ExitCode> create(const Globals& globals, const Options& options) {
  const OpenStore store = TRY(open_for_actions(globals));
  const LaunchTemplate made = TRY(create_launch_template(
      *store.repo, store.caller, {options.name, options.description, options.choices}));
  globals.json ? print_json({{"LaunchTemplate", template_json(made)}}) : print(made.id.text() + "\n");
  return ExitCode::kDone;
}

Result<ExitCode> add_version(const Globals& globals, const Options& options) {
  const OpenStore store = TRY(open_for_actions(globals));
  const LaunchTemplate now = TRY(create_launch_template_version(
      *store.repo, store.caller, {options.name, options.base, options.description, options.choices}));
  const TemplateVersion& made = now.versions.back();
  globals.json ? print_json({{"LaunchTemplateVersion", version_json(now, made)}})
               : print(fmt::format("{}\n", made.number));
  return ExitCode::kDone;
}

Result<ExitCode> list(const Globals& globals) {
  const OpenStore store = TRY(open_for_actions(globals));
  const auto listing = TRY(describe_launch_templates(*store.repo, store.caller));
  Json all = Json::array();
  Table table({"NAME", "ID", ">DEFAULT", ">LATEST", "CREATED"});
  for (const LaunchTemplate& record : listing.found) {
    all.push_back(template_json(record));
    table.add({record.name, record.id.text(), std::to_string(record.default_version),
               std::to_string(record.versions.back().number), record.created.iso8601()});
  }
  globals.json ? print_json({{"LaunchTemplates", all}}) : print(table.text());
  return name_unread(listing.unread);
}

Result<ExitCode> describe(const Globals& globals, const Options& options) {
  const OpenStore store = TRY(open_for_actions(globals));
  const LaunchTemplate record = TRY(find_launch_template(*store.repo, store.caller, options.name));
  std::vector<TemplateVersion> versions = record.versions;
  if (!options.version.empty()) versions = {TRY(template_version(record, options.version))};
  Json all = Json::array();
  for (const TemplateVersion& version : versions) all.push_back(version_json(record, version));
  globals.json ? print_json({{"LaunchTemplateVersions", all}}) : print(versions_text(record, versions));
  return ExitCode::kDone;
}

Result<ExitCode> set_default(const Globals& globals, const Options& options) {
  const OpenStore store = TRY(open_for_actions(globals));
  const LaunchTemplate now =
      TRY(modify_launch_template(*store.repo, store.caller, options.name, options.version));
  if (globals.json) print_json({{"LaunchTemplate", template_json(now)}});
  return ExitCode::kDone;
}

Result<ExitCode> remove(const Globals& globals, const Options& options) {
  const OpenStore store = TRY(open_for_actions(globals));
  const LaunchTemplateId id =
      options.versions.empty()
          ? TRY(delete_launch_template(*store.repo, store.caller, options.name))
          : TRY(delete_launch_template_versions(*store.repo, store.caller, options.name, options.versions))
                .id;
  if (globals.json) print_json({{"LaunchTemplateId", id.text()}, {"LaunchTemplateName", options.name}});
  return ExitCode::kDone;
}

Verb add(Cli& cli, const Shared& options, const char* name, const char* about, const char* example,
         Result<ExitCode> (*run)(const Globals&, const Options&)) {
  Verb verb = cli.add_verb(std::string("template ") + name, about, example);
  verb.positional("NAME", "NAME", options->name, "The launch template");
  verb.check([options] { return check_template_name(options->name); });
  cli.on_run(Needs::kStore, [options, run](const Globals& globals) { return run(globals, *options); });
  return verb;
}

void add_choices(Verb& verb, const Shared& options) {
  verb.positional("IMAGE|SNAP", "IMAGE|SNAP", options->choices.source,
                  "The image or snapshot that the machines' disks start as", Presence::kOptional);
  verb.text("--description", "TEXT", options->description, "A description of this version");
  add_launch_options(verb, options->choices);
  verb.check([options]() -> Status {
    TRY(check_template_name(options->name));
    if (!options->base.empty()) TRY(check_template_version(options->base));
    return check_launch_options(options->choices);
  });
}

}  // namespace

void add_template(Cli& cli) {
  cli.add_group("template", "Store launch options under a name, in numbered versions");
  const auto made = std::make_shared<Options>();
  Verb creating = add(cli, made, "create", "Make a launch template, whose version 1 has these options",
                      "  ashlar template create web ami-01a2b3c4d5e6f7089 --memory 2G --cpus 2", create);
  add_choices(creating, made);
  const auto added = std::make_shared<Options>();
  Verb adding =
      add(cli, added, "version", "Add a version to a launch template, and print its number",
          "  ashlar template version web ami-09f8e7d6c5b4a3021 --source-version '$Latest'", add_version);
  add_choices(adding, added);
  adding.text("--source-version", "VERSION", added->base,
              "Take what is not given from this version: a number, $Latest or $Default [from none]");
  const auto options = std::make_shared<Options>();
  cli.add_verb("template list", "List the launch templates of the account", "  ashlar template list");
  cli.on_run(Needs::kStore, list);
  Verb describing = add(cli, options, "describe", "Show the versions of a launch template",
                        "  ashlar template describe web --version '$Default'", describe);
  describing.text("--version", "VERSION", options->version,
                  "Show only this version: a number, $Latest or $Default [all]");
  Verb setting = add(cli, options, "set-default", "Set the version that is launched when none is named",
                     "  ashlar template set-default web 3", set_default);
  setting.positional("VERSION", "VERSION", options->version, "A number, or $Latest");
  Verb removing = add(cli, options, "delete", "Delete a launch template, or some of its versions",
                      "  ashlar template delete web --version 1", remove);
  removing.texts("--version", "VERSION", options->versions,
                 "Delete only this version, not the default one; may be given more than once [all]");
}

}  // namespace ashlar
