#include "catalog/bin.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

namespace ashlar {
namespace {

constexpr std::string_view kFolder = "bin/";

std::string key_of(const BinEntry& entry) {
  return fmt::format("{}{}.{}", kFolder, entry.snapshot.text(), entry.deleted.unix_ns);
}

// Parses the key of an entry; returns no value for any other name.
std::optional<BinEntry> entry_of(std::string_view key) {
  const std::string_view name = key.substr(kFolder.size());
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto id = SnapshotId::parse(name.substr(0, dot));
  const std::string_view digits = name.substr(dot + 1);
  BinEntry entry;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), entry.deleted.unix_ns);
  if (!id.ok() || error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  entry.snapshot = id.value();
  return entry;
}

}  // namespace

Status SnapshotBin::put(const SnapshotRecord& record, UtcTime deleted) {
  return objects_.put_if_absent(key_of({record.id, deleted}), encode(record))
      .with_context(fmt::format("put {} into the bin", record.id.text()));
}

Result<std::vector<BinEntry>> SnapshotBin::all() const {
  std::vector<BinEntry> entries;
  TRY(objects_.list(kFolder, [&](const ObjectInfo& object) -> Status {
    const auto entry = entry_of(object.key);
    if (entry) entries.push_back(*entry);
    return {};
  }));
  return entries;
}

// Keeps the last entry of each snapshot: an interrupted restore may have left an entry of an earlier
// deletion.
Result<std::vector<BinEntry>> SnapshotBin::list() const {
  std::map<SnapshotId, UtcTime> last;
  for (const BinEntry& entry : TRY(all())) {
    UtcTime& deleted = last[entry.snapshot];
    deleted = std::max(deleted, entry.deleted);
  }
  std::vector<BinEntry> entries;
  entries.reserve(last.size());
  for (const auto& [snapshot, deleted] : last) entries.push_back({snapshot, deleted});
  std::ranges::stable_sort(entries, {}, &BinEntry::deleted);
  return entries;
}

Result<BinEntry> SnapshotBin::find(SnapshotId snapshot) const {
  for (const BinEntry& entry : TRY(list())) {
    if (entry.snapshot == snapshot) return entry;
  }
  return not_found(fmt::format("no snapshot {} in the bin", snapshot.text()))
      .about(ErrorKind::kNotInBin, snapshot.text());
}

Result<SnapshotRecord> SnapshotBin::get(const BinEntry& entry) const {
  const std::string key = key_of(entry);
  const ByteVector bytes = TRY(get_object(objects_, key, kMaxSnapshotRecordBytes));
  SnapshotRecord record = TRY(decode_snapshot_record(bytes).with_context(key));
  if (record.id == entry.snapshot) return record;
  return corrupt(fmt::format("{}: holds the record of {}", key, record.id.text()));
}

Result<bool> SnapshotBin::has(const BinEntry& entry) const {
  const auto found = objects_.stat(key_of(entry));
  if (found.ok()) return true;
  if (found.error().code() == ErrorCode::kNotFound) return false;
  return found.error();
}

Result<bool> SnapshotBin::take_out(const BinEntry& entry) {
  Status removed = objects_.remove(key_of(entry));
  if (is(removed, ErrorCode::kNotFound)) return false;
  TRY(std::move(removed));
  return true;
}

Status SnapshotBin::remove(const BinEntry& entry) { return remove_if_there(objects_, key_of(entry)); }

}  // namespace ashlar
