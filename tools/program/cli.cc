#include "program/cli.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "base/id.h"
#include "base/units.h"
#include "program/hints.h"
#include "program/output.h"

namespace ashlar {
namespace {

constexpr const char* kAbout =
    "Ashlar captures disks into deduplicated, compressed snapshots, keeps increments, and restores and "
    "verifies them.";

bool asked_for_json(int argc, char** argv) {
  return std::any_of(argv, argv + argc, [](const char* word) { return std::strcmp(word, "--json") == 0; });
}

CLI::Option* required_if(CLI::Option* option, Presence presence) {
  return option->required(presence == Presence::kRequired);
}

// Returns what is wrong with a word; empty when it is right.
std::string is_empty(const std::string& text) { return text.empty() ? "must not be empty" : std::string(); }

// A kind of thing that has ids, and the verbs for it.
struct IdKind {
  bool (*has)(const std::string& text);
  std::string_view name;
  std::string_view verbs;
};

template <class Id>
bool is_id(const std::string& text) {
  return Id::parse(text).ok();
}

constexpr std::array kIdKinds = {IdKind{is_id<SnapshotId>, "a snapshot", "snapshots"},
                                 IdKind{is_id<VolumeId>, "a volume", "volume"},
                                 IdKind{is_id<ImageId>, "an image", "image"},
                                 IdKind{is_id<InstanceId>, "an instance", "instances"},
                                 IdKind{is_id<LaunchTemplateId>, "a launch template", "template"},
                                 IdKind{is_id<LifecyclePolicyId>, "a lifecycle policy", "lifecycle"}};

// Names the kind of an id that is of another kind than asked for.
template <class Id>
std::string not_an_id(const std::string& text) {
  const auto parsed = Id::parse(text);
  if (parsed.ok()) return {};
  const auto* const other =
      std::ranges::find_if(kIdKinds, [&](const IdKind& kind) { return kind.has(text); });
  const auto* const wanted = std::ranges::find(kIdKinds, &is_id<Id>, &IdKind::has);
  if (other == kIdKinds.end() || wanted == kIdKinds.end()) return parsed.error().text();
  return fmt::format("'{}' is {} id, not {} id (see 'ashlar {}')", text, other->name, wanted->name,
                     other->verbs);
}

// Returns the option of the program that stands as "--store=", without a value; empty when there is none.
// CLI11 would take the next word, the verb, as its value.
std::string option_without_value(const CLI::App& app, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--") break;
    for (const CLI::Option* option : app.get_options()) {
      if (option->get_items_expected_max() == 0) continue;  // a flag
      for (const std::string& name : option->get_lnames())
        if (word == "--" + name + "=") return "--" + name;
    }
  }
  return {};
}

// Returns the group that the command line names without one of its verbs; null when there is none.
const CLI::App* group_without_verb(const CLI::App& app) {
  const auto given = app.get_subcommands();
  if (given.empty()) return nullptr;
  const CLI::App* named = given.front();
  const bool is_group = !named->get_subcommands([](const CLI::App*) { return true; }).empty();
  return is_group && named->get_subcommands().empty() ? named : nullptr;
}

// Returns the verbs of a group: "create, list, delete".
std::string verbs_of(const CLI::App& group) {
  std::string text;
  for (const CLI::App* verb : group.get_subcommands([](const CLI::App*) { return true; }))
    text += (text.empty() ? "" : ", ") + verb->get_name();
  return text;
}

void add_globals(CLI::App& app, Globals& globals) {
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.set_version_flag("--version", "ashlar " ASHLAR_VERSION, "Print the program's version and exit");
  app.add_option("--store", globals.store, "The directory of the store; without it, $ASHLAR_STORE")
      ->type_name("STORE")
      ->envname("ASHLAR_STORE");
  app.add_option("--as", globals.account,
                 "The account that images are made, seen and launched as: 12 digits; without it, "
                 "$ASHLAR_ACCOUNT, else the store's own")
      ->type_name("ACCOUNT")
      ->envname("ASHLAR_ACCOUNT")
      ->check(CLI::Validator(not_an_id<AccountId>, ""));
  app.add_flag("--json", globals.json, "Print one JSON document on standard output instead of text");
  app.add_option(
         "--progress", globals.progress,
         "On standard error: a line that is redrawn when that is a terminal (auto), a line of JSON each "
         "second (json), nothing (none)")
      ->check(CLI::IsMember({"auto", "json", "none"}));
  app.footer("Each verb has --help with an example. Exit status: 0 done, 1 failed, 2 usage, 3 data damaged.");
}

}  // namespace

