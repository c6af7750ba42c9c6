#include <fmt/format.h>

#include "action/stores.h"
#include "base/clock.h"
#include "base/random.h"
#include "catalog/collections.h"
#include "catalog/images.h"
#include "catalog/launch_templates.h"
#include "catalog/lifecycle_policies.h"
#include "catalog/sessions.h"
#include "catalog/settings.h"
#include "catalog/volumes.h"
#include "format/free_record.h"
#include "image/snapshot_users.h"

namespace ashlar {
namespace {

constexpr std::size_t kMaxDamagedBytes = std::size_t{64} << 20U;  // a damaged record may be longer than any

std::string kept_key(std::string_view id) { return fmt::format("damaged/{}.{}", id, UtcTime::now().unix_ns); }

// Replaces the damaged bytes by `gone`, so that a record that another process put in their place meanwhile
// stays.
template <class Catalog, class Id>
Result<DiscardedRecord> move_aside(ObjectStore& objects, const Catalog& catalog, Id id, ByteSpan gone) {
  const auto record = catalog.get(id);
  if (record.ok()) return invalid(id.text() + " is not damaged");
  if (!is(record, ErrorCode::kCorrupt)) return record.error();
  const std::string key = Catalog::key_of(id);
  const ByteVector bytes = TRY(get_object(objects, key, kMaxDamagedBytes));
  if (!is(catalog.get(id), ErrorCode::kCorrupt)) return busy(key + " can be read again");
  DiscardedRecord discarded{record.error().text(), kept_key(id.text())};
  TRY(objects.put_if_absent(discarded.kept, bytes));
  TRY(objects.replace(key, bytes, gone));
  return discarded;
}

// For random ids: the key never has another record, so the object is removed too.
template <class Catalog, class Id>
Result<DiscardedRecord> discard(ObjectStore& objects, const Catalog& catalog, Id id, ByteSpan gone) {
  DiscardedRecord discarded = TRY(move_aside(objects, catalog, id, gone));
  best_effort(objects.remove(Catalog::key_of(id)));
  return discarded;
}

// For ids that are made of names: the key is used again, so a free record stays. The revision of the damaged
// record is not known; no record changes once in a nanosecond.
template <class Catalog, class Id>
Result<DiscardedRecord> discard_named(ObjectStore& objects, Id id) {
  return move_aside(objects, Catalog(objects), id,
                    encode(FreeRecord{UtcTime::now().unix_ns, random_id<Nonce>()}));
}

Result<DiscardedRecord> discard_session_record(ObjectStore& objects, const SessionId& id) {
  const auto session = find_session(objects, id);
  if (session.ok()) return invalid(fmt::format("session {} is not damaged", id.hex()));
  if (!is(session, ErrorCode::kCorrupt)) return session.error();
  return DiscardedRecord{session.error().text(), TRY(discard_session(objects, id))};
}

Result<DiscardedRecord> discard_claim(ObjectStore& objects, const std::string& key) {
  DiscardedRecord discarded{"", kept_key(key.substr(kImageNames.size()))};
  const auto keep = [&](ByteSpan bytes) { return objects.put_if_absent(discarded.kept, bytes); };
  discarded.damage = TRY(ImageCatalog(objects).renew_claim(key, keep));
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
    discarded.kept = kept_key("settings");
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
  DiscardedRecord discarded{TRY(CollectionCatalog(objects).reset(repo.config().id)), kept_key("collection")};
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
  if (const auto named = LaunchTemplateId::parse(id); named.ok())
    return discard_named<LaunchTemplateCatalog>(objects, named.value());
  if (const auto policy = LifecyclePolicyId::parse(id); policy.ok())
    return discard_named<LifecyclePolicyCatalog>(objects, policy.value());
  if (const auto session = SessionId::parse(id); session.ok())
    return discard_session_record(objects, session.value());
  if (id.starts_with(kImageNames)) return discard_claim(objects, id);
  if (id == "settings") return discard_settings(objects);
  if (id == "collection") return discard_collection(repo);
  return invalid(fmt::format(
      "'{}' is not the id of a snapshot, volume, image, launch template, lifecycle policy or session, "
      "a name claim 'image-names/…', 'settings' or 'collection'",
      id));
}

}  // namespace ashlar
