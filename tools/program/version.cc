// ashlar version: of the program, and of the stores it knows.
#include <fmt/format.h>

#include "document/store_config.h"
#include "program/cli.h"
#include "program/output.h"

namespace ashlar {
namespace {

Result<ExitCode> run(const Globals& globals) {
  if (globals.json) {
    print_json({{"program", "ashlar"}, {"version", ASHLAR_VERSION}, {"store_version", kStoreVersion}});
  } else {
    print(fmt::format("ashlar {} (stores up to version {})\n", ASHLAR_VERSION, kStoreVersion));
  }
  return ExitCode::kDone;
}

}  // namespace

void add_version(Cli& cli) {
  cli.add_verb("version", "Show the program's version", "  ashlar version");
  cli.on_run(Needs::kNothing, run);
}

}  // namespace ashlar