void Verb::positional(const std::string& name, const std::string& value, std::string& out,
                      const std::string& about, Presence presence) {
  CLI::Option* option = app_.add_option(name, out, about)->type_name(value);
  required_if(option->check(CLI::Validator(is_empty, "")), presence);
}

void Verb::positionals(const std::string& name, const std::string& value, std::vector<std::string>& out,
                       const std::string& about) {
  app_.add_option(name, out, about)->type_name(value)->required()->check(CLI::Validator(is_empty, ""));
}

void Verb::positional_choice(const std::string& name, const std::vector<std::string>& choices,
                             std::string& out, const std::string& about) {
  app_.add_option(name, out, about)->check(CLI::IsMember(choices))->required();
}

void Verb::snapshot(const std::string& name, std::string& id, const std::string& about, Presence presence) {
  CLI::Option* option = app_.add_option(name, id, about)->type_name("SNAP");
  required_if(option->check(CLI::Validator(not_an_id<SnapshotId>, "")), presence);
}

void Verb::volume(const std::string& name, std::string& id, const std::string& about) {
  CLI::Option* option = app_.add_option(name, id, about)->type_name("VOL")->required();
  option->check(CLI::Validator(not_an_id<VolumeId>, ""));
}

void Verb::image(const std::string& name, std::string& id, const std::string& about) {
  CLI::Option* option = app_.add_option(name, id, about)->type_name("IMAGE")->required();
  option->check(CLI::Validator(not_an_id<ImageId>, ""));
}

void Verb::flag(const std::string& name, bool& out, const std::string& about) {
  app_.add_flag(name, out, about);
}

void Verb::text(const std::string& name, const std::string& value, std::string& out,
                const std::string& about) {
  app_.add_option(name, out, about)->type_name(value);
}

void Verb::texts(const std::string& name, const std::string& value, std::vector<std::string>& out,
                 const std::string& about) {
  app_.add_option(name, out, about)->type_name(value)->allow_extra_args(false);
}

void Verb::number(const std::string& name, unsigned low, unsigned high, unsigned& out,
                  const std::string& about) {
  app_.add_option(name, out, about)->type_name("N")->check(CLI::Range(low, high).description(""));
}

void Verb::size(const std::string& name, std::uint64_t& bytes, const std::string& about,
                std::uint64_t least) {
  const auto read = [&bytes, name, least](const CLI::results_t& words) {
    const auto parsed = parse_size(words.front());
    if (!parsed.ok()) throw CLI::ValidationError(name, parsed.error().text());
    if (parsed.value() < least)
      throw CLI::ValidationError(name, "must be at least " + count_text(least, "byte"));
    bytes = parsed.value();
    return true;
  };
  app_.add_option(name, read, about)->type_name("SIZE");
}

void Verb::check(std::function<Status()> check) {
  app_.callback([check = std::move(check)] {
    const Status status = check();
    if (status.ok()) return;
    const std::string hint = hint_of(status.error());
    throw CLI::ValidationError(status.error().text() + (hint.empty() ? "" : ": " + hint));
  });
}

struct Cli::State {
  struct Entry {
    CLI::App* app = nullptr;
    Needs needs = Needs::kNothing;
    RunVerb run;
  };
  CLI::App app{kAbout, "ashlar"};
  std::vector<Entry> verbs;
};

Cli::Cli() : state_(std::make_unique<State>()) {
  state_->app.require_subcommand(0, 1);
  add_globals(state_->app, globals_);
}

Cli::~Cli() = default;

