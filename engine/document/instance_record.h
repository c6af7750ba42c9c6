// The record of a machine that was launched on this host. Page: docs/format/instance.md.
//
// The record lives next to the store, as `instances/<instance id>/instance.json`, and is replaced as a whole.
// It says what the machine is made of, which state its owner wants, and which process it was when it was last
// started. Whether that process is still alive is not in the record: the host is asked.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/quantity.h"
#include "base/result.h"
#include "process/process_identity.h"

namespace ashlar {

inline constexpr std::uint32_t kInstanceVersion = 2;  // version 1 has volumes only
inline constexpr std::size_t kMaxInstanceRecordBytes = 64UL * 1024;
inline constexpr std::size_t kMaxInstanceDevices = 24;  // /dev/sda to /dev/sdx
inline constexpr std::uint32_t kMaxInstanceCpus = 256;
inline constexpr std::uint64_t kMinInstanceMemory = std::uint64_t{16} << 20U;
inline constexpr std::uint64_t kMaxInstanceMemory = std::uint64_t{16} << 40U;

// Names of the files in the machine's directory that were restored from its image.
inline constexpr const char* kKernelName = "kernel";
inline constexpr const char* kRamdiskName = "ramdisk";

enum class InstanceWish : unsigned char { kRunning, kStopped, kTerminated };

struct InstanceDevice {
  std::string name;  // "/dev/sda", as EC2 names it; the guest's kernel uses other names
  VolumeId volume;
  bool delete_on_termination = true;
  // A file in the machine's directory, in place of a volume (whose value is then 0). It is lost with the
  // machine.
  std::string file;
  friend bool operator==(const InstanceDevice&, const InstanceDevice&) = default;
};

struct InstanceRecord {
  InstanceId id;
  std::string name;
  UtcTime created;
  InstanceWish wish = InstanceWish::kRunning;
  SnapshotId snapshot;  // the snapshot that the first device was made from
  ImageId image;        // value 0: the machine was launched from the snapshot alone
  // The hardware, which must not change under a guest between two starts.
  std::string machine = "q35";                // QEMU's name of the machine type
  ByteCount memory{std::uint64_t{1} << 30U};  // whole MiB
  std::uint32_t cpus = 1;
  std::string accelerator = "auto";  // auto, kvm, tcg
  std::string network = "none";      // none, user
  // Files for direct boot: absolute paths on the host, or kKernelName and kRamdiskName, the files of the
  // image in the machine's directory. Empty: the firmware boots the first device.
  std::string kernel;
  std::string initrd;
  std::string append;
  std::vector<InstanceDevice> devices;
  std::optional<ProcessIdentity> process;  // the process of the last start

  friend bool operator==(const InstanceRecord&, const InstanceRecord&) = default;
};

// Returns kInvalid when a limit is broken; the message names it.
Status check_limits(const InstanceRecord& record);
std::string encode(const InstanceRecord& record);
// Returns kUnsupported for a newer version. Refuses members that the record's version does not have: a
// program that replaces the record would lose them.
Result<InstanceRecord> decode_instance_record(std::string_view text);

// Returns the name of the file of a device: "disk-sdb.raw" for "/dev/sdb". is_device_file() recognises such
// names.
std::string device_file(std::string_view device);
bool is_device_file(std::string_view name);

// Returns the path of a kernel or initrd as a record names it. `directory` is the machine's. Empty stays
// empty.
std::string boot_file_path(const std::string& directory, const std::string& file);

std::string_view instance_wish_name(InstanceWish wish);

}  // namespace ashlar
