// import_disk(): a disk in another program's format becomes a snapshot.
#include "action/capture_run.h"
#include "action/disks.h"
#include "disk/foreign_disk.h"

namespace ashlar {

Result<CaptureReport> import_disk(Repo& repo, const Caller& caller, const ImportDisk& request) {
  const auto raw_file = TRY(hold_raw_file(repo, request.file));
  const auto file = TRY(HeldFile::open(request.file));
  const auto disk = TRY(ForeignDisk::open(file, request.format, std::nullopt, caller.stop));
  CaptureOptions how;
  how.parent = TRY(newest_of_source(repo, disk->source(), caller.notices));
  how.name = request.name;
  how.description = request.description;
  how.tags = request.tags;
  auto report =
      run_capture(repo, caller, "import-disk", disk->source(), std::move(how), ParentChoice::kGuessed);
  if (!report.ok()) return disk->explained(report.take_error());
  return report;
}

}  // namespace ashlar
