// Image inspection: inspects the disks of an image for what should not be in a template.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "document/image_record.h"
#include "inspect/inspect.h"
#include "repo/repo.h"

namespace ashlar {

struct InspectedDevice {
  std::string device;  // name in the mapping; empty for a snapshot alone
  SnapshotId snapshot;
  DiskReport report;
};

Result<InspectedDevice> inspect_snapshot(Repo& repo, const std::string& device, SnapshotId snapshot,
                                         const std::stop_token& stop);
// Inspects the devices that hold snapshots, in their order. Kernel and RAM disk are not disks and are not
// looked into.
Result<std::vector<InspectedDevice>> inspect_devices(Repo& repo, const std::vector<ImageDevice>& devices,
                                                     const std::stop_token& stop);

// Returns "/dev/sda 1: /root/.bash_history".
std::string place_text(const InspectedDevice& device, const Finding& finding);
std::string place_text(const InspectedDevice& device, const InspectedPart& part);

bool are_clean(const std::vector<InspectedDevice>& devices);
// Returns kInvalid with the first finding (kind kNotClean) and the number of the others, or with the first
// doubt.
Status check_clean(const std::vector<InspectedDevice>& devices);

}  // namespace ashlar
