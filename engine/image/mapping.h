// Device mapping: lines of a block device mapping as people write them:
//
//   DEVICE=[SNAPSHOT | ephemeralN | no-device][,size=SIZE][,type=gp3][,iops=N][,throughput=N]
//          [,delete-on-termination[=true|false]]
//
//   /dev/sda=snap-01a2b3c4d5e6f7089,size=20G     a volume of a snapshot
//   /dev/sdb=ephemeral0,size=8G                  blank, and lost with the machine
//   /dev/sdc=no-device                           nothing, where an image would have something
//   /dev/sda=,size=40G                           at launch: the image's own, but larger
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "document/image_record.h"

namespace ashlar {

// The content of a line; a part that the line leaves out is empty.
struct DeviceMapping {
  std::string name;
  std::optional<ImageDevice::Kind> kind;
  SnapshotId snapshot;          // kSnapshot
  std::uint32_t ephemeral = 0;  // kEphemeral
  std::optional<ByteCount> size;
  std::optional<VolumeType> volume_type;
  std::optional<std::uint32_t> iops;
  std::optional<std::uint32_t> throughput;
  std::optional<bool> delete_on_termination;
};

Result<DeviceMapping> parse_mapping(std::string_view text);

// Returns the devices of a new image, ascending by name. Returns kInvalid for a name that is given twice, and
// for a line that does not state the kind of device.
Result<std::vector<ImageDevice>> devices_of(const std::vector<DeviceMapping>& mappings);

// Returns the devices of an image as a launch wants them: a line replaces or changes the device of its name,
// or adds one. A device of kNone is left out.
Result<std::vector<ImageDevice>> overridden(std::vector<ImageDevice> devices,
                                            const std::vector<DeviceMapping>& mappings);

}  // namespace ashlar
