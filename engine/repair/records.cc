#include "repair/records.h"

#include <algorithm>
#include <set>

#include "catalog/images.h"
#include "catalog/snapshots.h"
#include "image/snapshot_users.h"
#include "scrub/record_check.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kMaxRecordBytes = std::uint64_t{64} << 20U;

// What a running program keeps for itself is made anew; a copy of it would be wrong.
bool is_of_programs(const std::string& key) {
  return std::ranges::any_of(std::vector<std::string_view>{"sessions/", "collect/", "scrub/", "damage/"},
                             [&](std::string_view folder) { return key.starts_with(folder); });
}

bool is_wrong(const Error& error) { return error.code() == ErrorCode::kCorrupt; }

// Returns the keys of records that are damaged.
Result<std::set<std::string>> damaged_keys(ObjectStore& objects) {
  std::set<std::string> keys;
  for (const RecordFault& fault : TRY(check_records(objects))) {
    if (!fault.is_unread) keys.insert(fault.object);
  }
  const SnapshotCatalog snapshots(objects);
  for (const SnapshotId id : TRY(snapshots.list_ids())) {
    const auto object = snapshots.read(id);
    if (!object.ok() && is_wrong(object.error())) keys.insert(SnapshotCatalog::key_of(id));
  }
  return keys;
}

// Adds the records of snapshots that images and volumes need and that are gone.
Status add_missing_snapshots(ObjectStore& objects, std::set<std::string>& keys) {
  const SnapshotCatalog snapshots(objects);
  for (const auto& [id, user] : TRY(SnapshotUsers::read(objects)).needed()) {
    if (is(snapshots.read(id), ErrorCode::kNotFound)) keys.insert(SnapshotCatalog::key_of(id));
  }
  return {};
}

// Returns whether the record was put back.
Result<bool> put_back(ObjectStore& objects, ObjectStore& copy, const std::string& key) {
  const auto right = get_object(copy, key, kMaxRecordBytes);
  if (is(right, ErrorCode::kNotFound)) return false;
  if (!right.ok()) return right.error();
  const auto wrong = get_object(objects, key, kMaxRecordBytes);
  if (is(wrong, ErrorCode::kNotFound)) {
    TRY(objects.put_if_absent(key, right.value()));
    return true;
  }
  if (!wrong.ok()) return wrong.error();
  if (wrong.value() == right.value()) return false;
  TRY(objects.replace(key, wrong.value(), right.value()));
  return true;
}

}  // namespace

Result<std::vector<std::string>> claim_missing_names(ObjectStore& objects) {
  std::vector<std::string> done;
  ImageCatalog images(objects);
  for (const ImageId id : TRY(images.list_ids())) {
    const auto image = images.get(id);
    if (!image.ok()) continue;
    if (auto key = TRY(images.claim_missing_name(image.value()))) done.push_back(*std::move(key));
  }
  return done;
}

Result<std::vector<std::string>> put_records_back(ObjectStore& objects, ObjectStore& copy) {
  std::set<std::string> keys = TRY(damaged_keys(objects));
  TRY(add_missing_snapshots(objects, keys));
  std::vector<std::string> done;
  if (keys.empty()) return done;
  const std::set<std::string> damaged_there = TRY(damaged_keys(copy));
  for (const std::string& key : keys) {
    if (is_of_programs(key) || key.ends_with('/') || damaged_there.contains(key)) continue;
    if (TRY(put_back(objects, copy, key))) done.push_back(key);
  }
  return done;
}

}  // namespace ashlar
