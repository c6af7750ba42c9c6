#include "catalog/volumes.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <tuple>

namespace ashlar {
namespace {

constexpr std::string_view kFolder = "volumes/";

std::string key_of(VolumeId id) { return fmt::format("{}{}", kFolder, id.text()); }

Error unknown(VolumeId id) {
  return not_found(fmt::format("no volume {} in this store: 'ashlar volume list' lists them", id.text()));
}

// The bytes of a record that every reader will accept.
Result<ByteVector> checked_bytes(const VolumeRecord& record) {
  TRY(check_limits(record));
  ByteVector bytes = encode(record);
  if (TRY(decode_volume_record(bytes)) != record) return invalid("the volume's record makes no sense");
  return bytes;
}

}  // namespace

Status VolumeCatalog::publish(const VolumeRecord& record) {
  return objects_.put_if_absent(key_of(record.id), TRY(checked_bytes(record)))
      .with_context(fmt::format("publish {}", record.id.text()));
}

Status VolumeCatalog::replace(const VolumeRecord& before, const VolumeRecord& now) {
  const ByteVector bytes = TRY(checked_bytes(now));
  return objects_.replace(key_of(now.id), encode(before), bytes)
      .with_context(fmt::format("change {}", now.id.text()));
}

Result<VolumeRecord> VolumeCatalog::get(VolumeId id) const {
  const std::string key = key_of(id);
  auto bytes = get_object(objects_, key, kMaxVolumeRecordBytes);
  if (!bytes.ok() && bytes.error().code() == ErrorCode::kNotFound) return unknown(id);
  if (!bytes.ok()) return bytes.take_error().with_context(fmt::format("volume {}", id.text()));
  VolumeRecord record = TRY(decode_volume_record(bytes.value()).with_context(key));
  if (record.id != id) return corrupt(fmt::format("{}: holds the record of {}", key, record.id.text()));
  return record;
}

Result<std::vector<VolumeRecord>> VolumeCatalog::list() const {
  std::vector<VolumeId> ids;
  TRY(objects_.list(kFolder, [&](const ObjectInfo& object) -> Status {
    const auto id = VolumeId::parse(std::string_view(object.key).substr(kFolder.size()));
    if (id.ok()) ids.push_back(id.value());  // under any other name it is no record of ours
    return {};
  }));
  std::vector<VolumeRecord> records;
  for (const VolumeId id : ids) {
    auto record = get(id);
    if (record.ok()) {
      records.push_back(record.take());
    } else if (record.error().code() != ErrorCode::kNotFound) {  // not one deleted since
      return record.take_error();
    }
  }
  std::ranges::sort(records, [](const VolumeRecord& a, const VolumeRecord& b) {
    return std::tie(a.created, a.id) < std::tie(b.created, b.id);
  });
  return records;
}

Status VolumeCatalog::remove(VolumeId id) {
  Status status = objects_.remove(key_of(id));
  if (!status.ok() && status.error().code() == ErrorCode::kNotFound) return unknown(id);
  return std::move(status).with_context(fmt::format("delete {}", id.text()));
}

}  // namespace ashlar
