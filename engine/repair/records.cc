#include "repair/records.h"

#include <set>

#include "catalog/images.h"
#include "catalog/snapshots.h"
#include "image/snapshot_users.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kMaxDamagedBytes = std::uint64_t{64}
                                           << 20U;  // a damaged record may be longer than any

// Returns the snapshots whose records are damaged, or gone although an image or a volume needs them.
Result<std::set<SnapshotId>> snapshots_to_put_back(ObjectStore& objects) {
  std::set<SnapshotId> ids;
  const SnapshotCatalog snapshots(objects);
  for (const SnapshotId id : TRY(snapshots.list_ids())) {
    if (is(snapshots.read(id), ErrorCode::kCorrupt)) ids.insert(id);
  }
  for (const auto& [id, user] : TRY(SnapshotUsers::read(objects)).needed()) {
    if (is(snapshots.read(id), ErrorCode::kNotFound)) ids.insert(id);
  }
  return ids;
}

// Returns whether the record was put back. Another program may have been faster.
Result<bool> put_back(ObjectStore& objects, ObjectStore& copy, SnapshotId id) {
  const auto there = SnapshotCatalog(copy).read(id);
  if (!there.ok() || record_of(there.value()) == nullptr) return false;
  const std::string key = SnapshotCatalog::key_of(id);
  const ByteVector right = TRY(get_object(copy, key, kMaxDamagedBytes));
  const auto wrong = get_object(objects, key, kMaxDamagedBytes);
  if (!wrong.ok() && !is(wrong, ErrorCode::kNotFound)) return wrong.error();
  Status put = wrong.ok() ? objects.replace(key, wrong.value(), right) : objects.put_if_absent(key, right);
  if (is(put, ErrorCode::kBusy) || is(put, ErrorCode::kNotFound)) return false;
  TRY(std::move(put).with_context(key));
  return true;
}

}  // namespace

Result<std::vector<std::string>> put_snapshots_back(ObjectStore& objects, ObjectStore& copy) {
  std::vector<std::string> done;
  for (const SnapshotId id : TRY(snapshots_to_put_back(objects))) {
    if (TRY(put_back(objects, copy, id))) done.push_back(SnapshotCatalog::key_of(id));
  }
  return done;
}

Result<std::vector<std::string>> claim_missing_names(ObjectStore& objects) {
  std::vector<std::string> done;
  ImageCatalog images(objects);
  for (const ImageId id : TRY(images.list_ids())) {
    const auto image = images.get(id);
    if (!image.ok()) continue;
    auto key = images.claim_missing_name(image.value());
    if (is(key, ErrorCode::kBusy)) continue;  // another image claims it just now
    if (!key.ok()) return key.error();
    if (key.value()) done.push_back(*key.value());
  }
  return done;
}

}  // namespace ashlar
