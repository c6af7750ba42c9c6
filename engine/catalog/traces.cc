#include "catalog/traces.h"

#include <fmt/format.h>

namespace ashlar {
namespace {

constexpr std::string_view kFolder = "traces/";

std::string key_of(SnapshotId id) { return fmt::format("{}{}", kFolder, id.text()); }

std::string boot_folder(SnapshotId id) { return fmt::format("boot/{}/", id.text()); }

}  // namespace

std::string boot_pack_key(SnapshotId snapshot, const BootPackId& pack) {
  return boot_folder(snapshot) + pack.hex();
}

Result<std::optional<TraceRecord>> TraceCatalog::get(SnapshotId snapshot) const {
  const std::string key = key_of(snapshot);
  auto bytes = get_object(objects_, key, kMaxTraceBytes);
  if (!bytes.ok() && bytes.error().code() == ErrorCode::kNotFound) return std::optional<TraceRecord>();
  if (!bytes.ok()) return bytes.take_error();
  TraceRecord record = TRY(decode_trace_record(bytes.value()).with_context(key));
  if (record.snapshot != snapshot) return corrupt(fmt::format("{}: is of another snapshot", key));
  return std::optional(std::move(record));
}

Status TraceCatalog::replace(const std::optional<TraceRecord>& before, const TraceRecord& now) {
  const ByteVector bytes = encode(now);
  if (TRY(decode_trace_record(bytes)) != now) return invalid("the trace makes no sense");
  const std::string key = key_of(now.snapshot);
  return before ? objects_.replace(key, encode(*before), bytes) : objects_.put_if_absent(key, bytes);
}

Result<std::vector<SnapshotId>> TraceCatalog::list() const {
  std::vector<SnapshotId> ids;
  TRY(objects_.list(kFolder, [&](const ObjectInfo& object) -> Status {
    const auto id = SnapshotId::parse(std::string_view(object.key).substr(kFolder.size()));
    if (id.ok()) ids.push_back(id.value());
    return {};
  }));
  return ids;
}

Status TraceCatalog::remove(SnapshotId snapshot) {
  TRY(remove_if_there(objects_, key_of(snapshot)));
  std::vector<std::string> packs;
  TRY(objects_.list(boot_folder(snapshot), [&](const ObjectInfo& object) -> Status {
    packs.push_back(object.key);
    return {};
  }));
  for (const std::string& key : packs) TRY(remove_if_there(objects_, key));
  return {};
}

Status TraceCatalog::remove_boot_pack(SnapshotId snapshot, const BootPackId& pack) {
  return remove_if_there(objects_, boot_pack_key(snapshot, pack));
}

}  // namespace ashlar
