#include <fmt/format.h>

#include "action/stores.h"
#include "base/clock.h"
#include "base/random.h"
#include "catalog/collections.h"
#include "catalog/images.h"
#include "catalog/sessions.h"
#include "catalog/settings.h"
#include "catalog/volumes.h"
#include "format/free_record.h"
#include "image/snapshot_users.h"

namespace ashlar {
namespace {

constexpr std::size_t kMaxDamagedBytes = std::size_t{64} << 20U;  // a damaged record may be longer than any

// Replaces the damaged bytes by `gone`, so that a record that another process put in their place meanwhile
// stays, and then removes the object. The id was random, so the key never has another record.
template <class Catalog, class Id>
Result<DiscardedRecord> discard(ObjectStore& objects, const Catalog& catalog, Id id, ByteSpan gone) {
  const auto record = catalog.get(id);
  if (record.ok()) return invalid(id.text() + " is not damaged");
  if (!is(record, ErrorCode::kCorrupt)) return record.error();
  const std::string key = Catalog::key_of(id);
  const ByteVector bytes = TRY(get_object(objects, key, kMaxDamagedBytes));
  if (!is(catalog.get(id), ErrorCode::kCorrupt)) return busy(key + " can be read again");
  DiscardedRecord discarded{record.error().text(),
                            fmt::format("damaged/{}.{}", id.text(), UtcTime::now().unix_ns)};
  TRY(objects.put_if_absent(discarded.kept, bytes));
  TRY(objects.replace(key, bytes, gone));
  best_effort(objects.remove(key));
  return discarded;
}

ByteVector swept(SnapshotId id) {
  return encode(GoneSnapshot{id, GoneState::kSwept, 0, UtcTime::now(), random_id<Nonce>(), {}});
}

ByteVector free_record() { return encode(FreeRecord{1, random_id<Nonce>()}); }

// Returns settings whose bytes no earlier settings of the store had.
std::string fresh_settings() {
  StoreSettings settings;
  settings.revision = UtcTime::now().unix_ns;
  return encode(settings);
}

// Settings that are gone have no bytes to keep.
Result<DiscardedRecord> discard_settings(ObjectStore& objects) {
  const auto settings = get_settings(objects);
  if (settings.ok()) return invalid("the settings are not damaged");
  if (!is(settings, ErrorCode::kCorrupt)) return settings.error();
  DiscardedRecord discarded{settings.error().text(), ""};
  const auto bytes = get_object(objects, kSettingsKey, kMaxDamagedBytes);
  if (bytes.ok()) {
    discarded.kept = fmt::format("damaged/settings.{}", UtcTime::now().unix_ns);
    TRY(objects.put_if_absent(discarded.kept, bytes.value()));
    TRY(objects.replace(kSettingsKey, bytes.value(), as_byte_span(fresh_settings())));
    return discarded;
  }
  if (!is(bytes, ErrorCode::kNotFound)) return bytes.error();
  TRY(objects.put_if_absent(kSettingsKey, as_byte_span(fresh_settings())));
  return discarded;
}

// A writer that begins later does not know what a collection was freeing, so neither may be at work.
Result<DiscardedRecord> discard_collection(Repo& repo) {
  const auto living = TRY(list_living_sessions(repo.objects()));
  if (!living.empty())
    return busy(fmt::format("session {} is open, and may rely on it", living.begin()->hex()))
        .about(ErrorKind::kSessionBeats, living.begin()->hex());
  ObjectStore& objects = repo.objects();
  const auto bytes = get_object(objects, CollectionCatalog::kStateKey, kMaxDamagedBytes);
  DiscardedRecord discarded{TRY(CollectionCatalog(objects).reset(repo.config().id)),
                            fmt::format("damaged/collection.{}", UtcTime::now().unix_ns)};
  TRY(objects.put_if_absent(discarded.kept, bytes.ok() ? ByteSpan(bytes.value()) : ByteSpan()));
  return discarded;
}

}  // namespace

Result<DiscardedRecord> discard_damaged_record(Repo& repo, const Caller& caller, const std::string& id) {
  ObjectStore& objects = repo.objects();
  if (const auto snapshot = SnapshotId::parse(id); snapshot.ok()) {
    DiscardedRecord discarded =
        TRY(discard(objects, repo.snapshots(), snapshot.value(), swept(snapshot.value())));
    const auto users = SnapshotUsers::read(objects);
    const Status unused = users.ok() ? users.value().check_unused(snapshot.value()) : Status(users.error());
    if (!unused.ok())
      caller.notices.warn(
          snapshot.value().text() +
          " is given up, and what stood on it can't be used any more: " + unused.error().text());
    return discarded;
  }
  if (const auto volume = VolumeId::parse(id); volume.ok())
    return discard(objects, VolumeCatalog(objects), volume.value(), free_record());
  if (const auto image = ImageId::parse(id); image.ok())
    return discard(objects, ImageCatalog(objects), image.value(), free_record());
  if (id == "settings") return discard_settings(objects);
  if (id == "collection") return discard_collection(repo);
  return invalid(
      fmt::format("'{}' is not the id of a snapshot, a volume or an image, 'settings' or 'collection'", id));
}

}  // namespace ashlar
