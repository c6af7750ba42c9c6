#include "action/account_images.h"
#include "action/images.h"
#include "image/deletion.h"

namespace ashlar {
namespace {

// Returns those that were deleted.
Result<std::vector<SnapshotId>> delete_unused(Repo& repo, Notices& notices,
                                              const std::vector<SnapshotId>& ids) {
  std::vector<SnapshotId> deleted;
  const std::vector<Status> outcomes = delete_snapshots(repo.objects(), ids);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const Status& done = outcomes[i];
    const bool may_stay = is(done, ErrorCode::kBusy) || is(done, ErrorCode::kNotFound);
    if (!done.ok() && !may_stay) return done.error();
    if (done.ok()) {
      deleted.push_back(ids[i]);
    } else {
      notices.note(done.error().text());
    }
  }
  return deleted;
}

// Leaves out snapshots that do not exist. A snapshot whose record can't be read stays in the list.
std::vector<SnapshotId> existing(const SnapshotCatalog& snapshots, std::vector<SnapshotId> ids) {
  std::erase_if(ids, [&](SnapshotId id) { return is(snapshots.get(id), ErrorCode::kNotFound); });
  return ids;
}

}  // namespace

Result<DeregisteredImage> deregister_image(Repo& repo, const Caller& caller, ImageId id,
                                           ImageSnapshots snapshots) {
  AccountImages images = AccountImages::open(repo, caller);
  const auto retire = [](ImageRecord& image) { return deregister(image, UtcTime::now()); };
  DeregisteredImage done;
  done.snapshots = existing(repo.snapshots(), snapshots_of(TRY(images.update_own(id, retire))));
  if (snapshots == ImageSnapshots::kDelete)
    done.deleted = TRY(delete_unused(repo, caller.notices, done.snapshots));
  return done;
}

}  // namespace ashlar
