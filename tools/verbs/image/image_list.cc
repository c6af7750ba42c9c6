// ashlar image list, image describe and image wait: finding images, and waiting for one.
#include "base/units.h"
#include "image/access.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/store_option.h"
#include "program/terminal_notices.h"
#include "shapes/image_output.h"
#include "shapes/image_words.h"
#include "shapes/unread.h"

namespace ashlar {
namespace {

constexpr unsigned kDefaultTimeout = 600;  // EC2's waiter: 40 times 15 seconds
constexpr unsigned kMaxTimeout = 24 * 3600;

struct ListOptions {
  std::vector<std::string> ids;
  std::vector<std::string> owners;
  std::vector<std::string> executable_by;
  std::vector<std::string> filters;
  bool with_deprecated = false;
};

Result<DescribeImages> request_of(const ListOptions& options, AccountId self) {
  DescribeImages request;
  request.ids = TRY(parse_image_ids(options.ids));
  for (const std::string& text : options.filters)
    request.filters.push_back(TRY(parse_image_filter(text).with_context("--filter")));
  for (const std::string& word : options.owners)
    request.owners.push_back(TRY(parse_account(word, self).with_context("--owner")));
  for (const std::string& word : options.executable_by)
    request.executable_by.push_back(TRY(parse_grantee(word, self).with_context("--executable-by")));
  request.include_deprecated = options.with_deprecated;
  return request;
}

std::string table_of(const DescribedImages& described) {
  Table table({"ID", "STATE", "CREATED", "OWNER", ">SIZE", "NAME"});
  for (const ImageRecord& image : described.images) {
    const bool old = is_deprecated(image, UtcTime::now());
    table.add({image.id.text(), std::string(image_state_name(image.state)) + (old ? ", deprecated" : ""),
               image.created.iso8601(), image.owner.text(), format_size(snapshot_size(image).value),
               image.name});
  }
  return table.text();
}

std::string details_of(const DescribedImages& described, AccountId account) {
  std::string text;
  for (const ImageRecord& image : described.images)
    text += (text.empty() ? "" : "\n") + image_text(image, account);
  return text;
}

enum class Form : unsigned char { kTable, kDetails };

Result<ExitCode> show(const Globals& globals, const ListOptions& options, Form form) {
  const auto repo = TRY(open_store(globals));
  TerminalNotices notices(globals);
  const Caller caller = TRY(caller_of(globals, *repo, notices, {}));
  const DescribedImages described =
      TRY(describe_images(*repo, caller, TRY(request_of(options, caller.account))));
  if (globals.json) {
    print_json(images_json(described.images, caller.account));
  } else {
    print(form == Form::kTable ? table_of(described) : details_of(described, caller.account));
  }
  return name_unread(described.unread);
}

struct WaitOptions {
  std::string state;
  std::string image;
  unsigned timeout = kDefaultTimeout;
};

Result<ExitCode> wait(const Globals& globals, const WaitOptions& options) {
  const auto repo = TRY(open_store(globals));
  TerminalNotices notices(globals);
  const Caller caller = TRY(caller_of(globals, *repo, notices, {}));
  TRY(wait_for_image(*repo, caller, TRY(ImageId::parse(options.image)),
                     std::chrono::seconds(options.timeout)));
  return ExitCode::kDone;
}

void add_filters(Verb& verb, const std::shared_ptr<ListOptions>& options) {
  verb.texts("--owner", "self|ACCOUNT", options->owners,
             "Only images of this account; may be given more than once");
  verb.texts("--executable-by", "self|all|ACCOUNT", options->executable_by,
             "Only images that were shared with this account, or with all; may be given more than once");
  verb.texts(
      "--filter", "name=N,values=V[,V]", options->filters,
      "Only images whose attribute N has one of these values, in which * stands for any text and ? for "
      "any character; with several filters all must hold");
  verb.flag("--include-deprecated", options->with_deprecated, "Also deprecated images of other accounts");
  verb.check([options]() -> Status {
    TRY(request_of(*options, AccountId{1}));
    return {};
  });
}

}  // namespace

void add_image_list(Cli& cli) {
  const auto options = std::make_shared<ListOptions>();
  Verb verb = cli.add_verb("image list", "List the images that the account may launch, oldest first",
                           "  ashlar image list --owner self --filter name=state,values=available\n"
                           "  ashlar image list --filter 'name=name,values=web-*' --json");
  add_filters(verb, options);
  cli.on_run(Needs::kStore,
             [options](const Globals& globals) { return show(globals, *options, Form::kTable); });
}

void add_image_describe(Cli& cli) {
  const auto options = std::make_shared<ListOptions>();
  Verb verb = cli.add_verb("image describe", "Show what images are made of and what is allowed with them",
                           "  ashlar image describe ami-01a2b3c4d5e6f7089 --json");
  verb.positionals("IMAGE", "IMAGE", options->ids, "The images");
  add_filters(verb, options);
  cli.on_run(Needs::kStore,
             [options](const Globals& globals) { return show(globals, *options, Form::kDetails); });
}

void add_image_wait(Cli& cli) {
  const auto options = std::make_shared<WaitOptions>();
  Verb verb = cli.add_verb("image wait", "Wait until an image that is being made is available",
                           "  ashlar image wait available ami-01a2b3c4d5e6f7089 --timeout 3600");
  verb.positional_choice("STATE", {"available"}, options->state, "The state to wait for");
  verb.image("IMAGE", options->image, "The image");
  verb.number("--timeout", 0, kMaxTimeout, options->timeout, "Seconds to wait at most [600]");
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return wait(globals, *options); });
}

}  // namespace ashlar
