#include "catalog/snapshots.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <tuple>

namespace ashlar {
namespace {

constexpr std::string_view kFolder = "snapshots/";

std::string key_of(SnapshotId id) { return fmt::format("{}{}", kFolder, id.text()); }

Error unknown(SnapshotId id) {
  return not_found(fmt::format("no snapshot {} in this store: 'ashlar snapshots' lists them", id.text()));
}

bool older(const SnapshotRecord& a, const SnapshotRecord& b) {
  return std::tie(a.created, a.id) < std::tie(b.created, b.id);
}

// Of one record; any other failure is the store's.
bool says_nothing(ErrorCode code) {
  return code == ErrorCode::kNotFound || code == ErrorCode::kCorrupt || code == ErrorCode::kUnsupported;
}

}  // namespace

Status SnapshotCatalog::publish(const SnapshotRecord& record) {
  if (record.id.value == 0) return invalid("a snapshot id of zero means none");
  TRY(check_limits(record));
  const ByteVector bytes = encode(record);
  // What no reader would accept must not be published.
  const SnapshotRecord again =
      TRY(decode_snapshot_record(bytes).with_context("the snapshot's record makes no sense"));
  if (again != record) return invalid("the snapshot's record does not survive its encoding");
  Status status = objects_.put_if_absent(key_of(record.id), bytes);
  if (!status.ok() && status.error().code() == ErrorCode::kBusy) {
    return busy(fmt::format("snapshot {} exists already", record.id.text()));
  }
  return std::move(status).with_context(fmt::format("publish {}", record.id.text()));
}

Result<SnapshotRecord> SnapshotCatalog::get(SnapshotId id) const {
  const std::string key = key_of(id);
  auto bytes = get_object(objects_, key, kMaxSnapshotRecordBytes);
  if (!bytes.ok() && bytes.error().code() == ErrorCode::kNotFound) return unknown(id);
  if (!bytes.ok()) return bytes.take_error().with_context(fmt::format("snapshot {}", id.text()));
  SnapshotRecord record = TRY(decode_snapshot_record(bytes.value()).with_context(key));
  if (record.id != id) return corrupt(fmt::format("{}: holds the record of {}", key, record.id.text()));
  return record;
}

Result<std::vector<SnapshotId>> SnapshotCatalog::list_ids() const {
  std::vector<SnapshotId> ids;
  TRY(objects_.list(kFolder, [&](const ObjectInfo& object) -> Status {
    const auto id = SnapshotId::parse(std::string_view(object.key).substr(kFolder.size()));
    if (id.ok()) ids.push_back(id.value());  // under any other name it is no record of ours
    return {};
  }));
  return ids;
}

Result<std::vector<SnapshotRecord>> SnapshotCatalog::list() const {
  std::vector<SnapshotRecord> records;
  for (const SnapshotId id : TRY(list_ids())) {
    auto record = get(id);
    if (record.ok()) {
      records.push_back(record.take());
    } else if (record.error().code() != ErrorCode::kNotFound) {  // not one deleted since
      return record.take_error();
    }
  }
  std::sort(records.begin(), records.end(), older);
  return records;
}

Result<std::optional<SnapshotRecord>> SnapshotCatalog::newest_of(const SourceIdentity& identity) const {
  std::optional<SnapshotRecord> newest;
  for (const SnapshotId id : TRY(list_ids())) {
    auto record = get(id);
    // The answer is a guess at a parent, which only costs time when it is wrong: a damaged record of some
    // other snapshot must not stop a capture.
    if (!record.ok()) {
      if (!says_nothing(record.error().code())) return record.take_error();
      continue;
    }
    SnapshotRecord found = record.take();
    if (found.source_identity == identity && (!newest || older(*newest, found))) newest = std::move(found);
  }
  return newest;
}

Status SnapshotCatalog::remove(SnapshotId id) {
  Status status = objects_.remove(key_of(id));
  if (!status.ok() && status.error().code() == ErrorCode::kNotFound) return unknown(id);
  return std::move(status).with_context(fmt::format("delete {}", id.text()));
}

}  // namespace ashlar
