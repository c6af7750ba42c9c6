// Command line: the QEMU command line of a machine, and the parts of it that attach one volume to any QEMU.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "document/instance_record.h"
#include "machine/accelerator.h"

namespace ashlar {

// The export under which a volume is served.
struct NbdExport {
  std::string socket;  // path of a unix socket
  std::string name;
  friend bool operator==(const NbdExport&, const NbdExport&) = default;
};

// Parses "nbd+unix:///NAME?socket=PATH", as a server of this program writes it. Returns kUnsupported for TCP.
Result<NbdExport> parse_nbd_export(std::string_view address);

// Names in the machine's directory, which is QEMU's working directory. They are relative because a unix
// socket's address has room for 107 characters, and the directory's own path may be longer.
inline constexpr const char* kQmpSocketName = "qmp.sock";
inline constexpr const char* kConsoleName = "console.log";
inline constexpr const char* kQemuLogName = "qemu.log";

// How long a guest's requests wait for a server that is being restarted.
inline constexpr unsigned kReconnectSeconds = 300;

// The values of -blockdev and -device for one disk; both are JSON.
struct DiskWords {
  std::string blockdev;
  std::string device;
};
// Returns the words of a volume's disk. `number` is the disk's place among the disks.
DiskWords disk_words(const NbdExport& at, VolumeId volume, std::size_t number);

// Returns the words of a disk that is a file in the machine's directory.
DiskWords file_disk_words(const std::string& file, std::size_t number);

// Returns the command that starts QEMU in the machine's directory. `exports` are those of the record's
// volumes, in the order of its devices.
std::vector<std::string> qemu_command(const std::string& program, const InstanceRecord& record,
                                      Accelerator accelerator, const std::vector<NbdExport>& exports);

}  // namespace ashlar
