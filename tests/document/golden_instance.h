// The golden instance record, in which every member has a value.
#pragma once

#include "document/instance_record.h"

namespace ashlar::golden {

inline InstanceRecord instance() {
  InstanceRecord record;
  record.id = InstanceId{0x1122334455667788};
  record.name = "web, the first \xc3\xa9";
  record.created.unix_ns = 1795228800123456789;
  record.wish = InstanceWish::kStopped;
  record.snapshot = SnapshotId{7};
  record.memory = ByteCount{std::uint64_t{512} << 20U};
  record.cpus = 2;
  record.accelerator = "tcg";
  record.network = "user";
  record.kernel = "/boot/vmlinuz";
  record.initrd = "/boot/initrd.img";
  record.append = "root=/dev/vda console=ttyS0";
  record.image = ImageId{11};
  record.devices = {{"/dev/sda", VolumeId{9}, true, {}},
                    {"/dev/sdb", VolumeId{10}, false, {}},
                    {"/dev/sdc/1", {}, true, "disk-sdc-1.raw"}};
  record.process = ProcessIdentity{{std::byte{1}, std::byte{2}}, 4711, 123456};
  return record;
}

}  // namespace ashlar::golden
