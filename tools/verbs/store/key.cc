// ashlar key …: keys that sign images, and those that a store trusts.
#include "action/keys.h"
#include "base/id.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/store_option.h"

namespace ashlar {
namespace {

struct Options {
  std::string file;
  std::string key;
  std::string name;
};

Result<ExitCode> generate(const Globals& globals, const Options& options) {
  const std::string text = to_hex(TRY(generate_key_file(options.file)));
  globals.json ? print_json({{"key", text}, {"file", options.file}}) : print(text + "\n");
  return ExitCode::kDone;
}

Result<ExitCode> list(const Globals& globals) {
  const OpenStore store = TRY(open_for_actions(globals));
  Json keys = Json::array();
  Table table({"KEY", "NAME"});
  for (const auto& [key, name] : TRY(describe_trusted_keys(*store.repo, store.caller))) {
    keys.push_back({{"key", to_hex(key)}, {"name", name}});
    table.add({to_hex(key), name});
  }
  globals.json ? print_json({{"keys", keys}}) : print(table.text());
  return ExitCode::kDone;
}

Result<ExitCode> change(const Globals& globals, const Options& options, bool trusted) {
  const OpenStore store = TRY(open_for_actions(globals));
  const PublicKey key = TRY(parse_public_key(options.key));
  TRY(trusted ? trust_key(*store.repo, store.caller, key, options.name)
              : distrust_key(*store.repo, store.caller, key));
  if (globals.json) print_json({{"key", to_hex(key)}, {"trusted", trusted}});
  return ExitCode::kDone;
}

}  // namespace

void add_key(Cli& cli) {
  cli.add_group("key", "Make keys that sign images, and choose which keys a store trusts");
  const auto options = std::make_shared<Options>();
  Verb making = cli.add_verb("key generate", "Make a key in a file of its own, and print its public half",
                             "  ashlar key generate release-key.pem");
  making.positional("FILE", "FILE", options->file, "The new file; its owner alone may read it");
  cli.on_run(Needs::kNothing, [options](const Globals& globals) { return generate(globals, *options); });
  cli.add_verb("key list", "List the keys that the store trusts", "  ashlar key list");
  cli.on_run(Needs::kStore, list);
  Verb trusting = cli.add_verb("key trust", "Trust the images that a key has signed",
                               "  ashlar key trust release-key.pem --name release");
  trusting.positional("KEY", "KEY|FILE", options->key, "64 hexadecimal digits, or the file of the key");
  trusting.text("--name", "TEXT", options->name, "A name for the key");
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return change(globals, *options, true); });
  Verb distrusting =
      cli.add_verb("key untrust", "Stop trusting a key", "  ashlar key untrust release-key.pem");
  distrusting.positional("KEY", "KEY|FILE", options->key, "64 hexadecimal digits, or the file of the key");
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return change(globals, *options, false); });
}

}  // namespace ashlar
