// Instances: the machines of this host, a directory each.
//
// clang-format off
//   <folder>/<instance id>/instance.json    record: the machine's shape and the wanted state
//                                           (document/instance_record.h)
//                          console.log      the guest's output on its serial port
//                          qemu.log         QEMU's standard error
//                          qmp.sock         QEMU's monitor
//                          lock             held by a process that changes the machine
//                          disk-*.raw       devices that are files, lost with the machine
//                          kernel, ramdisk  of its image, for direct boot
//                          launching        the process that launches it; removed afterwards
// clang-format on
//
// Only their owner may enter the directories (mode 0700). Records are replaced as a whole and are durable
// when save() returns. Any process may list and read; changes are made with the lock.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "document/instance_record.h"
#include "io/file_system.h"

namespace ashlar {

// The states of a machine, under EC2's names.
enum class InstanceState : unsigned char {
  kPending,  // being launched, or its process exists and QEMU does not answer yet
  kRunning,
  kStopping,      // to be stopped, and still running
  kStopped,       // also when QEMU ended by itself, or the host did
  kShuttingDown,  // to be terminated, and its parts still exist
  kTerminated,
};
std::string_view instance_state_name(InstanceState state);

class Instances {
 public:
  // Opens the machines of a host. `folder` is theirs; it need not exist until make().
  Instances(FileSystem& files, std::string folder) : files_(files), folder_(std::move(folder)) {}

  std::string directory(InstanceId id) const { return folder_ + "/" + id.text(); }

  // Makes the directory of a new machine.
  Status make(InstanceId id);
  // Locks a machine for a change. Returns kBusy while another process changes it, kNotFound when there is no
  // such machine.
  Result<std::unique_ptr<FileLock>> lock(InstanceId id);
  Status save(const InstanceRecord& record);
  // Loads the record of a machine. Returns kNotFound ("no instance i-… on this host") when there is none, and
  // kCorrupt with the file's name when it is damaged.
  Result<InstanceRecord> load(InstanceId id) const;
  // Lists the directories that hold machines, sorted by id. A directory without a record is of a launch that
  // was cut off, and load() returns kNotFound for it.
  Result<std::vector<InstanceId>> list() const;
  // Removes a machine. Returns kBusy, and keeps the record, when its directory holds a file that does not
  // belong to it.
  Status remove(InstanceId id);

  // Makes a durable mark that this process launches a machine, before a volume is made for it. While there is
  // no record, only the mark tells a new, unused volume from one that is kept.
  Status begin_launch(InstanceId id);
  Status end_launch(InstanceId id);
  Result<bool> is_launch_unfinished(InstanceId id) const;

  // Returns the machine that a volume belongs to, if there is one. A record that can't be read is an error
  // that names its file, unless another record has the volume: the volume may belong to that machine.
  Result<std::optional<InstanceRecord>> owner_of(VolumeId volume) const;

  // Returns the state that follows from the wish in the record and from whether its process runs.
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
