#include "inspect/image_inspection.h"

#include <fmt/format.h>

#include <algorithm>

#include "inspect/snapshot_disk.h"

namespace ashlar {
namespace {

constexpr std::size_t kCacheBytes = std::size_t{64} << 20U;  // little is read twice

std::string part_text(const InspectedDevice& device, unsigned partition) {
  const std::string name = device.device.empty() ? device.snapshot.text() : device.device;
  return partition == 0 ? name : fmt::format("{} {}", name, partition);
}

std::uint64_t count_findings(const std::vector<InspectedDevice>& devices) {
  std::uint64_t count = 0;
  for (const InspectedDevice& device : devices)
    count += device.report.findings.size() + device.report.findings_left_out;
  return count;
}

const InspectedPart* doubtful_part(const InspectedDevice& device) {
  const auto& parts = device.report.parts;
  const auto found =
      std::ranges::find_if(parts, [](const InspectedPart& part) { return !part.doubts.empty(); });
  return found == parts.end() ? nullptr : &*found;
}

}  // namespace

Result<InspectedDevice> inspect_snapshot(Repo& repo, const std::string& device, SnapshotId snapshot,
                                         const std::stop_token& stop) {
  const SnapshotRecord record = TRY(repo.snapshots().get(snapshot));
  SegmentReader& segments = *TRY(repo.segments());
  FrameCache frames(segments, kCacheBytes, repo.config().frame_blocks);
  const BaseImage image(*TRY(repo.nodes()), segments, frames, record);
  return InspectedDevice{device, snapshot,
                         TRY(inspect_disk(SnapshotDisk(image), stop).with_context(snapshot.text()))};
}

Result<std::vector<InspectedDevice>> inspect_devices(Repo& repo, const std::vector<ImageDevice>& devices,
                                                     const std::stop_token& stop) {
  std::vector<InspectedDevice> inspected;
  inspected.reserve(devices.size());
  for (const ImageDevice& device : devices) {
    if (device.kind != ImageDevice::Kind::kSnapshot) continue;
    inspected.push_back(TRY(inspect_snapshot(repo, device.name, device.content.snapshot, stop)));
  }
  return inspected;
}

std::string place_text(const InspectedDevice& device, const Finding& finding) {
  const std::string part = part_text(device, finding.partition);
  return finding.path.empty() ? part : part + ": " + finding.path;
}

std::string place_text(const InspectedDevice& device, const InspectedPart& part) {
  return part_text(device, part.partition);
}

bool are_clean(const std::vector<InspectedDevice>& devices) {
  return std::ranges::all_of(devices, [](const InspectedDevice& one) { return one.report.is_clean(); });
}

Status check_clean(const std::vector<InspectedDevice>& devices) {
  const std::uint64_t findings = count_findings(devices);
  for (const InspectedDevice& device : devices) {
    if (device.report.findings.empty()) continue;
    const Finding& first = device.report.findings.front();
    const std::string more =
        findings == 1 ? "" : fmt::format(" and {} further finding{}", findings - 1, findings == 2 ? "" : "s");
    return invalid(fmt::format("not clean: {} ({}: {}){}", place_text(device, first), first.kind,
                               first.reason, more))
        .about(ErrorKind::kNotClean, device.snapshot.text());
  }
  for (const InspectedDevice& device : devices) {
    if (const InspectedPart* part = doubtful_part(device))
      return invalid(fmt::format("it is unknown whether the disk is clean: {}: {}", place_text(device, *part),
                                 part->doubts.front()));
  }
  return {};
}

}  // namespace ashlar
