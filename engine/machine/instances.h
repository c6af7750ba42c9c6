// Instances: the machines of this host, a directory each.
//
//   <folder>/<instance id>/instance.json   what it is and what is wanted of it
//   (document/instance_record.h)
//                                   console.log     what the guest wrote to its serial port
//                                   qemu.log        what QEMU wrote to its standard error
//                                   qmp.sock        QEMU's monitor
//                                   lock            held by whoever changes the machine
//                                   disk-*.raw      devices that are files, lost with the machine
//                                   kernel, ramdisk of its image, for direct boot
//                                   launching       the process that launches it; gone afterwards
//
// Directories are their owner's alone (mode 0700). Records are replaced as a whole and are durable when
// save() returns. Any process may list and read; changes are made with the lock.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "document/instance_record.h"
#include "io/file_system.h"

namespace ashlar {

// EC2's names.
enum class InstanceState : unsigned char {
  kPending,  // being launched, or its process is there and QEMU not yet
  kRunning,
  kStopping,      // to be stopped, and still there
  kStopped,       // also when QEMU ended by itself, or the host did
  kShuttingDown,  // to be terminated, and its parts still there
  kTerminated,
};
std::string_view instance_state_name(InstanceState state);

class Instances {
 public:
  // `folder` is that of all machines of the host; it need not exist.
  Instances(FileSystem& files, std::string folder) : files_(files), folder_(std::move(folder)) {}

  std::string directory(InstanceId id) const { return folder_ + "/" + id.text(); }

  // The directory of a new machine.
  Status make(InstanceId id);
  // kBusy while another process changes the machine; kNotFound when there is none.
  Result<std::unique_ptr<FileLock>> lock(InstanceId id);
  Status save(const InstanceRecord& record);
  // kNotFound: "no instance i-… on this host"; a damaged record is kCorrupt and its file is named.
  Result<InstanceRecord> load(InstanceId id) const;
  // Of every directory that holds a machine; sorted by id. One without a record was never finished: its start
  // was cut off, and load() says kNotFound.
  Result<std::vector<InstanceId>> list() const;
  // The machine is no more. kBusy, with its record still there, when something strange lies in its directory.
  Status remove(InstanceId id);

  // A mark that this process launches a machine, durable before a volume is made for it. While there is no
  // record, only the mark tells a volume that nobody has used from one that is kept.
  Status begin_launch(InstanceId id);
  Status end_launch(InstanceId id);
  Result<bool> is_launch_unfinished(InstanceId id) const;

  // The machine that a volume belongs to, if there is one. A record that can't be read is an error that names
  // its file, unless another one answers: the volume may be that machine's.
  Result<std::optional<InstanceRecord>> owner_of(VolumeId volume) const;

  // What is wanted, and whether the process of the record lives.
  Result<InstanceState> state_of(const InstanceRecord& record) const;

 private:
  std::string record_path(InstanceId id) const;
  std::string launch_path(InstanceId id) const;
  Result<bool> is_being_launched(InstanceId id) const;
  Status refuse_strange_files(InstanceId id) const;

  FileSystem& files_;
  std::string folder_;
};

}  // namespace ashlar
