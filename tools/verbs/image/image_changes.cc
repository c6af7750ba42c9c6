// ashlar image …: what changes of an image after it was made.
#include "action/images.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/store_option.h"
#include "program/terminal_notices.h"
#include "shapes/image_output.h"
#include "shapes/image_words.h"
#include "shapes/tag_words.h"

namespace ashlar {
namespace {

struct Options {
  std::string image;
  std::vector<std::string> words;
  std::vector<std::string> added;
  std::vector<std::string> removed;
  std::string description;
  std::string at;
  bool cancel = false;
};
using Shared = std::shared_ptr<Options>;

// An action on one image, with what the options say.
using Change = Result<ImageRecord> (*)(Repo& repo, const Caller& caller, ImageId id, const Options& options);

Result<ExitCode> run(const Globals& globals, const Options& options, Change change) {
  const auto repo = TRY(open_store(globals));
  TerminalNotices notices(globals);
  const Caller caller = TRY(caller_of(globals, *repo, notices, {}));
  const ImageRecord now = TRY(change(*repo, caller, TRY(ImageId::parse(options.image)), options));
  if (globals.json) print_json(images_json({now}, caller.account));
  return ExitCode::kDone;
}

Result<ImageRecord> tag(Repo& repo, const Caller& caller, ImageId id, const Options& options) {
  return create_image_tags(repo, caller, id, TRY(parse_tags(options.words)));
}

Result<ImageRecord> untag(Repo& repo, const Caller& caller, ImageId id, const Options& options) {
  return delete_image_tags(repo, caller, id, options.words);
}

Result<ImageRecord> modify(Repo& repo, const Caller& caller, ImageId id, const Options& options) {
  return modify_image_description(repo, caller, id, options.description);
}

// An account is named by its number here.
Result<std::vector<Grantee>> parse_grantees(const std::vector<std::string>& words) {
  std::vector<Grantee> grantees;
  grantees.reserve(words.size());
  for (const std::string& word : words)
    grantees.push_back(word == "all" ? Grantee() : Grantee(TRY(AccountId::parse(word))));
  return grantees;
}

Result<LaunchPermissions> permissions_of(const Options& options) {
  return LaunchPermissions{TRY(parse_grantees(options.added)), TRY(parse_grantees(options.removed))};
}

Result<ImageRecord> share(Repo& repo, const Caller& caller, ImageId id, const Options& options) {
  return modify_launch_permissions(repo, caller, id, TRY(permissions_of(options)));
}

Status check_share(const Options& options) {
  if (options.added.empty() && options.removed.empty()) return invalid("give --add or --remove");
  TRY(permissions_of(options));
  return {};
}

Result<ImageRecord> deprecate(Repo& repo, const Caller& caller, ImageId id, const Options& options) {
  if (options.cancel) return disable_image_deprecation(repo, caller, id);
  return enable_image_deprecation(repo, caller, id, TRY(UtcTime::parse(options.at)));
}

Status check_deprecate(const Options& options) {
  if (options.cancel == !options.at.empty()) return invalid("give --at TIME or --cancel");
  if (!options.cancel) TRY(UtcTime::parse(options.at).with_context("--at"));
  return {};
}

Result<ImageRecord> disable(Repo& repo, const Caller& caller, ImageId id, const Options& /*options*/) {
  return disable_image(repo, caller, id);
}

Result<ImageRecord> enable(Repo& repo, const Caller& caller, ImageId id, const Options& /*options*/) {
  return enable_image(repo, caller, id);
}

Verb add(Cli& cli, const Shared& options, const char* name, const char* about, const char* example,
         Change change) {
  Verb verb = cli.add_verb(std::string("image ") + name, about, example);
  verb.image("IMAGE", options->image, "The image");
  cli.on_run(Needs::kStore,
             [options, change](const Globals& globals) { return run(globals, *options, change); });
  return verb;
}

void add_tags(Cli& cli, const Shared& options) {
  Verb tagging = add(cli, options, "tag", "Add tags to an image",
                     "  ashlar image tag ami-01a2b3c4d5e6f7089 stage=production", tag);
  tagging.positionals("KEY=VALUE", "KEY=VALUE", options->words, "The tags");
  tagging.check([options]() -> Status { return check_tags(TRY(parse_tags(options->words))); });
  Verb untagging = add(cli, options, "untag", "Remove tags from an image",
                       "  ashlar image untag ami-01a2b3c4d5e6f7089 stage", untag);
  untagging.positionals("KEY", "KEY", options->words, "The keys of the tags");
}

void add_sharing(Cli& cli, const Shared& options) {
  Verb sharing = add(cli, options, "share", "Change which other accounts may see and launch an image",
                     "  ashlar image share ami-01a2b3c4d5e6f7089 --add 123456789012\n"
                     "  ashlar image share ami-01a2b3c4d5e6f7089 --remove all",
                     share);
  sharing.texts("--add", "ACCOUNT|all", options->added, "An account, or all; may be given more than once");
  sharing.texts("--remove", "ACCOUNT|all", options->removed,
                "An account, or all; may be given more than once");
  sharing.check([options] { return check_share(*options); });
}

}  // namespace

void add_image_deregister(Cli& cli);

void add_image_changes(Cli& cli) {
  const auto options = std::make_shared<Options>();
  add_tags(cli, options);
  Verb modifying =
      add(cli, options, "modify", "Change the description of an image",
          "  ashlar image modify ami-01a2b3c4d5e6f7089 --description 'with the fix for #12'", modify);
  modifying.text("--description", "TEXT", options->description, "The new description");
  add_sharing(cli, options);
  Verb deprecating = add(cli, options, "deprecate",
                         "Hide an image from the lists of other accounts from a time on; it can still be "
                         "launched",
                         "  ashlar image deprecate ami-01a2b3c4d5e6f7089 --at 2027-06-30", deprecate);
  deprecating.text("--at", "TIME", options->at, "When: 2027-06-30 or 2027-06-30T12:00:00Z");
  deprecating.flag("--cancel", options->cancel, "Cancel the deprecation");
  deprecating.check([options] { return check_deprecate(*options); });
  add(cli, options, "disable",
      "Keep an image from being launched, and take it back from those it was shared with",
      "  ashlar image disable ami-01a2b3c4d5e6f7089", disable);
  add(cli, options, "enable", "Let an image that was disabled be launched again, by its owner",
      "  ashlar image enable ami-01a2b3c4d5e6f7089", enable);
  add_image_deregister(cli);
}

}  // namespace ashlar
