// ashlar settings: what the owner of a store chose for it.
#include <fmt/format.h>

#include "action/stores.h"
#include "base/id.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/store_option.h"

namespace ashlar {
namespace {

struct Options {
  std::string bin_days;
  std::string unsigned_images;
};

Result<std::optional<std::uint32_t>> parse_days(const std::string& text) {
  if (text.empty()) return std::optional<std::uint32_t>();
  const bool digits = text.size() <= 5 && text.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || std::stoul(text) > kMaxBinDays)
    return invalid(fmt::format("--bin-days is a number of at most {}", kMaxBinDays));
  return std::optional(static_cast<std::uint32_t>(std::stoul(text)));
}

Status check(const Options& options) {
  TRY(parse_days(options.bin_days));
  if (!options.unsigned_images.empty())
    TRY(parse_unsigned_images(options.unsigned_images).with_context("--unsigned-images"));
  return {};
}

void show(const Globals& globals, const StoreSettings& settings) {
  const std::string policy(unsigned_images_name(settings.unsigned_images));
  if (globals.json) {
    Json keys = Json::array();
    for (const auto& [key, name] : settings.trusted_keys)
      keys.push_back({{"key", to_hex(key)}, {"name", name}});
    print_json({{"bin_days", settings.bin_days}, {"unsigned_images", policy}, {"trusted_keys", keys}});
    return;
  }
  std::vector<std::pair<std::string, std::string>> lines = {{"bin days", std::to_string(settings.bin_days)},
                                                            {"unsigned images", policy}};
  for (const auto& [key, name] : settings.trusted_keys) lines.emplace_back("trusts " + to_hex(key), name);
  print(aligned(lines));
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  const OpenStore store = TRY(open_for_actions(globals));
  ModifySettings request;
  request.bin_days = TRY(parse_days(options.bin_days));
  if (!options.unsigned_images.empty())
    request.unsigned_images = TRY(parse_unsigned_images(options.unsigned_images));
  show(globals, TRY(modify_settings(*store.repo, store.caller, request)));
  return ExitCode::kDone;
}

}  // namespace

void add_settings(Cli& cli) {
  const auto options = std::make_shared<Options>();
  Verb verb = cli.add_verb("settings", "Show the settings of a store, and change them",
                           "  ashlar settings\n"
                           "  ashlar settings --bin-days 30 --unsigned-images refuse");
  verb.text("--bin-days", "N", options->bin_days, "Days that 'bin purge' leaves what was deleted in the bin");
  verb.text("--unsigned-images", "accept|warn|refuse", options->unsigned_images,
            "What becomes of images from elsewhere that no trusted key has signed");
  verb.check([options] { return check(*options); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