void Cli::add_group(const std::string& name, const std::string& about) {
  CLI::App* group = state_->app.add_subcommand(name, about);
  group->fallthrough();
  group->require_subcommand(0, 1);
}

Verb Cli::add_verb(const std::string& name, const std::string& about, const std::string& example) {
  const std::size_t space = name.find(' ');
  CLI::App* parent =
      space == std::string::npos ? &state_->app : state_->app.get_subcommand(name.substr(0, space));
  CLI::App* app = parent->add_subcommand(space == std::string::npos ? name : name.substr(space + 1), about);
  app->fallthrough();
  app->footer("Example:\n" + example);
  state_->verbs.push_back({app, Needs::kNothing, {}});
  return Verb(*app);
}

void Cli::on_run(Needs needs, RunVerb run) {
  state_->verbs.back().needs = needs;
  state_->verbs.back().run = std::move(run);
}

ProgramWords Cli::words() const { return words_of(state_->app); }

Result<ExitCode> Cli::dispatch() {
  for (const State::Entry& verb : state_->verbs) {
    if (!verb.app->parsed()) continue;
    if (verb.needs == Needs::kStore && globals_.store.empty()) {
      return refuse("no store is named: use --store STORE or set ASHLAR_STORE", globals_.json);
    }
    return verb.run(globals_);
  }
  const CLI::App* group = group_without_verb(state_->app);
  if (!group) return refuse("a verb is missing", globals_.json);
  return refuse(fmt::format("'{}' needs a verb: {}", group->get_name(), verbs_of(*group)), globals_.json);
}

// Names what CLI11 could not place: a verb that does not exist, an option that the verb does not have, or a
// word too many.
std::string Cli::unexpected() const {
  std::vector<std::string> words = state_->app.remaining(true);
  const auto option =
      std::ranges::find_if(words, [](const std::string& word) { return word.starts_with("-"); });
  if (state_->app.get_subcommands().empty() && option != words.begin())
    return fmt::format("there is no verb '{}'", words.front());
  const CLI::App* group = group_without_verb(state_->app);
  if (group && option != words.begin())
    return fmt::format("there is no verb '{} {}': the verbs are {}", group->get_name(), words.front(),
                       verbs_of(*group));
  if (option != words.end()) return fmt::format("there is no option '{}'", *option);
  return fmt::format("unexpected argument '{}'", words.front());
}

// CLI11 has an exit status for each kind of error; this program has one for all of them, and one line.
ExitCode Cli::refuse(const std::string& message, bool json) const {
  std::string verb;
  const CLI::App* app = &state_->app;
  for (auto given = app->get_subcommands(); !given.empty(); given = app->get_subcommands()) {
    app = given.front();
    verb += app->get_name() + " ";
  }
  print_usage_error(message, fmt::format("see 'ashlar {}--help'", verb), json);
  return ExitCode::kUsage;
}

int Cli::run(int argc, char** argv) {
  ExitCode code = ExitCode::kDone;
  bool json = asked_for_json(argc, argv);
  try {
    const std::string lacking = option_without_value(state_->app, argc, argv);
    if (!lacking.empty()) throw CLI::ArgumentMismatch(lacking + " needs a value");
    state_->app.parse(argc, argv);
    json = globals_.json;
    Result<ExitCode> result = dispatch();
    if (!result.ok()) print_error(result.error(), json);
    code = result.ok() ? result.value() : exit_code_of(result.error());
  } catch (const CLI::Success& asked_for_help) {
    state_->app.exit(asked_for_help);
  } catch (const CLI::ExtrasError&) {
    code = refuse(unexpected(), json);
  } catch (const CLI::ParseError& error) {
    code = refuse(error.what(), json);
  } catch (const std::exception& error) {
    // Only libraries throw; what gets here is mostly memory that could not be had.
    print_error(Error(ErrorCode::kExhausted, error.what()), json);
    code = ExitCode::kFailed;
  }
  if (!finish_output() && code == ExitCode::kDone) {
    std::fputs("ashlar: standard output can't be written: the output is incomplete\n", stderr);
    code = ExitCode::kFailed;
  }
  return static_cast<int>(code);
}

}  // namespace ashlar
