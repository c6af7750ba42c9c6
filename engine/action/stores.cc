#include "action/stores.h"

#include <fmt/format.h>

#include "action/collect.h"
#include "catalog/sessions.h"
#include "catalog/settings.h"

namespace ashlar {

Result<StoreStats> describe_store(Repo& repo, const Caller& caller) {
  StoreStats stats;
  stats.snapshots = TRY(describe_snapshots(repo, caller));
  for (const SnapshotRecord& record : stats.snapshots.records) {
    stats.logical.value += record.size.value;
    stats.data.value += byte_count(record.data_blocks).value;
  }
  for (const SessionId& id : TRY(list_session_ids(repo.objects()))) {
    const auto session = find_session(repo.objects(), id);
    const bool is_gone = is(session, ErrorCode::kNotFound);
    if (!session.ok() && !is_gone) stats.unread_sessions.emplace_back(id, session.error());
    if (!is_gone && !(session.ok() && session.value().has_ended())) ++stats.sessions;
  }
  stats.index = TRY(TRY(repo.index())->stats());
  auto planned = plan_collection_of(repo, caller, {});
  if (planned.ok())
    stats.plan = std::move(planned.value().plan);
  else
    caller.notices.warn(planned.error().text());
  return stats;
}

Result<Reindexed> reindex_store(Repo& repo, const Caller& /*caller*/) {
  const CatchUpReport report = TRY(repo.reindex());
  return Reindexed{report, TRY(TRY(repo.index())->stats())};
}

Result<StoreSettings> modify_settings(Repo& repo, const Caller& /*caller*/, const ModifySettings& request) {
  return update_settings(repo.objects(), [&](StoreSettings& settings) -> Status {
    if (request.bin_days) settings.bin_days = *request.bin_days;
    if (request.unsigned_images) settings.unsigned_images = *request.unsigned_images;
    return {};
  });
}

Result<Adoption> adopt_store(Repo& repo, const Caller& caller) {
  Adoption adoption = TRY(adopt(repo));
  for (const VolumeId id : adoption.torn) {
    caller.notices.warn(
        fmt::format("{} was open when the store was copied, and its copy may be damaged: it is moved to {}",
                    id.text(), repo.host().torn(id)));
  }
  for (const InstanceId id : adoption.torn_files) {
    caller.notices.warn(fmt::format(
        "{} ran when the store was copied, and its disks that are files may be damaged", id.text()));
  }
  for (const std::string& damaged : adoption.damaged) caller.notices.warn(damaged);
  return adoption;
}

}  // namespace ashlar
