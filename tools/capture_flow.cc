#include "capture_flow.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/units.h"
#include "catalog/volumes.h"
#include "program/output.h"
#include "program/progress.h"
#include "shapes/record_output.h"

namespace ashlar {
namespace {

Result<CaptureReport> capture_once(const Globals& globals, const std::string& verb, Repo& repo,
                                   Source& source, const CaptureOptions& options, const Stop& stop) {
  const WriteParts parts = TRY(repo.write_parts());
  CaptureProgress progress;
  const ProgressDisplay display(globals, verb, [&progress] { return sample_of(progress); });
  return capture(parts, source, options, progress, stop.token());
}

std::string report_text(const CaptureReport& report, double seconds) {
  const SnapshotRecord& record = report.record;
  const std::uint64_t new_bytes = byte_count(record.new_blocks).value;
  Table table({">size", ">read", ">new", ">stored", ">dedup", ">time", ">speed"});
  table.add({format_size(record.size.value), format_size(report.read_bytes.value), format_size(new_bytes),
             format_size(record.new_stored_bytes.value), ratio_text(report.read_bytes.value, new_bytes),
             duration_text(seconds), rate_text(report.read_bytes.value, seconds)});
  return table.text();
}

// The snapshot exists, whatever becomes of the answer.
Status check_answer(const CaptureReport& report) {
  if (finish_output()) return {};
  return Error(ErrorCode::kIo, report.record.id.text() + " is made, but standard output can't be written");
}

}  // namespace

// A damaged record must not keep a capture from being made: a missing parent costs time only.
Result<std::optional<SnapshotRecord>> newest_of_source(Repo& repo, const Source& source) {
  const SourceIdentity identity = identity_of(source);
  if (identity.is_zero()) return std::optional<SnapshotRecord>();
  auto found = repo.snapshots().newest_of(identity);
  if (found.ok()) return found;
  if (found.error().code() != ErrorCode::kCorrupt) return found;
  print_warning("no parent is used, everything is read: " + found.error().text());
  return std::optional<SnapshotRecord>();
}

Result<CaptureReport> capture_with_progress(const Globals& globals, const std::string& verb, Repo& repo,
                                            Source& source, CaptureOptions options, bool parent_is_guessed,
                                            const Stop& stop) {
  auto report = capture_once(globals, verb, repo, source, options, stop);
  const bool has_guessed = options.parent && parent_is_guessed;
  if (report.ok() || report.error().code() != ErrorCode::kCorrupt || !has_guessed) return report;
  print_warning("the parent is not used, everything is read: " + report.error().text());
  options.parent.reset();
  options.changed.reset();
  return capture_once(globals, verb, repo, source, options, stop);
}

Status print_report(const Globals& globals, const CaptureReport& report, double seconds) {
  for (const std::string& warning : report.warnings) print_warning(warning);
  if (!report.unreadable.empty()) {
    print_warning(
        fmt::format("recorded as unreadable: {}", ranges_text(report.unreadable, report.record.size)));
  }
  if (globals.json) {
    Json document = capture_json(report);
    document["seconds"] = seconds;
    print_json(document);
    return check_answer(report);
  }
  print(report.record.id.text() + "\n");
  TRY(check_answer(report));
  std::string text = report_text(report, seconds);
  text.pop_back();
  print_note(text);
  return {};
}

Result<std::unique_ptr<FileLock>> hold_raw_file(Repo& repo, const std::string& source) {
  std::error_code failed;
  const std::filesystem::path file = std::filesystem::canonical(source, failed);
  if (failed || file.filename() != "data") return std::unique_ptr<FileLock>();
  const std::filesystem::path folder = file.parent_path();
  const std::optional<VolumeId> id = TRY(repo.host().volume_in(folder.string()));
  if (!id) return std::unique_ptr<FileLock>();
  if (!TRY(VolumeCatalog(repo.objects()).get(*id)).is_detached) {
    return invalid(fmt::format("{} holds only a part of {}: 'ashlar volume snapshot {}' takes all of it",
                               source, id->text(), id->text()));
  }
  auto lock = posix_file_system().lock(folder.string() + "/lock");
  if (is(lock, ErrorCode::kBusy))
    return busy(id->text() + " is being served: end that first, or its file would be captured torn");
  return lock;
}

}  // namespace ashlar
