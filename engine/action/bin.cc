#include "action/bin.h"

#include <fmt/format.h>

#include <algorithm>

#include "catalog/settings.h"
#include "image/access.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kDay = std::uint64_t{24} * 3600 * 1'000'000'000;

Status check_owner(const ImageRecord& record, const Caller& caller) {
  if (record.owner == caller.account) return {};
  if (!may_see(record, caller.account))
    return not_found(fmt::format("no image {} in this store", record.id.text()))
        .about(ErrorKind::kNoSuchImage, record.id.text());
  return invalid(fmt::format("{} belongs to {}: only its owner may change it", record.id.text(),
                             record.owner.text()));
}

}  // namespace

std::string DeletedThing::id_text() const {
  return std::visit([](const auto& one) { return one.text(); }, id);
}

Result<std::vector<DeletedThing>> describe_bin(Repo& repo, const Caller& caller) {
  std::vector<DeletedThing> things;
  const SnapshotBin bin(repo.objects());
  for (const BinEntry& entry : TRY(bin.list())) {
    const auto record = bin.get(entry);
    things.push_back({entry.snapshot, entry.deleted, record.ok() ? record.value().name : ""});
  }
  const ImageCatalog images(repo.objects());
  for (const ImageId id : TRY(images.list_ids())) {
    const auto record = images.get(id);
    if (record.ok() && record.value().state == ImageState::kDeregistered &&
        record.value().owner == caller.account)
      things.push_back({id, *record.value().deregistered, record.value().name});
  }
  std::ranges::stable_sort(things, {}, &DeletedThing::deleted);
  return things;
}

Status restore_snapshot_from_bin(Repo& repo, const Caller& /*caller*/, SnapshotId id) {
  TRY(restore_snapshot(repo.objects(), id));
  return {};
}

Status restore_image_from_bin(Repo& repo, const Caller& caller, ImageId id) {
  TRY(check_owner(TRY(ImageCatalog(repo.objects()).get(id)), caller));
  TRY(restore_image(repo.objects(), id));
  return {};
}

Result<Purged> purge_bin(Repo& repo, const Caller& /*caller*/, PurgeAge age) {
  const std::uint64_t now = UtcTime::now().unix_ns;
  const std::uint64_t days = age == PurgeAge::kAny ? 0 : TRY(get_settings(repo.objects())).bin_days;
  return purge_bin(repo.objects(), UtcTime{now - std::min(now, days * kDay)});
}

}  // namespace ashlar
