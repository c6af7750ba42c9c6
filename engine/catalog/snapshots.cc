#include "catalog/snapshots.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/random.h"

namespace ashlar {
namespace {

bool older(const SnapshotRecord& a, const SnapshotRecord& b) {
  return std::tie(a.created, a.id) < std::tie(b.created, b.id);
}

ByteVector bytes_of(const SnapshotObject& object) {
  return std::visit([](const auto& one) { return encode(one); }, object);
}

// Encodes an object, and checks that every reader will accept the bytes.
Result<ByteVector> checked_bytes(const SnapshotObject& object) {
  if (id_of(object).value == 0) return invalid("the id of the snapshot is missing");
  if (const auto* record = std::get_if<SnapshotRecord>(&object)) TRY(check_limits(*record));
  ByteVector bytes = bytes_of(object);
  const SnapshotObject again = TRY(decode_snapshot_object(bytes).with_context("the record is not valid"));
  if (again != object) return invalid("the record does not survive its encoding");
  return bytes;
}

Error unknown(SnapshotId id) {
  return not_found(fmt::format("no snapshot {} in this store", id.text()))
      .about(ErrorKind::kNoSuchSnapshot, id.text());
}

GoneSnapshot gone(const SnapshotRecord& record, GoneState state, std::uint32_t incarnation, UtcTime deleted) {
  return {record.id, state, incarnation, deleted, random_id<Nonce>(), record};
}

}  // namespace

std::string SnapshotCatalog::key_of(SnapshotId id) { return fmt::format("{}{}", kFolder, id.text()); }

Result<SnapshotObject> SnapshotCatalog::read(SnapshotId id) const {
  const std::string key = key_of(id);
  auto bytes = get_object(objects_, key, kMaxSnapshotObjectBytes);
  if (is(bytes, ErrorCode::kNotFound)) return unknown(id);
  const auto about = [id](Error error) {
    return error.code() == ErrorCode::kCorrupt ? error.about(ErrorKind::kRecordDamaged, id.text()) : error;
  };
  if (!bytes.ok()) return about(bytes.take_error().with_context(id.text()));
  auto object = decode_snapshot_object(bytes.value()).with_context(key);
  if (!object.ok()) return about(object.take_error());
  if (id_of(object.value()) != id)
    return about(corrupt(fmt::format("{}: holds {}", key, id_of(object.value()).text())));
  return object;
}

Result<SnapshotRecord> SnapshotCatalog::get(SnapshotId id) const {
  SnapshotObject object = TRY(read(id));
  if (auto* record = std::get_if<SnapshotRecord>(&object)) return std::move(*record);
  return unknown(id);
}

Status SnapshotCatalog::ensure_durable(const std::vector<SnapshotId>& ids) const {
  std::vector<std::string> keys;
  for (const SnapshotId id : ids) {
    TRY(get(id));
    keys.push_back(key_of(id));
  }
  Status durable = objects_.ensure_durable(keys);
  return std::move(durable).with_context("make snapshots durable");
}

Result<std::vector<SnapshotId>> SnapshotCatalog::list_ids() const {
  std::vector<SnapshotId> ids;
  TRY(objects_.list(kFolder, [&](const ObjectInfo& object) -> Status {
    const auto id = SnapshotId::parse(std::string_view(object.key).substr(kFolder.size()));
    if (id.ok()) ids.push_back(id.value());  // any other name is not a snapshot
    return {};
  }));
  return ids;
}

Result<std::vector<SnapshotRecord>> SnapshotCatalog::list(std::vector<std::string>& unread) const {
  std::vector<SnapshotRecord> records;
  for (const SnapshotId id : TRY(list_ids())) {
    auto record = get(id);
    if (record.ok()) {
      records.push_back(record.take());
    } else if (!is(record, ErrorCode::kNotFound)) {
      unread.push_back(record.error().text());
    }
  }
  std::ranges::sort(records, older);
  return records;
}

Status SnapshotCatalog::change(const SnapshotObject& before, const SnapshotObject& now) {
  const SnapshotId id = id_of(before);
  Status done = objects_.replace(key_of(id), bytes_of(before), TRY(checked_bytes(now)));
  if (done.ok()) return {};
  if (is(done, ErrorCode::kNotFound)) return unknown(id);
  return std::move(done).with_context(fmt::format("change {}", id.text()));
}

Status SnapshotCatalog::open(const OpenSnapshot& open) {
  Status put = objects_.put_if_absent(key_of(open.id), TRY(checked_bytes(open)), Lasts::kWhilePowered);
  if (is(put, ErrorCode::kBusy)) return busy(fmt::format("{} exists already", open.id.text()));
  return std::move(put).with_context(fmt::format("begin {}", open.id.text()));
}

// A commit that fails may have replaced the object all the same: the directory was not synced, or the answer
// was lost. So the open record is swept: when that succeeds, no late write can pass any more. Otherwise the
// record may be seen but not durable, and it is swept in turn: no one was told of it.
Status SnapshotCatalog::commit(const OpenSnapshot& open, const SnapshotRecord& record) {
  Status done = change(open, record);
  if (done.ok()) return {};
  if (is(done, ErrorCode::kBusy) || is(done, ErrorCode::kNotFound))
    return busy(
        fmt::format("{} was taken away from this program: nothing was published, run again", open.id.text()));
  Status swept = sweep(open);
  if (is(swept, ErrorCode::kBusy)) swept = sweep(record);
  if (swept.ok()) return done;
  // Where there was no room for the record, there is none to sweep; nothing was replaced.
  if (is(done, ErrorCode::kExhausted)) {
    if (const auto now = read(open.id); now.ok() && now.value() == SnapshotObject(open)) return done;
  }
  return swept.take_error().with_context(fmt::format(
      "it is not known whether {} was published (look for it before running again)", open.id.text()));
}

Status SnapshotCatalog::sweep(const SnapshotObject& object) {
  GoneSnapshot swept;
  swept.id = id_of(object);
  swept.deleted = UtcTime::now();
  swept.nonce = random_id<Nonce>();
  Status done = change(object, swept);
  if (is(done, ErrorCode::kNotFound)) return {};
  if (!done.ok()) {
    const auto now = read(swept.id);
    if (is(now, ErrorCode::kNotFound)) return {};
    const auto* gone = now.ok() ? std::get_if<GoneSnapshot>(&now.value()) : nullptr;
    if (gone == nullptr || gone->state != GoneState::kSwept) return done;
    swept = *gone;
  }
  return remove(swept);
}

Status SnapshotCatalog::replace(const SnapshotRecord& before, const SnapshotRecord& now) {
  return change(before, now);
}

Result<GoneSnapshot> SnapshotCatalog::move_to_bin(SnapshotId id, UtcTime deleted) {
  const SnapshotRecord record = TRY(get(id));
  GoneSnapshot binned = gone(record, GoneState::kBinned, record.incarnation + 1, deleted);
  TRY(change(record, binned));
  return binned;
}

Result<SnapshotRecord> SnapshotCatalog::take_back(const GoneSnapshot& binned) {
  if (binned.state != GoneState::kBinned || !binned.record) return invalid("not a snapshot in the bin");
  SnapshotRecord record = *binned.record;
  record.incarnation = binned.incarnation + 1;
  TRY(change(binned, record));
  return record;
}

Result<GoneSnapshot> SnapshotCatalog::find_in_bin(SnapshotId id) const {
  auto object = read(id);
  if (object.ok()) {
    if (auto* found = std::get_if<GoneSnapshot>(&object.value());
        found != nullptr && found->state == GoneState::kBinned)
      return std::move(*found);
  } else if (!is(object, ErrorCode::kNotFound)) {
    return object.take_error();
  }
  return not_found(fmt::format("no snapshot {} in the bin", id.text()))
      .about(ErrorKind::kNotInBin, id.text());
}

Result<std::vector<BinEntry>> SnapshotCatalog::list_bin(std::vector<Error>& unread) const {
  std::vector<BinEntry> entries;
  for (const SnapshotId id : TRY(list_ids())) {
    const auto binned = find_in_bin(id);
    if (binned.ok()) {
      entries.push_back({id, binned.value().deleted, binned.value().record->name});
    } else if (!is(binned, ErrorCode::kNotFound)) {
      unread.push_back(binned.error());
    }
  }
  std::ranges::stable_sort(entries, {}, &BinEntry::deleted);
  return entries;
}

Result<GoneSnapshot> SnapshotCatalog::purge(const GoneSnapshot& binned) {
  GoneSnapshot purged = binned;
  purged.state = GoneState::kPurged;
  purged.incarnation = binned.incarnation + 1;
  purged.nonce = random_id<Nonce>();
  TRY(change(binned, purged));
  return purged;
}

Status SnapshotCatalog::remove(const GoneSnapshot& gone) {
  if (gone.state == GoneState::kBinned)
    return invalid("a snapshot in the bin is purged before it is removed");
  return remove_if_there(objects_, key_of(gone.id));
}

}  // namespace ashlar
