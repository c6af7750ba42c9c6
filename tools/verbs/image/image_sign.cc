// ashlar image sign: vouching for an image with a key.
#include "action/image_checks.h"
#include "action/keys.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/store_option.h"
#include "program/terminal_notices.h"
#include "shapes/image_output.h"

namespace ashlar {
namespace {

struct Options {
  std::string image;
  std::string key;
};

Result<ExitCode> run(const Globals& globals, const Options& options) {
  const auto repo = TRY(open_store(globals));
  TerminalNotices notices(globals);
  const Caller caller = TRY(caller_of(globals, *repo, notices, {}));
  const ImageId id = TRY(ImageId::parse(options.image));
  const ImageRecord now = TRY(sign_image(*repo, caller, id, TRY(read_key_file(options.key))));
  if (globals.json) print_json(images_json({now}, caller.account));
  return ExitCode::kDone;
}

}  // namespace

void add_image_sign(Cli& cli) {
  const auto options = std::make_shared<Options>();
  Verb verb = cli.add_verb("image sign", "Sign an image: its attributes and every block of its disks",
                           "  ashlar image sign ami-01a2b3c4d5e6f7089 --key release-key.pem");
  verb.image("IMAGE", options->image, "The image");
  verb.text("--key", "FILE", options->key, "The key, as 'ashlar key generate' makes it");
  verb.check([options] { return options->key.empty() ? Status(invalid("--key is required")) : Status(); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
