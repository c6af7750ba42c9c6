#include "action/snapshots.h"

#include <algorithm>

#include "action/samples.h"
#include "image/deletion.h"
#include "manifest/diff.h"
#include "manifest/store_block_marks.h"

namespace ashlar {

Result<SnapshotList> describe_snapshots(Repo& repo, const Caller& /*caller*/) {
  SnapshotList list;
  for (const SnapshotId id : TRY(repo.snapshots().list_ids())) {
    auto record = repo.snapshots().get(id);
    if (record.ok()) {
      list.records.push_back(record.take());
    } else if (is(record, ErrorCode::kNotFound)) {
      continue;  // the snapshot was deleted since
    } else {
      list.unread.push_back({id, record.take_error()});
    }
  }
  std::ranges::sort(list.records, {}, [](const SnapshotRecord& r) { return std::pair(r.created, r.id); });
  return list;
}

Result<SnapshotRecord> describe_snapshot(Repo& repo, const Caller& /*caller*/, SnapshotId id) {
  return repo.snapshots().get(id);
}

Status delete_snapshot(Repo& repo, const Caller& /*caller*/, SnapshotId id) {
  return repo.reserve().run([&] { return delete_snapshot(repo.objects(), id); });
}

Status list_changed_blocks(Repo& repo, const Caller& /*caller*/, SnapshotId from, SnapshotId to,
                           const std::function<Status(BlockRange)>& visit, std::uint64_t& nodes_read) {
  const SnapshotRecord before = TRY(repo.snapshots().get(from));
  const SnapshotRecord after = TRY(repo.snapshots().get(to));
  StoreBlockMarks marks(*TRY(repo.segments()));
  MetaStore& nodes = *TRY(repo.nodes());
  DiffCounters counters;
  Status done = diff_trees(nodes, marks, tree_root(before), tree_root(after), visit, &counters);
  nodes_read = counters.nodes_read;
  return done;
}

Result<VerifyReport> verify_stored(Repo& repo, const Caller& caller, std::optional<SnapshotId> snapshot) {
  const VerifyParts parts = TRY(repo.verify_parts());
  VerifyProgress progress;
  const auto watch = caller.notices.watch("verify", [&progress] { return sample_of(progress); });
  if (!snapshot) return verify_all(parts, progress, caller.stop);
  return verify_snapshot(parts, *snapshot, progress, caller.stop);
}

Result<Comparison> compare_with_target(Repo& repo, const Caller& caller, SnapshotId id,
                                       const std::string& target) {
  Comparison comparison;
  comparison.snapshot = TRY(repo.snapshots().get(id));
  const ReadParts parts = TRY(repo.read_parts());
  const auto opened = TRY(Target::open_to_compare(target));
  RestoreProgress progress;
  const auto watch = caller.notices.watch("verify", [&progress] { return sample_of(progress); });
  comparison.different = TRY(compare(parts, comparison.snapshot, *opened, progress, caller.stop));
  return comparison;
}

}  // namespace ashlar
