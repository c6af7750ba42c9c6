#include "scrub/record_check.h"

#include <fmt/format.h>

#include "catalog/collections.h"
#include "catalog/images.h"
#include "catalog/launch_templates.h"
#include "catalog/lifecycle_policies.h"
#include "catalog/scrubs.h"
#include "catalog/sessions.h"
#include "catalog/settings.h"
#include "catalog/snapshots.h"
#include "catalog/volumes.h"
#include "scrub/pack_check.h"

namespace ashlar {
namespace {

class RecordCheck {
 public:
  explicit RecordCheck(ObjectStore& objects) : objects_(objects) {}

  Result<std::vector<RecordFault>> run() {
    TRY(check_each<ImageKind>(ImageCatalog(objects_), [](const ImageRecord& image) {
      return is_alive(image) ? snapshots_of(image) : std::vector<SnapshotId>();
    }));
    TRY(check_names());
    TRY(check_each<VolumeKind>(VolumeCatalog(objects_), [](const VolumeRecord& volume) {
      return volume.is_detached ? std::vector<SnapshotId>() : std::vector{volume.base};
    }));
    const auto nothing = [](const auto&) { return std::vector<SnapshotId>(); };
    TRY(check_each<LaunchTemplateKind>(LaunchTemplateCatalog(objects_), nothing));
    TRY(check_each<LifecyclePolicyKind>(LifecyclePolicyCatalog(objects_), nothing));
    if (const auto settings = get_settings(objects_); !settings.ok()) note("settings.json", settings.error());
    for (const SessionId& id : TRY(list_session_ids(objects_))) {
      if (const auto session = find_session(objects_, id); !session.ok())
        note("sessions/" + id.hex(), session.error());
    }
    TRY(check_collection());
    if (const auto state = ScrubCatalog(objects_, {}).state(); !state.ok())
      note(std::string(ScrubCatalog::kStateKey), state.error());
    return std::move(faults_);
  }

 private:
  void note(std::string object, const Error& error) {
    if (error.code() == ErrorCode::kNotFound) return;  // removed meanwhile
    faults_.push_back({std::move(object), error.text(), !says_damage(error)});
  }

  // A list belongs to the state that names it. Any other one is left over, and may be removed at any time.
  Status check_collection() {
    const CollectionCatalog collections(objects_);
    const auto state = collections.state();
    if (!state.ok()) note(std::string(CollectionCatalog::kStateKey), state.error());
    if (!state.ok() || state.value().phase == CollectionPhase::kIdle) return {};
    const auto list = collections.list_of(state.value());
    if (!list.ok()) note(CollectionCatalog::key_of(state.value().epoch, state.value().list), list.error());
    return {};
  }

  Status check_names() {
    const ImageCatalog images(objects_);
    for (const auto& [key, error] : TRY(images.unreadable_claims())) note(key, error);
    for (const ImageId id : TRY(images.list_ids())) {
      const auto image = images.get(id);
      if (!image.ok()) continue;  // noted already
      const Status named = images.check_name(image.value());
      if (named.ok()) continue;
      const auto again = images.get(id);
      if (again.ok() && again.value() == image.value()) note("image-names/", named.error());
    }
    return {};
  }

  // Reads every record of a kind, and looks for the snapshots that `needs` names.
  template <class Kind, class Catalog, class Needs>
  Status check_each(const Catalog& catalog, const Needs& needs) {
    for (const auto id : TRY(catalog.list_ids())) {
      const std::string key = Catalog::key_of(id);
      const auto record = catalog.get(id);
      if (!record.ok()) {
        note(key, record.error());
        continue;
      }
      for (const SnapshotId snapshot : needs(record.value())) {
        if (!is(snapshots_.get(snapshot), ErrorCode::kNotFound)) continue;
        // The record may be gone by now, and the snapshot deleted after that.
        const auto again = catalog.get(id);
        if (again.ok() && again.value() == record.value())
          faults_.push_back(
              {key, fmt::format("its snapshot {} is not in this store", snapshot.text()), false});
      }
    }
    return {};
  }

  ObjectStore& objects_;
  const SnapshotCatalog snapshots_{objects_};
  std::vector<RecordFault> faults_;
};

}  // namespace

Result<std::vector<RecordFault>> check_records(ObjectStore& objects) { return RecordCheck(objects).run(); }

}  // namespace ashlar
