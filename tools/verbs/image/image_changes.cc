// ashlar image …: what becomes of an image after it was made.
#include <fmt/format.h>

#include "image/deletion.h"
#include "image/register.h"
#include "program/cli.h"
#include "program/image_store.h"
#include "program/output.h"
#include "shapes/image_output.h"
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
  bool delete_snapshots = false;
};
using Shared = std::shared_ptr<Options>;
using Change = std::function<Status(ImageRecord&)>;

// What `change` makes of an image of the account. It is looked at again when somebody else was quicker.
Result<ImageRecord> change_own(ImageStore& store, ImageId id, const Change& change) {
  TRY(store.find_own(id));
  return store.catalog().update(id, [&](ImageRecord& record) -> Status {
    if (record.state == ImageState::kDeregistered) return invalid(id.text() + " is deregistered");
    return change(record);
  });
}

Result<ExitCode> run_change(const Globals& globals, const Options& options, const Change& change) {
  ImageStore store = TRY(ImageStore::open(globals));
  const ImageRecord now = TRY(change_own(store, TRY(ImageId::parse(options.image)), change));
  if (globals.json) print_json({{"Images", Json::array({image_json(now, store.account())})}});
  return ExitCode::kDone;
}

Result<ExitCode> tag(const Globals& globals, const Options& options) {
  const Tags tags = TRY(parse_tags(options.words));
  return run_change(globals, options, [&](ImageRecord& record) -> Status {
    for (const auto& [key, value] : tags) record.tags[key] = value;
    return {};
  });
}

Result<ExitCode> untag(const Globals& globals, const Options& options) {
  return run_change(globals, options, [&](ImageRecord& record) -> Status {
    for (const std::string& key : options.words)
      record.tags.erase(key);  // EC2: one that is not there is gone
    return {};
  });
}

Result<ExitCode> modify(const Globals& globals, const Options& options) {
  return run_change(globals, options, [&](ImageRecord& record) -> Status {
    record.description = options.description;
    return {};
  });
}

Status set_permission(ImageRecord& record, const std::string& word, bool allowed) {
  if (word == "all") {
    record.is_public = allowed;
    return {};
  }
  const AccountId account = TRY(AccountId::parse(word));
  allowed ? static_cast<void>(record.shared_with.insert(account))
          : static_cast<void>(record.shared_with.erase(account));
  return {};
}

Result<ExitCode> share(const Globals& globals, const Options& options) {
  return run_change(globals, options, [&](ImageRecord& record) -> Status {
    for (const std::string& word : options.added) TRY(set_permission(record, word, true));
    for (const std::string& word : options.removed) TRY(set_permission(record, word, false));
    return {};
  });
}

Status check_share(const Options& options) {
  if (options.added.empty() && options.removed.empty()) return invalid("give --add or --remove");
  ImageRecord scratch;
  for (const auto* words : {&options.added, &options.removed}) {
    for (const std::string& word : *words) TRY(set_permission(scratch, word, true));
  }
  return {};
}

Result<ExitCode> deprecate(const Globals& globals, const Options& options) {
  std::optional<UtcTime> at;
  if (!options.cancel) at = TRY(UtcTime::parse(options.at));
  return run_change(globals, options, [&](ImageRecord& record) -> Status {
    record.deprecated = at;
    return {};
  });
}

Status check_deprecate(const Options& options) {
  if (options.cancel == !options.at.empty()) return invalid("give --at TIME or --cancel");
  if (!options.cancel) TRY(UtcTime::parse(options.at).with_context("--at"));
  return {};
}

Result<ExitCode> disable(const Globals& globals, const Options& options) {
  return run_change(globals, options, [&](ImageRecord& record) -> Status {
    if (record.state == ImageState::kDisabled) return {};
    if (record.state != ImageState::kAvailable)
      return invalid(fmt::format("{} is {}: only an available image can be disabled", record.id.text(),
                                 image_state_name(record.state)));
    record.state = ImageState::kDisabled;
    // EC2's rule: enabled again, it is its owner's alone until it is shared anew.
    record.is_public = false;
    record.shared_with.clear();
    return {};
  });
}

Result<ExitCode> enable(const Globals& globals, const Options& options) {
  return run_change(globals, options, [&](ImageRecord& record) -> Status {
    if (record.state == ImageState::kAvailable) return {};
    if (record.state != ImageState::kDisabled)
      return invalid(fmt::format("{} is {}: only a disabled image can be enabled", record.id.text(),
                                 image_state_name(record.state)));
    record.state = ImageState::kAvailable;
    return {};
  });
}

