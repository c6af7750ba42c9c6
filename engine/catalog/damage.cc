#include "catalog/damage.h"

#include <fmt/format.h>

#include "base/random.h"

namespace ashlar {
namespace {

// The record of a pack as it is stored.
struct Stored {
  std::optional<ByteVector> bytes;     // nothing: there is no object
  std::optional<DamageRecord> record;  // nothing: the bytes are damaged
};

Result<Stored> read(ObjectStore& objects, const PackId& pack) {
  const std::string key = DamageCatalog::key_of(pack);
  Stored stored;
  auto bytes = get_object(objects, key, 2 * kMaxDamageRecordBytes);
  if (is(bytes, ErrorCode::kNotFound)) return stored;
  if (!bytes.ok()) return bytes.take_error();
  auto record = decode_damage_record(bytes.value()).with_context(key);
  stored.bytes = bytes.take();
  if (record.ok() && record.value().pack == pack) stored.record = record.take();
  if (!record.ok() && !is(record, ErrorCode::kCorrupt)) return record.take_error();
  return stored;
}

// Drops what a record can't hold.
void tidy(DamageRecord& record) {
  record.is_given_up = record.is_given_up && record.is_whole;
  for (auto& [id, damage] : record.segments) damage.lost &= damage.damaged;
  std::erase_if(record.segments, [](const auto& entry) { return entry.second.damaged.none(); });
  if (record.kind == PackKind::kData) {
    record.nodes.clear();
  } else {
    record.segments.clear();
  }
}

bool says_the_same(const DamageRecord& a, const DamageRecord& b) {
  return !has_more(a, b) && !has_more(b, a);
}

}  // namespace

std::string DamageCatalog::key_of(const PackId& pack) { return fmt::format("{}{}", kFolder, pack.hex()); }

Result<std::vector<PackId>> DamageCatalog::list_ids() const {
  std::vector<PackId> ids;
  TRY(objects_.list(kFolder, [&](const ObjectInfo& object) -> Status {
    const auto id = PackId::parse(std::string_view(object.key).substr(kFolder.size()));
    if (id.ok()) ids.push_back(id.value());  // any other name is not a record
    return {};
  }));
  return ids;
}

Result<std::optional<DamageRecord>> DamageCatalog::find(const PackId& pack) const {
  Stored stored = TRY(read(objects_, pack));
  if (stored.bytes && !stored.record)
    return corrupt(fmt::format("{}: the record of damage is damaged itself", key_of(pack)));
  return std::move(stored.record);
}

Result<DamageRecord> DamageCatalog::update(PackKind kind, const PackId& pack,
                                           const std::function<void(DamageRecord&)>& change) {
  const std::string key = key_of(pack);
  for (;;) {
    const Stored stored = TRY(read(objects_, pack));
    DamageRecord before;
    before.kind = kind;
    before.store = store_;
    before.pack = pack;
    before.revision = 0;
    before.is_whole = stored.bytes.has_value();
    if (stored.record) before = *stored.record;
    if (before.kind != kind) return corrupt(fmt::format("{}: names a pack of the other kind", key));
    DamageRecord now = before;
    change(now);
    tidy(now);
    const bool is_right = !stored.bytes || stored.record;
    if (is_right && says_the_same(before, now)) return before;
    now.revision = before.revision + 1;
    now.nonce = random_id<Nonce>();
    ByteVector bytes = encode(now);
    if (bytes.size() > kMaxDamageRecordBytes) {
      now.is_whole = true;
      now.segments.clear();
      now.nodes.clear();
      bytes = encode(now);
    }
    Status done =
        stored.bytes ? objects_.replace(key, *stored.bytes, bytes) : objects_.put_if_absent(key, bytes);
    if (done.ok()) return now;
    // The pack went, and its record after it.
    if (stored.bytes && is(done, ErrorCode::kNotFound)) return before;
    if (!is(done, ErrorCode::kBusy))
      return done.take_error().with_context(fmt::format("record damage of pack {}", pack.hex()));
    // A store that refuses without a reason must not keep this going.
    if (TRY(read(objects_, pack)).bytes == stored.bytes) return done.take_error();
  }
}

Result<DamageRecord> DamageCatalog::add(const DamageRecord& findings) {
  return update(findings.kind, findings.pack, [&](DamageRecord& record) { add_findings(record, findings); });
}

Result<DamageRecord> DamageCatalog::mark_lost(PackKind kind, const PackId& pack) {
  return update(kind, pack, [](DamageRecord& record) {
    record.is_given_up = record.is_whole;
    for (auto& [id, damage] : record.segments) damage.lost = damage.damaged;
    for (auto& [id, damage] : record.nodes) damage = NodeDamage::kLost;
  });
}

Status DamageCatalog::remove(const PackId& pack) { return remove_if_there(objects_, key_of(pack)); }

}  // namespace ashlar
