#include "catalog/traces.h"

#include <fmt/format.h>

namespace ashlar {
namespace {

constexpr std::string_view kFolder = "traces/";
constexpr std::string_view kBootFolder = "boot/";

std::string boot_folder(SnapshotId id) { return fmt::format("{}{}/", kBootFolder, id.text()); }

}  // namespace

std::string boot_pack_key(SnapshotId snapshot, const BootPackId& pack) {
  return boot_folder(snapshot) + pack.hex();
}

std::string TraceCatalog::key_of(SnapshotId snapshot, AccountId owner) {
  const std::string key = std::string(kFolder) + snapshot.text();
  return owner.value == 0 ? key : key + "." + owner.text();
}

Result<std::optional<TraceRecord>> TraceCatalog::get(SnapshotId snapshot) const {
  const std::string key = key_of(snapshot);
  auto bytes = get_object(objects_, key, kMaxTraceBytes);
  if (is(bytes, ErrorCode::kNotFound)) return std::optional<TraceRecord>();
  if (!bytes.ok()) return bytes.take_error();
  TraceRecord record = TRY(decode_trace_record(bytes.value()).with_context(key));
  if (record.snapshot != snapshot || record.owner != owner_.value)
    return corrupt(fmt::format("{}: is of another snapshot or account", key));
  return std::optional(std::move(record));
}

Status TraceCatalog::replace(const std::optional<TraceRecord>& before, const TraceRecord& now) {
  const ByteVector bytes = encode(now);
  if (now.owner != owner_.value || TRY(decode_trace_record(bytes)) != now)
    return invalid("the trace is not valid");
  const std::string key = key_of(now.snapshot);
  return before ? objects_.replace(key, encode(*before), bytes) : objects_.put_if_absent(key, bytes);
}

Result<std::vector<SnapshotId>> TraceCatalog::list() const {
  std::vector<SnapshotId> ids;
  TRY(objects_.list(kFolder, [&](const ObjectInfo& object) -> Status {
    const std::string_view name = std::string_view(object.key).substr(kFolder.size());
    const auto id = SnapshotId::parse(name.substr(0, name.find('.')));
    if (id.ok() && object.key == key_of(id.value())) ids.push_back(id.value());
    return {};
  }));
  return ids;
}

Result<std::set<SnapshotId>> TraceCatalog::list_all() const {
  std::set<SnapshotId> ids;
  for (const std::string_view folder : {kFolder, kBootFolder}) {
    TRY(objects_.list(folder, [&](const ObjectInfo& object) -> Status {
      const std::string_view name = std::string_view(object.key).substr(folder.size());
      const auto id = SnapshotId::parse(name.substr(0, name.find_first_of("./")));
      if (id.ok()) ids.insert(id.value());
      return {};
    }));
  }
  return ids;
}

Status TraceCatalog::forget(SnapshotId snapshot) { return remove_if_there(objects_, key_of(snapshot)); }

Status TraceCatalog::remove(SnapshotId snapshot) {
  std::vector<std::string> keys;
  const std::string plain = std::string(kFolder) + snapshot.text();
  TRY(objects_.list(kFolder, [&](const ObjectInfo& object) -> Status {
    if (object.key == plain || object.key.starts_with(plain + ".")) keys.push_back(object.key);
    return {};
  }));
  TRY(objects_.list(boot_folder(snapshot), [&](const ObjectInfo& object) -> Status {
    keys.push_back(object.key);
    return {};
  }));
  for (const std::string& key : keys) TRY(remove_if_there(objects_, key));
  return {};
}

Status TraceCatalog::remove_boot_pack(SnapshotId snapshot, const BootPackId& pack) {
  return remove_if_there(objects_, boot_pack_key(snapshot, pack));
}

}  // namespace ashlar