// Those that other images or volumes need stay.
Result<Json> delete_snapshots(ImageStore& store, const std::vector<SnapshotId>& ids) {
  Json results = Json::array();
  for (const SnapshotId id : ids) {
    const Status deleted = delete_snapshot(store.repo().objects(), id);
    if (!deleted.ok() && deleted.error().code() != ErrorCode::kBusy &&
        deleted.error().code() != ErrorCode::kNotFound)
      return deleted.error();
    if (!deleted.ok()) print_note(deleted.error().text());
    results.push_back({{"SnapshotId", id.text()}, {"ReturnCode", deleted.ok() ? "success" : "skipped"}});
  }
  return results;
}

Result<ExitCode> deregister(const Globals& globals, const Options& options) {
  ImageStore store = TRY(ImageStore::open(globals));
  const ImageId id = TRY(ImageId::parse(options.image));
  const ImageRecord record =
      TRY(change_own(store, id, [](ImageRecord& now) { return deregister(now, UtcTime::now()); }));
  const std::vector<SnapshotId> ids = snapshots_of(record);
  Json results = options.delete_snapshots ? TRY(delete_snapshots(store, ids)) : Json::array();
  if (globals.json) {
    print_json({{"ImageId", id.text()}, {"DeleteSnapshotResults", results}});
  } else if (!options.delete_snapshots) {
    for (const SnapshotId snapshot : ids) print(snapshot.text() + "\n");
  }
  return ExitCode::kDone;
}

Verb add(Cli& cli, const Shared& options, const char* name, const char* about, const char* example,
         Result<ExitCode> (*run)(const Globals&, const Options&)) {
  Verb verb = cli.add_verb(std::string("image ") + name, about, example);
  verb.image("IMAGE", options->image, "The image");
  cli.on_run(Needs::kStore, [options, run](const Globals& globals) { return run(globals, *options); });
  return verb;
}

}  // namespace

void add_image_changes(Cli& cli) {
  const auto options = std::make_shared<Options>();
  Verb tagging = add(cli, options, "tag", "Put tags on an image",
                     "  ashlar image tag ami-01a2b3c4d5e6f7089 stage=production", tag);
  tagging.positionals("KEY=VALUE", "KEY=VALUE", options->words, "The tags");
  tagging.check([options] {
    auto tags = parse_tags(options->words);
    return tags.ok() ? check_tags(tags.value()) : Status(tags.take_error());
  });
  Verb untagging = add(cli, options, "untag", "Take tags off an image",
                       "  ashlar image untag ami-01a2b3c4d5e6f7089 stage", untag);
  untagging.positionals("KEY", "KEY", options->words, "The keys of the tags");
  Verb modifying =
      add(cli, options, "modify", "Change the description of an image",
          "  ashlar image modify ami-01a2b3c4d5e6f7089 --description 'with the fix for #12'", modify);
  modifying.text("--description", "TEXT", options->description, "What it says from now on");
  Verb sharing = add(cli, options, "share", "Say who else may see and launch an image",
                     "  ashlar image share ami-01a2b3c4d5e6f7089 --add 123456789012\n"
                     "  ashlar image share ami-01a2b3c4d5e6f7089 --remove all",
                     share);
  sharing.texts("--add", "ACCOUNT|all", options->added, "An account, or all; may be given more than once");
  sharing.texts("--remove", "ACCOUNT|all", options->removed,
                "An account, or all; may be given more than once");
  sharing.check([options] { return check_share(*options); });
  Verb deprecating = add(cli, options, "deprecate",
                         "Hide an image from the lists of others from some time on; it can still be launched",
                         "  ashlar image deprecate ami-01a2b3c4d5e6f7089 --at 2027-06-30", deprecate);
  deprecating.text("--at", "TIME", options->at, "When: 2027-06-30 or 2027-06-30T12:00:00Z");
  deprecating.flag("--cancel", options->cancel, "Take the deprecation back");
  deprecating.check([options] { return check_deprecate(*options); });
  add(cli, options, "disable",
      "Keep an image from being launched, and take it back from those it was shared with",
      "  ashlar image disable ami-01a2b3c4d5e6f7089", disable);
  add(cli, options, "enable", "Let an image that was disabled be launched again, by its owner",
      "  ashlar image enable ami-01a2b3c4d5e6f7089", enable);
  Verb ending =
      add(cli, options, "deregister", "Retire an image, and print the ids of its snapshots, which stay",
          "  ashlar image deregister ami-01a2b3c4d5e6f7089 --delete-snapshots", deregister);
  ending.flag("--delete-snapshots", options->delete_snapshots,
              "Delete them too, but those that other images or volumes need");
}

}  // namespace ashlar
