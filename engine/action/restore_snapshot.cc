// restore_to_target(), restore_to_stream(): a snapshot becomes a file, a device or a stream again.
#include <fmt/format.h>

#include "action/damage_warnings.h"
#include "action/outside_store.h"
#include "action/ranges_text.h"
#include "action/samples.h"
#include "action/snapshots.h"
#include "quiesce/mounts.h"

namespace ashlar {
namespace {

// A device in use refuses to be opened; a file that is used through a loop device has to be asked about.
Status check_unused(const std::string& target) {
  auto mounts = mounts_of(target);
  if (is(mounts, ErrorCode::kNotFound)) return {};
  for (const MountUse& mount : TRY(std::move(mounts)))
    return busy(fmt::format("{} is mounted on {}: unmount it first", target, mount.mount_point));
  auto loops = held_loops_over(target);
  if (is(loops, ErrorCode::kNotFound)) return {};
  for (const std::string& loop : TRY(std::move(loops)))
    return busy(fmt::format("{} is in use through {}: detach that device first", target, loop));
  return {};
}

Status verify_target(Repo& repo, const Caller& caller, const std::string& name, const Restored& restored) {
  const ReadParts parts = TRY(repo.read_parts());
  const auto target = TRY(Target::open_to_compare(name));
  RestoreProgress progress;
  const auto watch = caller.notices.watch("verify", [&progress] { return sample_of(progress); });
  const auto different =
      TRY(compare(parts, restored.snapshot, *target, progress, caller.stop, restored.report.left_out));
  if (different.empty()) return {};
  return corrupt(fmt::format("{} does not read back as it was written: {} differ: check the device", name,
                             ranges_text(different, restored.snapshot.size)));
}

Result<Restored> write_to_target(Repo& repo, const Caller& caller, const RestoreSnapshot& request,
                                 const SnapshotRecord& snapshot) {
  const auto target = TRY(Target::open(request.target, snapshot.size, request.force));
  Restored out;
  out.snapshot = snapshot;
  out.resumed = target->is_resumed();
  if (out.resumed)
    caller.notices.note(
        fmt::format("continuing {}, which an interrupted restore left: only blocks that differ are written",
                    partial_name(request.target)));
  RestoreOptions how = {
      request.delta || out.resumed, request.discard, request.threads, request.skip_damaged, {}};
  how.check_losses = [&]() -> Status {
    TRY(repo.snapshots().get(request.snapshot));
    return {};
  };
  const ReadParts parts = TRY(repo.read_parts());
  RestoreProgress progress;
  const auto watch = caller.notices.watch("restore", [&progress] { return sample_of(progress); });
  out.report = TRY(restore(parts, snapshot, *target, how, progress, caller.stop));
  return out;
}

}  // namespace

Result<Restored> restore_to_target(Repo& repo, const Caller& caller, const RestoreSnapshot& request) {
  const SnapshotRecord snapshot = TRY(repo.snapshots().get(request.snapshot));
  TRY(check_outside_store(request.target, repo.address().directory));
  TRY(repo.read_parts());  // a store that can't be read makes no target
  TRY(check_unused(request.target));
  const DamageWarnings warnings(repo, caller.notices);
  Restored out = TRY(write_to_target(repo, caller, request, snapshot));
  if (request.verify) TRY(verify_target(repo, caller, request.target, out));
  out.verified = request.verify;
  return out;
}

Result<Restored> restore_to_stream(Repo& repo, const Caller& caller, SnapshotId id, int fd) {
  Restored out;
  out.snapshot = TRY(repo.snapshots().get(id));
  const DamageWarnings warnings(repo, caller.notices);
  const ReadParts parts = TRY(repo.read_parts());
  RestoreProgress progress;
  const auto watch = caller.notices.watch("restore", [&progress] { return sample_of(progress); });
  out.report = TRY(restore_stream(parts, out.snapshot, fd, progress, caller.stop));
  return out;
}

}  // namespace ashlar
