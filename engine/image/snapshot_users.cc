#include "image/snapshot_users.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "base/bytes.h"

namespace ashlar {
namespace {

// Calls `take` with each record of a catalog that can be read, and adds the damaged ones to `damaged`.
template <class Kind, class Catalog, class Take>
Status read_all(ObjectStore& objects, const Catalog& catalog, const Take& take,
                std::vector<SnapshotUsers::DamagedRecord>& damaged) {
  for (const auto id : TRY(catalog.list_ids())) {
    auto record = catalog.get(id);
    if (record.ok()) {
      take(record.take());
      continue;
    }
    if (is(record, ErrorCode::kNotFound)) continue;  // removed meanwhile
    if (!is(record, ErrorCode::kCorrupt)) return record.error();
    const std::string key = Catalog::key_of(id);
    auto bytes = get_object(objects, key, Kind::kMaxBytes);
    if (!bytes.ok() && !is(bytes, ErrorCode::kCorrupt)) return bytes.error();
    damaged.push_back({key, record.error().text(), bytes.ok() ? bytes.take() : ByteVector()});
  }
  return {};
}

// Returns whether a record names a snapshot: records of images have its text, those of volumes its number,
// lowest byte first.
bool names(ByteSpan record, SnapshotId id) {
  if (as_text(record).find(id.text()) != std::string_view::npos) return true;
  std::array<std::byte, sizeof id.value> number{};
  for (std::size_t i = 0; i < number.size(); ++i) number[i] = static_cast<std::byte>(id.value >> (8 * i));
  return std::search(record.begin(), record.end(), number.begin(), number.end()) != record.end();
}

}  // namespace

Result<SnapshotUsers> SnapshotUsers::read(ObjectStore& objects, Images images) {
  SnapshotUsers users;
  const auto take_volume = [&users](const VolumeRecord& record) {
    if (record.is_detached) return;
    for (const SnapshotId id : {record.base, record.previous_base}) users.volumes_.try_emplace(id, record.id);
  };
  TRY(read_all<VolumeKind>(objects, VolumeCatalog(objects), take_volume, users.damaged_));
  const auto take_image = [&users, images](ImageRecord record) {
    if (is_alive(record)) {
      for (const SnapshotId id : snapshots_of(record)) users.needed_by_image_.try_emplace(id, record.id);
    }
    if (images == Images::kKept) users.images_.push_back(std::move(record));
  };
  TRY(read_all<ImageKind>(objects, ImageCatalog(objects), take_image, users.damaged_));
  std::ranges::sort(users.images_, [](const ImageRecord& a, const ImageRecord& b) {
    return std::tie(a.created, a.id) < std::tie(b.created, b.id);
  });
  return users;
}

std::optional<std::string> SnapshotUsers::damaged_user(SnapshotId id) const {
  for (const DamagedRecord& record : damaged_) {
    if (names(record.bytes, id)) return record.key;
  }
  return std::nullopt;
}

std::map<SnapshotId, std::string> SnapshotUsers::needed() const {
  std::map<SnapshotId, std::string> needed;
  for (const auto& [snapshot, volume] : volumes_) needed.try_emplace(snapshot, volume.text());
  for (const auto& [snapshot, image] : needed_by_image_) needed.try_emplace(snapshot, image.text());
  needed.erase(SnapshotId{});  // a blank volume stands on none
  return needed;
}

Status SnapshotUsers::check_unused(SnapshotId id) const {
  if (const auto user = volumes_.find(id); user != volumes_.end())
    return busy(fmt::format("{} is in use by {}: delete that volume first", id.text(), user->second.text()));
  if (const auto user = needed_by_image_.find(id); user != needed_by_image_.end())
    return busy(
        fmt::format("{} is in use by {}: deregister that image first", id.text(), user->second.text()));
  if (const auto key = damaged_user(id))
    return busy(
        fmt::format("{} is named in the damaged record {}, and may be in use by it", id.text(), *key));
  return {};
}

}  // namespace ashlar
