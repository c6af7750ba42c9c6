#include "action/collect.h"

#include "action/samples.h"

namespace ashlar {
namespace {

Result<CollectParts> parts_of(Repo& repo) {
  const VerifyParts parts = TRY(repo.verify_parts());
  return CollectParts{parts.config, parts.objects, parts.index, parts.damage};
}

}  // namespace

Result<CollectReport> plan_collection_of(Repo& repo, const Caller& caller, const CollectOptions& options) {
  const CollectParts parts = TRY(parts_of(repo));
  CollectProgress progress;
  const auto watch = caller.notices.watch("collect", [&progress] { return sample_of(progress); });
  return plan_collection_of(parts, options, progress, caller.stop);
}

// A disk that is too full to rewrite packs may have room once the packs are gone that nothing needs.
Result<CollectReport> collect_store(Repo& repo, const Caller& caller, const CollectOptions& options) {
  const CollectParts parts = TRY(parts_of(repo));
  CollectProgress progress;
  const auto watch = caller.notices.watch("collect", [&progress] { return sample_of(progress); });
  const auto once = [&]() -> Result<CollectReport> {
    CollectReport report = TRY(collect(parts, options, progress, caller.stop));
    if (report.was_full && report.freed_packs == 0)
      return Error(ErrorCode::kExhausted, "the disk is too full to move what is needed to new packs");
    return report;
  };
  CollectReport all = TRY(repo.reserve().run(once));
  while (all.was_full) {
    CollectReport next = TRY(repo.reserve().run(once));
    next.freed_packs += all.freed_packs;
    next.freed_bytes += all.freed_bytes;
    next.written_bytes += all.written_bytes;
    all = std::move(next);
  }
  for (const std::string& warning : all.warnings) caller.notices.warn(warning);
  return all;
}

}  // namespace ashlar
