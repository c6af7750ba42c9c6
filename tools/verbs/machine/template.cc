// ashlar template …: what machines are launched with, under a name, in numbered versions.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "program/cli.h"
#include "program/output.h"
#include "shapes/launch_options.h"
#include "template_store.h"

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

Json choices_json(const LaunchChoices& choices) {
  Json json = Json::object();
  const auto text = [&json](const char* key, const std::string& value) {
    if (!value.empty()) json[key] = value;
  };
  const auto number = [&json](const char* key, std::uint64_t value) {
    if (value != 0) json[key] = value;
  };
  text(ImageId::parse(choices.source).ok() ? "ImageId" : "SnapshotId", choices.source);
  if (!choices.mappings.empty()) json["Mappings"] = choices.mappings;
  text("Name", choices.name);
  number("MemoryBytes", choices.memory.value);
  number("Cpus", choices.cpus);
  number("SizeBytes", choices.size.value);
  text("Kernel", choices.kernel);
  text("Initrd", choices.initrd);
  text("Append", choices.append);
  text("Accelerator", choices.accelerator);
  text("Network", choices.network);
  if (choices.keep_volumes) json["KeepVolumes"] = true;
  return json;
}

Json template_json(const LaunchTemplate& record) {
  return {{"LaunchTemplateId", record.id.text()},
          {"LaunchTemplateName", record.name},
          {"CreateTime", record.created.iso8601()},
          {"OwnerId", record.owner.text()},
          {"DefaultVersionNumber", record.default_version},
          {"LatestVersionNumber", record.versions.back().number}};
}

Json version_json(const LaunchTemplate& record, const TemplateVersion& version) {
  return {{"LaunchTemplateId", record.id.text()},
          {"LaunchTemplateName", record.name},
          {"VersionNumber", version.number},
          {"VersionDescription", version.description},
          {"CreateTime", version.created.iso8601()},
          {"DefaultVersion", version.number == record.default_version},
          {"LaunchTemplateData", choices_json(version.choices)}};
}

Result<ExitCode> create(const Globals& globals, const Options& options) {
  ImageStore store = TRY(ImageStore::open(globals));
  LaunchTemplate record;
  record.name = options.name;
  record.owner = store.account();
  record.id = launch_template_id(record.owner, record.name);
  record.created = UtcTime::now();
  record.versions = {{1, record.created, options.description, options.choices}};
  Status made = LaunchTemplateCatalog(store.repo().objects()).publish(record);
  if (is(made, ErrorCode::kBusy))
    return busy(fmt::format("launch template '{}' exists already: 'ashlar template version' adds to it",
                            options.name));
  TRY(std::move(made));
  globals.json ? print_json({{"LaunchTemplate", template_json(record)}}) : print(record.id.text() + "\n");
  return ExitCode::kDone;
}

Result<LaunchTemplate> change(ImageStore& store, const Options& options,
                              const std::function<Status(LaunchTemplate&)>& change) {
  const LaunchTemplate record = TRY(find_template(store, options.name));
  return LaunchTemplateCatalog(store.repo().objects()).update(record.id, change);
}

Result<ExitCode> add_version(const Globals& globals, const Options& options) {
  ImageStore store = TRY(ImageStore::open(globals));
  const LaunchTemplate now = TRY(change(store, options, [&](LaunchTemplate& record) -> Status {
    LaunchChoices choices = options.choices;
    if (!options.base.empty()) choices = merged(TRY(version_of(record, options.base)).choices, choices);
    record.versions.push_back({++record.numbers_given, UtcTime::now(), options.description, choices});
    return {};
  }));
  const TemplateVersion& made = now.versions.back();
  globals.json ? print_json({{"LaunchTemplateVersion", version_json(now, made)}})
               : print(fmt::format("{}\n", made.number));
  return ExitCode::kDone;
}

struct Listing {
  std::vector<LaunchTemplate> templates;
  std::vector<std::string> damaged;
};

Result<Listing> find_all(ImageStore& store) {
  Listing listing;
  const LaunchTemplateCatalog catalog(store.repo().objects());
  for (const LaunchTemplateId id : TRY(catalog.list_ids())) {
    auto record = catalog.get(id);
    if (!record.ok() && record.error().code() != ErrorCode::kNotFound)
      listing.damaged.push_back(record.error().text());
    if (record.ok() && record.value().owner == store.account()) listing.templates.push_back(record.take());
  }
  std::ranges::sort(listing.templates, {}, &LaunchTemplate::name);
  return listing;
}

