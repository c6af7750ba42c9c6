// ashlar store adopt: the volumes and machines that a copied store brought along become its own.
#include <fmt/format.h>

#include "action/stores.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/store_option.h"
#include "program/terminal_notices.h"

namespace ashlar {
namespace {

template <class Id>
Json texts(const std::vector<Id>& ids) {
  Json list = Json::array();
  for (const Id id : ids) list.push_back(id.text());
  return list;
}

std::string text_of(const Adoption& adoption) {
  if (!adoption.was_copy) return "This store is not a copy: nothing was changed\n";
  return fmt::format("{} is a store of its own: {} kept, {} set aside, {} stopped\n",
                     adoption.original.empty() ? "This store" : "The copy of " + adoption.original,
                     count_text(adoption.kept.size(), "volume"), count_text(adoption.torn.size(), "volume"),
                     count_text(adoption.machines.size(), "machine"));
}

Result<ExitCode> run(const Globals& globals) {
  TerminalNotices notices(globals);
  const auto repo = TRY(open_copied_store(globals));
  const Adoption adoption = TRY(adopt_store(*repo, TRY(caller_of(globals, *repo, notices, {}))));
  if (globals.json) {
    print_json({{"was_copy", adoption.was_copy},
                {"original", adoption.original.empty() ? Json() : Json(adoption.original)},
                {"kept_volumes", texts(adoption.kept)},
                {"torn_volumes", texts(adoption.torn)},
                {"stopped_instances", texts(adoption.machines)}});
  } else {
    print(text_of(adoption));
  }
  return ExitCode::kDone;
}

}  // namespace

void add_store(Cli& cli) {
  cli.add_group("store", "Change what a store is to this host");
  cli.add_verb("store adopt", "Make the volumes and machines in a copied store the copy's own",
               "  cp -a /backup/store /backup/copy && ashlar store adopt --store /backup/copy");
  cli.on_run(Needs::kStore, run);
}

}  // namespace ashlar
