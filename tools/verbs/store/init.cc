// ashlar init: makes a store.
#include <fmt/format.h>

#include <filesystem>

#include "base/units.h"
#include "format/pack_format.h"
#include "program/cli.h"
#include "program/output.h"
#include "repo/repo.h"

namespace ashlar {
namespace {

struct Options {
  std::string path;
  std::uint64_t frame_bytes = kFrameBytes;
  unsigned level = 1;
};

Status check(const Options& options, const Globals& globals) {
  if (options.path.empty() && globals.store.empty()) return invalid("no directory is named");
  const std::uint64_t blocks = options.frame_bytes / kBlockBytes;
  if (options.frame_bytes % kBlockBytes == 0 && blocks >= 1 && blocks <= kMaxFrameBlocks) return {};
  return invalid(fmt::format("--frame: {} is not a multiple of 4K from 4K to {}K", options.frame_bytes,
                             kMaxFrameBlocks * kBlockBytes / 1024));
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  InitOptions init;
  init.frame_blocks = static_cast<std::uint32_t>(options.frame_bytes / kBlockBytes);
  init.level = static_cast<int>(options.level);
  const std::string path = std::filesystem::absolute(options.path.empty() ? globals.store : options.path);
  const StoreConfig config = TRY(Repo::init(posix_file_system(), TRY(StoreAddress::parse(path)), init));
  if (!globals.json) {
    print(fmt::format("{}\n", path));
    print_note(fmt::format("made store {}; use it with: export ASHLAR_STORE={}", config.id.hex(), path));
    return ExitCode::kDone;
  }
  print_json({{"store", path},
              {"store_id", config.id.hex()},
              {"version", kStoreVersion},
              {"created", config.created.iso8601()},
              {"frame_bytes", config.frame_blocks * kBlockBytes},
              {"level", config.level}});
  return ExitCode::kDone;
}

}  // namespace

void add_init(Cli& cli) {
  auto options = std::make_shared<Options>();
  Verb verb = cli.add_verb("init", "Make a store in a new or empty directory",
                           "  ashlar init /backup/store\n"
                           "  ashlar init /backup/archive --frame 256K --level 9");
  verb.positional("STORE", "DIRECTORY", options->path, "The directory; without it, --store or $ASHLAR_STORE",
                  Presence::kOptional);
  verb.size("--frame", options->frame_bytes,
            "How much is compressed together, and read to get one block: 4K to 256K [64K]");
  verb.number("--level", 1, 19, options->level, "Level of zstd, 1 to 19 [1]");
  verb.check([options, &globals = cli.globals()] { return check(*options, globals); });
  cli.on_run(Needs::kNothing, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