Result<ExitCode> list(const Globals& globals) {
  ImageStore store = TRY(ImageStore::open(globals));
  const Listing listing = TRY(find_all(store));
  Json all = Json::array();
  Table table({"NAME", "ID", ">DEFAULT", ">LATEST", "CREATED"});
  for (const LaunchTemplate& record : listing.templates) {
    all.push_back(template_json(record));
    table.add({record.name, record.id.text(), std::to_string(record.default_version),
               std::to_string(record.versions.back().number), record.created.iso8601()});
  }
  globals.json ? print_json({{"LaunchTemplates", all}}) : print(table.text());
  for (const std::string& what : listing.damaged) print_warning(what);
  return listing.damaged.empty() ? ExitCode::kDone : ExitCode::kDamaged;
}

std::string version_text(const LaunchTemplate& record, const TemplateVersion& version) {
  std::vector<std::pair<std::string, std::string>> lines = {
      {"version",
       fmt::format("{}{}", version.number, version.number == record.default_version ? " (the default)" : "")},
      {"created", version.created.iso8601()}};
  if (!version.description.empty()) lines.emplace_back("description", version.description);
  const Json choices = choices_json(version.choices);
  for (const auto& [key, value] : choices.items())
    lines.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
  return aligned(lines);
}

Result<ExitCode> describe(const Globals& globals, const Options& options) {
  ImageStore store = TRY(ImageStore::open(globals));
  const LaunchTemplate record = TRY(find_template(store, options.name));
  std::vector<TemplateVersion> versions = record.versions;
  if (!options.version.empty()) versions = {TRY(version_of(record, options.version))};
  Json all = Json::array();
  std::string text;
  for (const TemplateVersion& version : versions) {
    all.push_back(version_json(record, version));
    text += (text.empty() ? "" : "\n") + version_text(record, version);
  }
  globals.json ? print_json({{"LaunchTemplateVersions", all}}) : print(text);
  return ExitCode::kDone;
}

Result<ExitCode> set_default(const Globals& globals, const Options& options) {
  ImageStore store = TRY(ImageStore::open(globals));
  const LaunchTemplate now = TRY(change(store, options, [&](LaunchTemplate& record) -> Status {
    record.default_version = TRY(version_of(record, options.version)).number;
    return {};
  }));
  if (globals.json) print_json({{"LaunchTemplate", template_json(now)}});
  return ExitCode::kDone;
}

// Words are numbers from here on: $Latest names another version once one is added.
Result<std::set<std::uint64_t>> numbers_of(const LaunchTemplate& record,
                                           const std::vector<std::string>& words) {
  std::set<std::uint64_t> numbers;
  for (const std::string& word : words) numbers.insert(TRY(version_of(record, word)).number);
  return numbers;
}

Status delete_versions(LaunchTemplate& record, const std::set<std::uint64_t>& numbers) {
  if (numbers.contains(record.default_version))
    return invalid(
        fmt::format("version {} is the default: set another default first", record.default_version));
  std::erase_if(record.versions,
                [&](const TemplateVersion& version) { return numbers.contains(version.number); });
  return {};
}

// All of it goes without being read: a damaged one must go too.
Result<ExitCode> remove(const Globals& globals, const Options& options) {
  ImageStore store = TRY(ImageStore::open(globals));
  LaunchTemplateCatalog catalog(store.repo().objects());
  const LaunchTemplateId id = launch_template_id(store.account(), options.name);
  if (options.versions.empty()) {
    const Status gone = catalog.remove(id);
    if (is(gone, ErrorCode::kNotFound)) TRY(find_template(store, options.name));
    if (!gone.ok()) return gone.error();
  } else {
    const auto numbers = TRY(numbers_of(TRY(find_template(store, options.name)), options.versions));
    TRY(catalog.update(id, [&](LaunchTemplate& record) { return delete_versions(record, numbers); }));
  }
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
  verb.positional("IMAGE|SNAP", "IMAGE|SNAP", options->choices.source, "What the machines' disks start as",
                  Presence::kOptional);
  verb.text("--description", "TEXT", options->description, "What is new in this version");
  add_launch_options(verb, options->choices);
  verb.check([options]() -> Status {
    TRY(check_template_name(options->name));
    if (!options->base.empty()) TRY(check_version_word(options->base));
    return check_launch_options(options->choices);
  });
}

}  // namespace

void add_template(Cli& cli) {
  cli.add_group("template", "Keep what machines are launched with under a name, in numbered versions");
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
                  "This one alone: a number, $Latest or $Default [all]");
  Verb setting = add(cli, options, "set-default", "Say which version is launched when none is named",
                     "  ashlar template set-default web 3", set_default);
  setting.positional("VERSION", "VERSION", options->version, "A number, or $Latest");
  Verb removing = add(cli, options, "delete", "Delete a launch template, or some of its versions",
                      "  ashlar template delete web --version 1", remove);
  removing.texts("--version", "VERSION", options->versions,
                 "This version alone, which is not the default; may be given more than once [all of it]");
}

}  // namespace ashlar
