#include "action/capture_run.h"

#include <fmt/format.h>

#include <filesystem>

#include "action/samples.h"
#include "catalog/source_list.h"
#include "catalog/volumes.h"
#include "repair/repair.h"

namespace ashlar {
namespace {

// The capture has stored anew what it found damaged. Older snapshots get it back too. The new one is made
// already, so a failure is only said.
void heal_others(const WriteParts& parts, const CaptureReport& report, const Caller& caller) {
  const auto healed = heal_from_capture(parts, report.session, caller.stop);
  if (!healed.ok())
    caller.notices.warn("older snapshots stay damaged, `ashlar repair` heals them: " + healed.error().text());
  else if (healed.value() > 0)
    caller.notices.note(fmt::format("{} damaged blocks of older snapshots are healed", healed.value()));
}

Result<CaptureReport> capture_once(Repo& repo, const Caller& caller, const std::string& operation,
                                   Source& source, const CaptureOptions& options) {
  const WriteParts parts = TRY(repo.write_parts());
  CaptureProgress progress;
  const auto watch = caller.notices.watch(operation, [&progress] { return sample_of(progress); });
  auto report = capture(parts, source, options, progress, caller.stop);
  if (report.ok() && parts.damage.any()) heal_others(parts, report.value(), caller);
  return report;
}

// Replaces the list without a sync: one that is torn, or was written by two captures at once, is made anew.
Status keep(FileSystem& files, const std::string& path, ByteSpan list) {
  const std::string fresh = path + ".new";
  TRY(remove_if_there(files, fresh));
  TRY(TRY(files.create(fresh))->append(list));
  return files.rename(fresh, path);
}

}  // namespace

Result<std::optional<SnapshotRecord>> newest_of_source(Repo& repo, const Source& source, Notices& notices) {
  const SourceIdentity identity = identity_of(source);
  if (identity.is_zero()) return std::optional<SnapshotRecord>();
  HostDirectory& host = repo.host();
  const auto kept = read_file(host.files(), host.sources(), SourceList::kMaxBytes);
  SourceList sources = SourceList::decode(kept.ok() ? ByteSpan(kept.value()) : ByteSpan(), repo.config().id);
  std::vector<std::string> unread;
  auto found = TRY(sources.newest_of(repo.snapshots(), identity, unread));
  if (sources.has_changed() && host.make().ok())
    best_effort(keep(host.files(), host.sources(), sources.encode(repo.config().id)));
  for (const std::string& one : unread)
    notices.warn("it is not known whether this is a newer parent: " + one);
  return found;
}

Result<CaptureReport> run_capture(Repo& repo, const Caller& caller, const std::string& operation,
                                  Source& source, CaptureOptions options, ParentChoice parent) {
  options.parent_is_guessed = parent == ParentChoice::kGuessed;
  auto report = capture_once(repo, caller, operation, source, options);
  const bool is_deleted = !report.ok() && report.error().kind() == ErrorKind::kNoSuchSnapshot;
  if (!is_deleted || !options.parent || !options.parent_is_guessed) return report;
  caller.notices.warn("the parent is not used, everything is read: " + report.error().text());
  options.parent.reset();
  options.changed.reset();
  return capture_once(repo, caller, operation, source, options);
}

Result<std::unique_ptr<FileLock>> hold_raw_file(Repo& repo, const std::string& source) {
  std::error_code failed;
  const std::filesystem::path file = std::filesystem::canonical(source, failed);
  if (failed || file.filename() != "data") return std::unique_ptr<FileLock>();
  const std::filesystem::path folder = file.parent_path();
  if (repo.host().is_torn_overlay(folder.string()))
    return invalid(fmt::format(
        "{} was set aside when this store was adopted: it holds only a part of its volume", source));
  const std::optional<VolumeId> id = TRY(repo.host().volume_in(folder.string()));
  if (!id) return std::unique_ptr<FileLock>();
  if (!TRY(VolumeCatalog(repo.objects()).get(*id)).is_detached)
    return invalid(fmt::format("{} holds only a part of {}", source, id->text()))
        .about(ErrorKind::kRawFilePartial, id->text());
  auto lock = repo.host().files().lock(folder.string() + "/lock");
  if (is(lock, ErrorCode::kBusy))
    return busy(id->text() + " is being served, and its file may change meanwhile")
        .about(ErrorKind::kVolumeServed, id->text());
  return lock;
}

}  // namespace ashlar
