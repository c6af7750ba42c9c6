#include <fmt/format.h>

#include "action/stores.h"
#include "base/clock.h"
#include "catalog/images.h"
#include "catalog/volumes.h"
#include "image/snapshot_users.h"

namespace ashlar {
namespace {

constexpr std::size_t kMaxDamagedBytes = std::size_t{64} << 20U;  // a damaged record may be longer than any

template <class Kind, class Catalog, class Id>
Result<DiscardedRecord> discard(ObjectStore& objects, const Catalog& catalog, Id id) {
  const auto record = catalog.get(id);
  if (record.ok()) return invalid(id.text() + " is not damaged");
  if (!is(record, ErrorCode::kCorrupt)) return record.error();
  const std::string key = RecordFolder<Kind>::key_of(id);
  const ByteVector bytes = TRY(get_object(objects, key, kMaxDamagedBytes));
  DiscardedRecord discarded{record.error().text(),
                            fmt::format("damaged/{}.{}", id.text(), UtcTime::now().unix_ns)};
  TRY(objects.put_if_absent(discarded.kept, bytes));
  TRY(objects.remove(key));
  return discarded;
}

}  // namespace

Result<DiscardedRecord> discard_damaged_record(Repo& repo, const Caller& caller, const std::string& id) {
  ObjectStore& objects = repo.objects();
  if (const auto snapshot = SnapshotId::parse(id); snapshot.ok()) {
    DiscardedRecord discarded = TRY(discard<SnapshotKind>(objects, repo.snapshots(), snapshot.value()));
    const auto users = SnapshotUsers::read(objects);
    const Status unused = users.ok() ? users.value().check_unused(snapshot.value()) : Status(users.error());
    if (!unused.ok()) caller.notices.warn(unused.error().text() + ": it can't be used any more");
    return discarded;
  }
  if (const auto volume = VolumeId::parse(id); volume.ok())
    return discard<VolumeKind>(objects, VolumeCatalog(objects), volume.value());
  if (const auto image = ImageId::parse(id); image.ok())
    return discard<ImageKind>(objects, ImageCatalog(objects), image.value());
  return invalid(fmt::format("'{}' is not the id of a snapshot, a volume or an image", id));
}

}  // namespace ashlar
