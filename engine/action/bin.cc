#include "action/bin.h"

#include <fmt/format.h>

#include <algorithm>

#include "action/account_images.h"
#include "catalog/settings.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kDay = std::uint64_t{24} * 3600 * 1'000'000'000;

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
  const AccountImages images = AccountImages::open(repo, caller);
  for (const ImageId id : TRY(images.catalog().list_ids())) {
    const auto record = images.catalog().get(id);
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
  const auto own = AccountImages::open(repo, caller).find_own(id, true);
  if (is(own, ErrorCode::kNotFound))
    return not_found(fmt::format("no image {} in the bin", id.text())).about(ErrorKind::kNotInBin, id.text());
  if (!own.ok()) return own.error();
  TRY(restore_image(repo.objects(), id));
  return {};
}

Result<Purged> purge_bin(Repo& repo, const Caller& /*caller*/, PurgeAge age) {
  const std::uint64_t now = UtcTime::now().unix_ns;
  const std::uint64_t days = age == PurgeAge::kAny ? 0 : TRY(get_settings(repo.objects())).bin_days;
  return purge_bin(repo.objects(), UtcTime{now - std::min(now, days * kDay)});
}

}  // namespace ashlar
