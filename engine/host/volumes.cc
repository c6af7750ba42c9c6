#include "host/volumes.h"

#include <fmt/format.h>

#include "base/random.h"
#include "host/incarnation.h"
#include "process/process_identity.h"

namespace ashlar {
namespace {

// One process at a time has a volume open.
Error named(const Error& error, VolumeId id) {
  if (error.code() != ErrorCode::kBusy) return error;
  return busy(id.text() + " is open in another process").about(ErrorKind::kVolumeServed, id.text());
}

// The blocks that a detached volume grew by have no base: they are zeros.
Status hold_growth(Overlay& overlay) {
  const BlockRange all{Lba{}, blocks_covering(overlay.size())};
  for (const HoldRun& run : overlay.states(all)) {
    if (run.hold == BlockHold::kAbsent) TRY(overlay.put_clean_zeroes(run.blocks));
  }
  return {};
}

}  // namespace

Result<bool> Volumes::has_overlay(VolumeId id) const {
  const auto found = files().list(overlay_directory(id));
  if (found.ok()) return true;
  if (is(found, ErrorCode::kNotFound)) return false;
  return found.error();
}

Status Volumes::catch_up() {
  TRY(TRY(repo_.index())->catch_up());
  return {};
}

// A killed server leaves its control socket.
Status Volumes::remove_overlay_files(VolumeId id) {
  const std::string directory = overlay_directory(id);
  const Status gone = Overlay::remove(files(), directory);
  if (!gone.ok() && !is(gone, ErrorCode::kNotFound)) return named(gone.error(), id);
  TRY(remove_if_there(files(), directory + "/control").with_context(id.text()));
  return remove_incarnation(files(), directory).with_context(id.text());
}

// The directory stays when a strange file is in it.
void Volumes::take_back_overlay(VolumeId id) {
  best_effort(remove_overlay_files(id));
  best_effort(files().remove(overlay_directory(id)));
}

Result<std::unique_ptr<Overlay>> Volumes::open_overlay(VolumeId id) {
  auto overlay = Overlay::open(files(), overlay_directory(id), id);
  if (overlay.ok()) return overlay;
  if (is(overlay, ErrorCode::kNotFound) && files().list(repo_.host().torn(id)).ok())
    return corrupt(fmt::format("{} was set aside when this store was adopted, because it may be damaged: {}",
                               id.text(), repo_.host().torn(id)));
  if (!TRY(has_overlay(id))) return is_elsewhere(id);
  return named(overlay.error(), id);
}

Error Volumes::is_elsewhere(VolumeId id) const {
  const auto record = catalog_.get(id);
  const bool is_of_another = record.ok() && record.value().host != repo_.host().record().host;
  return invalid(fmt::format("the blocks of {} are not in {}: {} may hold them, and serve them", id.text(),
                             repo_.host().overlays(),
                             is_of_another ? record.value().host_name : "another host directory"));
}

Status Volumes::create_overlay(const VolumeRecord& record) {
  HostDirectory& host = repo_.host();
  const std::string directory = overlay_directory(record.id);
  TRY(host.make_folder(host.overlays()));
  TRY(host.make_folder(directory));
  TRY(TRY(Overlay::create(files(), directory, record.id, record.size, record.base))->close());
  return end_life(files(), directory, 1);
}

Result<VolumeRecord> Volumes::create(const VolumeSpec& spec) {
  const SnapshotRecord base = TRY(repo_.snapshots().get(spec.snapshot));
  VolumeRecord record;
  record.id = VolumeId{random_u64()};
  record.store = repo_.config().id;
  record.created = UtcTime::now();
  record.size = spec.size.value == 0 ? base.size : spec.size;
  record.base = base.id;
  record.name = spec.name;
  record.tags = spec.tags;
  record.owner = spec.owner;
  record.host = repo_.host().record().host;
  record.host_name = host_name();
  if (record.size < base.size) {
    return invalid(
        fmt::format("a volume of {} bytes can't hold {}, which has {}: give a size of at least that",
                    record.size.value, base.id.text(), base.size.value));
  }
  TRY(check_limits(record));
  TRY(repo_.snapshots().ensure_durable({base.id}));
  Status made = create_overlay(record);
  if (made.ok()) made = catalog_.publish(record);
  if (!made.ok()) {
    // A record that failed to be published may be there all the same.
    const Status unpublished = catalog_.remove(record.id);
    if (unpublished.ok() || is(unpublished, ErrorCode::kNotFound)) take_back_overlay(record.id);
    return made.error();
  }
  // A process that deletes a snapshot looks for volumes on it once more afterwards: one of the two sees the
  // other.
  const auto still_there = repo_.snapshots().get(base.id);
  if (still_there.ok()) return record;
  TRY(catalog_.remove(record.id));
  take_back_overlay(record.id);
  return still_there.error().with_context("the snapshot was deleted meanwhile");
}

Result<std::unique_ptr<Volume>> Volumes::open(VolumeId id) {
  TRY(catalog_.get(id));
  return volume_over(id, TRY(open_overlay(id)));
}

Result<std::unique_ptr<Volume>> Volumes::volume_over(VolumeId id, std::unique_ptr<Overlay> overlay) {
  const VolumeRecord record = TRY(catalog_.get(id));
  // A resize that was cut off has made the overlay larger; it is completed here.
  if (overlay->size() > record.size) {
    VolumeRecord grown = record;
    grown.size = overlay->size();
    ++grown.revision;
    TRY(catalog_.replace(record, grown));
  }
  std::shared_ptr<const BaseImage> base;
  if (record.is_detached) {
    TRY(hold_growth(*overlay));
  } else if (overlay->base().value == 0) {
    return unsupported(id.text() + " stands on no snapshot, and this program can't serve such a volume");
  } else {
    base = TRY(images_.open(overlay->base()));
  }
  return std::make_unique<Volume>(std::move(overlay), std::move(base), gate_);
}

Result<std::unique_ptr<WarmUp>> Volumes::warm_up(VolumeId id, Volume& volume) {
  std::shared_ptr<const BaseImage> base = volume.base();
  if (!base) return std::unique_ptr<WarmUp>();
  const auto record = catalog_.get(id);
  if (!record.ok()) return std::unique_ptr<WarmUp>();  // costs time alone
  const WarmParts parts{repo_.objects(), *TRY(repo_.nodes()), *TRY(repo_.segments()), *TRY(images_.frames())};
  return std::make_unique<WarmUp>(parts, repo_.snapshots(), boot_packs_, gate_, volume, std::move(base),
                                  repo_.config().id, record.value().owner);
}

Status Volumes::resize(VolumeId id, Overlay& overlay, ByteCount size) {
  const VolumeRecord record = TRY(catalog_.get(id));
  if (size < record.size)
    return invalid(fmt::format("{} has {} bytes; a volume can only grow", id.text(), record.size.value));
  VolumeRecord now = record;
  now.size = size;
  TRY(check_limits(now));
  TRY(overlay.grow(size));
  if (record.is_detached) TRY(hold_growth(overlay));
  if (now == record) return {};
  ++now.revision;
  return catalog_.replace(record, now);
}

Result<std::string> Volumes::detach(VolumeId id, Overlay& overlay) {
  const VolumeRecord record = TRY(catalog_.get(id));
  const Status whole = overlay.settle_data().with_context(id.text());
  if (is(whole, ErrorCode::kInvalid)) return whole.error().about(ErrorKind::kVolumeNotWhole, id.text());
  if (!whole.ok()) return whole.error();
  VolumeRecord now = record;
  now.is_detached = true;
  now.revision += record.is_detached ? 0 : 1;
  if (now != record) TRY(catalog_.replace(record, now));
  return overlay_directory(id) + "/data";
}

Status Volumes::remove(VolumeId id, BlocksElsewhere elsewhere) {
  TRY(catalog_.get(id));
  const bool is_here = TRY(has_overlay(id));
  if (!is_here && elsewhere == BlocksElsewhere::kRefuse) return is_elsewhere(id);
  // Its directory goes last, so that a removal that was cut off can be completed.
  if (is_here) TRY(remove_overlay_files(id));
  TRY(catalog_.remove(id));
  best_effort(files().remove(overlay_directory(id)));
  return {};
}

}  // namespace ashlar
