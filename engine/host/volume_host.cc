#include "host/volume_host.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/random.h"
#include "volume/volume_source.h"

namespace ashlar {
namespace {

constexpr std::size_t kMaxIncarnationBytes = 64;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// One process at a time has a volume open; whoever comes second is told which one, and by what.
Error named(Error error, VolumeId id) {
  if (error.code() != ErrorCode::kBusy) return error;
  return busy(id.text() + " is open in another process").about(ErrorKind::kVolumeServed, id.text());
}

// What a detached volume grew by has no base to ask: it is zeros.
Status hold_growth(Overlay& overlay) {
  const BlockRange all{Lba{}, blocks_covering(overlay.size())};
  for (const HoldRun& run : overlay.states(all)) {
    if (run.hold == BlockHold::kAbsent) TRY(overlay.put_clean_zeroes(run.blocks));
  }
  return {};
}

}  // namespace

VolumeHost::VolumeHost(FileSystem& files, std::unique_ptr<Repo> repo, std::size_t cache_bytes)
    : files_(files), repo_(std::move(repo)), catalog_(repo_->objects()), cache_bytes_(cache_bytes) {}

Status VolumeHost::make_durable_directory(const std::string& parent, const std::string& path) {
  TRY(files_.make_directory(path));
  return files_.sync_directory(parent);
}

// The directory goes too when nothing strange is in it; a killed server leaves its control socket.
Status VolumeHost::remove_overlay(VolumeId id) {
  const std::string directory = overlay_directory(id);
  Status gone = Overlay::remove(files_, directory);
  if (!gone.ok() && gone.error().code() != ErrorCode::kNotFound) return named(gone.take_error(), id);
  for (const char* name : {"/control", "/incarnation", "/incarnation.new"})
    best_effort(files_.remove(directory + name));
  best_effort(files_.remove(directory));
  return {};
}

std::string VolumeHost::overlay_directory(VolumeId id) const { return repo_->host().overlay(id); }

Result<bool> VolumeHost::has_overlay(VolumeId id) const {
  auto found = files_.list(overlay_directory(id));
  if (found.ok()) return true;
  if (found.error().code() == ErrorCode::kNotFound) return false;
  return found.take_error();
}

Status VolumeHost::prepare() {
  TRY(frames());
  return {};
}

Status VolumeHost::catch_up() {
  TRY(TRY(repo_->index())->catch_up());
  return {};
}

Result<std::string> VolumeHost::make_overlays_directory() {
  TRY(repo_->host().make_folder(repo_->host().overlays()));
  return repo_->host().overlays();
}

Result<std::unique_ptr<Overlay>> VolumeHost::open_overlay(VolumeId id) {
  auto overlay = Overlay::open(files_, overlay_directory(id), id);
  if (!overlay.ok()) return named(overlay.take_error(), id);
  return overlay;
}

Result<FrameCache*> VolumeHost::frames() {
  if (!frames_) {
    frames_ =
        std::make_unique<FrameCache>(*TRY(repo_->segments()), cache_bytes_, repo_->config().frame_blocks);
  }
  return frames_.get();
}

Result<std::shared_ptr<const BaseImage>> VolumeHost::open_snapshot(SnapshotId id) {
  const SnapshotRecord record = TRY(repo_->snapshots().get(id));
  FrameCache* const cache = TRY(frames());
  NodeReader* const nodes = TRY(repo_->nodes());
  SegmentReader* const segments = TRY(repo_->segments());
  return std::shared_ptr<const BaseImage>(std::make_shared<BaseImage>(*nodes, *segments, *cache, record));
}

Result<VolumeRecord> VolumeHost::create(const VolumeSpec& spec) {
  const SnapshotRecord base = TRY(repo_->snapshots().get(spec.snapshot));
  VolumeRecord record;
  record.id = VolumeId{random_u64()};
  record.store = repo_->config().id;
  record.created = UtcTime::now();
  record.size = spec.size.value == 0 ? base.size : spec.size;
  record.base = base.id;
  record.name = spec.name;
  record.tags = spec.tags;
  record.owner = spec.owner;
  if (record.size < base.size) {
    return invalid(
        fmt::format("a volume of {} bytes can't hold {}, which has {}: give a size of at least that",
                    record.size.value, base.id.text(), base.size.value));
  }
  TRY(check_limits(record));
  const std::string directory = overlay_directory(record.id);
  TRY(make_durable_directory(TRY(make_overlays_directory()), directory));
  auto overlay = Overlay::create(files_, directory, record.id, record.size, base.id);
  if (!overlay.ok()) {
    best_effort(remove_overlay(record.id));
    return overlay.take_error();
  }
  TRY(overlay.value()->close());
  overlay.value().reset();
  TRY(catalog_.publish(record));
  // Whoever deletes a snapshot looks for volumes on it once more afterwards: one of us sees the other.
  auto still_there = repo_->snapshots().get(base.id);
  if (!still_there.ok()) {
    TRY(catalog_.remove(record.id));
    best_effort(remove_overlay(record.id));
    return still_there.take_error().with_context("the snapshot was deleted meanwhile");
  }
  return record;
}

Result<std::unique_ptr<Volume>> VolumeHost::open_volume(VolumeId id) {
  const VolumeRecord record = TRY(catalog_.get(id));
  auto overlay = TRY(open_overlay(id));
  // A resize that was cut off has made the overlay larger: it was not answered, and it is done.
  if (overlay->size() > record.size) {
    VolumeRecord grown = record;
    grown.size = overlay->size();
    TRY(catalog_.replace(record, grown));
  }
  std::shared_ptr<const BaseImage> base;
  if (record.is_detached) {
    TRY(hold_growth(*overlay));
  } else {
    base = TRY(open_snapshot(overlay->base()));
  }
  return std::make_unique<Volume>(std::move(overlay), std::move(base), gate_);
}

Result<std::unique_ptr<WarmUp>> VolumeHost::warm_up(VolumeId id, Volume& volume) {
  std::shared_ptr<const BaseImage> base = volume.base();
  if (!base) return std::unique_ptr<WarmUp>();
  const auto record = catalog_.get(id);
  if (!record.ok()) return std::unique_ptr<WarmUp>();  // costs time alone
  const WarmParts parts{repo_->objects(), *TRY(repo_->nodes()), *TRY(repo_->segments()), *TRY(frames())};
  return std::make_unique<WarmUp>(parts, repo_->snapshots(), boot_packs_, gate_, volume, std::move(base),
                                  repo_->config().id, record.value().owner);
}

Status VolumeHost::write_incarnation(VolumeId id, const std::string& text) {
  const std::string directory = overlay_directory(id);
  const std::string written = directory + "/incarnation.new";
  best_effort(files_.remove(written));  // of one that was cut off
  auto file = TRY(files_.create(written));
  TRY(file->append(as_byte_span(text)));
  TRY(file->sync());
  TRY(files_.rename(written, directory + "/incarnation"));
  return files_.sync_directory(directory);
}

// "3 serving\n" while it is served, "3\n" after a clean end.
Result<std::uint64_t> VolumeHost::begin_serving(VolumeId id) {
  const std::string path = overlay_directory(id) + "/incarnation";
  std::uint64_t incarnation = 1;
  const auto bytes = read_file(files_, path, kMaxIncarnationBytes);
  if (!bytes.ok() && bytes.error().code() != ErrorCode::kNotFound) return bytes.error();
  if (bytes.ok()) {
    const std::string text(as_text(bytes.value()));
    const auto digits = static_cast<std::size_t>(std::ranges::find_if_not(text, is_digit) - text.begin());
    if (digits == 0 || digits > 18)
      return corrupt(path + ": holds no number: write a larger one than any before");
    incarnation = std::stoull(text.substr(0, digits));
    if (text.substr(digits) != "\n") ++incarnation;
  }
  TRY(write_incarnation(id, fmt::format("{} serving\n", incarnation)));
  return incarnation;
}

Status VolumeHost::end_serving(VolumeId id, std::uint64_t incarnation) {
  return write_incarnation(id, fmt::format("{}\n", incarnation));
}

Result<CaptureReport> VolumeHost::snapshot(VolumeId id, Volume& volume, CaptureOptions options,
                                           CaptureProgress& progress, const std::stop_token& stop) {
  std::vector<Wanted> one;
  one.push_back({id, &volume, std::move(options)});
  return std::move(TRY(snapshot_together(std::move(one), progress, stop)).front());
}

Result<std::vector<CaptureReport>> VolumeHost::snapshot_together(std::vector<Wanted> wanted,
                                                                 CaptureProgress& progress,
                                                                 const std::stop_token& stop) {
  std::ranges::sort(wanted, {}, &Wanted::id);
  std::vector<Overlay*> overlays;
  for (const Wanted& one : wanted) {
    if (TRY(catalog_.get(one.id)).is_detached)
      return unsupported(one.id.text() + " is detached from the store: capture its raw file");
    overlays.push_back(&one.volume->overlay());
  }
  auto views = TRY(Overlay::begin_views(overlays));
  std::vector<CaptureReport> reports;
  for (std::size_t i = 0; i < wanted.size(); ++i)
    reports.push_back(TRY(snapshot_view(std::move(wanted[i]), std::move(views[i]), progress, stop)));
  return reports;
}

Result<CaptureReport> VolumeHost::snapshot_view(Wanted wanted, std::unique_ptr<SnapshotView> view,
                                                CaptureProgress& progress, const std::stop_token& stop) {
  const VolumeRecord record = TRY(catalog_.get(wanted.id));
  CaptureOptions& options = wanted.options;
  options.parent = TRY(repo_->snapshots().get(view->base()));
  const auto base = TRY(open_snapshot(view->base()));
  VolumeSource source(wanted.id, *view, *base);
  auto changed = TRY(source.changed_extents());
  options.changed = ChangedMap{std::move(*changed), options.parent->change_token, true};
  const WriteParts parts = TRY(repo_->write_parts());
  CaptureReport report = TRY(capture(parts, source, options, progress, stop));
  // Both bases are named until the overlay durably stands on the new one.
  VolumeRecord now = record;
  now.base = report.record.id;
  now.previous_base = view->base();
  TRY(catalog_.replace(record, now));
  wanted.volume->set_base(TRY(open_snapshot(report.record.id)));
  TRY(wanted.volume->overlay().end_view(std::move(view), report.record.id));
  VolumeRecord settled = now;
  settled.previous_base = SnapshotId{};
  TRY(catalog_.replace(now, settled));
  return report;
}

Status VolumeHost::resize(VolumeId id, Overlay& overlay, ByteCount size) {
  const VolumeRecord record = TRY(catalog_.get(id));
  if (size < record.size) {
    return invalid(fmt::format("{} has {} bytes; a volume can only grow", id.text(), record.size.value));
  }
  VolumeRecord now = record;
  now.size = size;
  TRY(check_limits(now));
  TRY(overlay.grow(size));
  if (record.is_detached) TRY(hold_growth(overlay));
  return now == record ? Status() : catalog_.replace(record, now);
}

Result<std::string> VolumeHost::detach(VolumeId id, Overlay& overlay) {
  const VolumeRecord record = TRY(catalog_.get(id));
  const Status whole = overlay.settle_data().with_context(id.text());
  if (is(whole, ErrorCode::kInvalid)) return whole.error().about(ErrorKind::kVolumeNotWhole, id.text());
  if (!whole.ok()) return whole.error();
  VolumeRecord now = record;
  now.is_detached = true;
  if (now != record) TRY(catalog_.replace(record, now));
  return overlay_directory(id) + "/data";
}

Status VolumeHost::remove(VolumeId id) {
  TRY(catalog_.get(id));
  TRY(remove_overlay(id));
  return catalog_.remove(id);
}

}  // namespace ashlar
