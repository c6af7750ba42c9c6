// export_snapshot(): a snapshot becomes a disk of another program's format.
//
//   snapshot ─▶ NBD server in this process, read-only ─▶ qemu-img convert ─▶ new file
#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "action/disks.h"
#include "action/outside_store.h"
#include "action/ranges_text.h"
#include "base/units.h"
#include "host/snapshot_images.h"
#include "io/new_file.h"
#include "io/private_directory.h"
#include "process/working_process.h"
#include "serve/nbd_server.h"
#include "serve/watched_export.h"

namespace ashlar {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kSocketName = "nbd.sock";
constexpr double kLookSeconds = 0.05;
constexpr std::uint64_t kSector = 512;
constexpr ByteCount kMaxVhd{std::uint64_t{2040} << 30U};
constexpr std::size_t kRunsAtOnce = 4096;

Status check_fits(const SnapshotRecord& record, DiskFormat format) {
  if (record.size.value == 0) return invalid(record.id.text() + " is empty: no disk has 0 bytes");
  if (format == DiskFormat::kVhd && record.size > kMaxVhd)
    return invalid(fmt::format("{} has {}, a vhd holds at most 2040 GiB: use qcow2, vmdk or raw",
                               record.id.text(), format_size(record.size.value)));
  return {};
}

// Refuses lost blocks, because the format would show them as zeros.
Status check_readable(const SnapshotRecord& record, const BaseImage& image) {
  if (record.unreadable_blocks.value == 0) return {};
  std::vector<BlockRange> lost;
  const Lba end{blocks_covering(record.size).value};
  for (Lba at{0}; at < end;) {
    for (const BaseRun& run : TRY(image.runs({at, BlockCount{end.value - at.value}}, kRunsAtOnce))) {
      if (run.kind == ExtentKind::kUnreadable) lost.push_back({at, run.count});
      at = at + run.count;
    }
  }
  return corrupt(
      fmt::format("{} lost blocks when it was taken: {}", record.id.text(), ranges_text(lost, record.size)));
}

// Returns the options of a format's writer. streamOptimized is the vmdk that vSphere and other hosts take;
// VirtualBox and VMware's desktop programs convert it. Without force_size a vhd is rounded to a geometry.
std::vector<std::string> format_words(DiskFormat format) {
  std::vector<std::string> words = {"-O", std::string(qemu_driver(format))};
  if (format == DiskFormat::kVmdk)
    words.insert(words.end(), {"-o", "subformat=streamOptimized,adapter_type=lsilogic,compat6=on"});
  if (format == DiskFormat::kVhd) words.insert(words.end(), {"-o", "subformat=dynamic,force_size=on"});
  return words;
}

// qemu-img finds the socket by its name in the working directory, whose path may hold any characters.
Result<std::unique_ptr<WorkingProcess>> start_qemu_img(const std::string& directory, DiskFormat format,
                                                       const std::string& target) {
  const Json socket{{"type", "unix"}, {"path", kSocketName}};
  const Json source{{"driver", "raw"}, {"file", {{"driver", "nbd"}, {"server", socket}}}};
  std::vector<std::string> words = {TRY(find_program("qemu-img", "qemu-utils")), "convert"};
  for (std::string& word : format_words(format)) words.push_back(std::move(word));
  words.insert(words.end(), {"json:" + source.dump(), target});
  return WorkingProcess::start(words, directory);
}

// Returns our own error, if there is one, because it tells more than the "I/O error" that qemu-img got.
Status outcome(const WorkingProcess& qemu_img, WatchedExport& exported, const ExportSnapshot& request) {
  if (auto failure = exported.failure()) return failure->with_context(request.snapshot.text());
  return qemu_img.outcome().with_context(request.file);
}

Status convert(const Caller& caller, const std::shared_ptr<WatchedExport>& exported,
               const std::string& target, const ExportSnapshot& request) {
  const PrivateDirectory directory = TRY(PrivateDirectory::make());
  SingleExport exports(exported);
  const auto server = TRY(NbdServer::start(exports, UnixAddress{directory.path() + "/" + kSocketName}));
  const auto watch = caller.notices.watch("export", [&exported] {
    ProgressSample sample;
    sample.total_bytes = exported->size().value;
    sample.done_bytes = exported->reached();
    return sample;
  });
  const auto qemu_img = TRY(start_qemu_img(directory.path(), request.format, target));
  while (!qemu_img->wait(kLookSeconds)) {
    if (caller.stop.stop_requested()) return cancelled();
  }
  return outcome(*qemu_img, *exported, request);
}

// QEMU counts in sectors. A raw file gets the snapshot's own size back; other formats can't hold a part of a
// sector, and show zeros after the end.
Result<ExportedDisk> settle_size(const SnapshotRecord& record, DiskFormat format, const std::string& path) {
  const std::uint64_t rounded = (record.size.value + kSector - 1) / kSector * kSector;
  const ByteCount disk = format == DiskFormat::kRaw ? record.size : ByteCount{rounded};
  if (format == DiskFormat::kRaw && ::truncate(path.c_str(), static_cast<off_t>(disk.value)) != 0)
    return last_errno(path);
  return ExportedDisk{record, disk, ByteCount{TRY(posix_file_system().file_size(path))}};
}

}  // namespace

Status check_export_format(DiskFormat format) {
  if (format != DiskFormat::kVhdx) return {};
  return invalid("vhdx is read, not written: use vhd, which Hyper-V takes too");
}

Result<ExportedDisk> export_snapshot(Repo& repo, const Caller& caller, const ExportSnapshot& request) {
  TRY(check_export_format(request.format));
  TRY(check_outside_store(request.file, repo.address().directory));
  NewFile file = TRY(NewFile::begin(request.file));
  SnapshotImages images(repo);
  TRY(images.prepare());
  const SnapshotRecord record = TRY(repo.snapshots().get(request.snapshot));
  TRY(check_fits(record, request.format));
  const auto image = TRY(images.open(request.snapshot));
  TRY(check_readable(record, *image));
  ExportPools pools;
  const auto exported = std::make_shared<WatchedExport>(image, pools);
  TRY(convert(caller, exported, file.path(), request));
  const ExportedDisk written = TRY(settle_size(record, request.format, file.path()));
  TRY(file.publish());
  return written;
}

}  // namespace ashlar
