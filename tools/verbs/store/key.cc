// ashlar key …: keys that sign images, and those that a store trusts.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "catalog/settings.h"
#include "key_file.h"
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

// Never in place of another one, and for its owner alone from its first moment.
Status write_key_file(const std::string& path, const std::string& pem) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid())
    return errno == EEXIST ? invalid(path + " exists already: keys are not replaced") : last_errno(path);
  const bool written = ::write(fd.get(), pem.data(), pem.size()) == static_cast<ssize_t>(pem.size());
  if (written && ::fsync(fd.get()) == 0) return {};
  Error error = last_errno(path);
  ::unlink(path.c_str());
  return error;
}

Result<ExitCode> generate(const Globals& globals, const Options& options) {
  const SigningKey key = TRY(SigningKey::generate());
  TRY(write_key_file(options.file, TRY(key.pem())));
  const std::string text = to_hex(key.public_key());
  globals.json ? print_json({{"key", text}, {"file", options.file}}) : print(text + "\n");
  return ExitCode::kDone;
}

Result<ExitCode> list(const Globals& globals) {
  const std::unique_ptr<Repo> repo = TRY(open_store(globals));
  const StoreSettings settings = TRY(get_settings(repo->objects()));
  Json keys = Json::array();
  Table table({"KEY", "NAME"});
  for (const auto& [key, name] : settings.trusted_keys) {
    keys.push_back({{"key", to_hex(key)}, {"name", name}});
    table.add({to_hex(key), name});
  }
  globals.json ? print_json({{"keys", keys}}) : print(table.text());
  return ExitCode::kDone;
}

Result<ExitCode> change(const Globals& globals, const Options& options, bool trusted) {
  const std::unique_ptr<Repo> repo = TRY(open_store(globals));
  const PublicKey key = TRY(parse_public_key(options.key));
  TRY(update_settings(repo->objects(), [&](StoreSettings& settings) -> Status {
    if (trusted) {
      settings.trusted_keys[key] = options.name;
    } else if (settings.trusted_keys.erase(key) == 0) {
      return not_found(fmt::format("{} is not trusted: 'ashlar key list' lists those that are", to_hex(key)));
    }
    return {};
  }));
  if (globals.json) print_json({{"key", to_hex(key)}, {"trusted", trusted}});
  return ExitCode::kDone;
}

}  // namespace

void add_key(Cli& cli) {
  cli.add_group("key", "Make keys that sign images, and say which ones a store trusts");
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
  trusting.text("--name", "TEXT", options->name, "What it is called here");
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return change(globals, *options, true); });
  Verb distrusting =
      cli.add_verb("key untrust", "Trust a key no longer", "  ashlar key untrust release-key.pem");
  distrusting.positional("KEY", "KEY|FILE", options->key, "64 hexadecimal digits, or the file of the key");
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return change(globals, *options, false); });
}

}  // namespace ashlar
