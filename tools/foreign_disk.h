// ForeignDisk: a disk in another program's format as the source of a capture. Raw ones are read by ourselves,
// all others by a qemu-nbd of our own.
//
// QEMU is told the driver and that there is no backing file; it probes nothing. What would make it open
// other files is refused before it starts (disk/header_check.h), and it opens the very file that was looked
// at.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "disk/disk_format.h"
#include "disk/ova.h"
#include "machine/working_process.h"
#include "private_directory.h"
#include "source/source.h"

namespace ashlar {

class ForeignDisk {
 public:
  // `file` has passed check_settled(); `member` is the part of it that holds the disk, nothing for all of it.
  // Raw disks are whole files. Waits for QEMU, which looks through the tables of the disk, unless stopped.
  // kCorrupt for tables that are damaged or lead behind the end of the file: there QEMU reads zeros.
  static Result<std::unique_ptr<ForeignDisk>> open(const std::string& file, DiskFormat format,
                                                   const std::optional<OvaMember>& member,
                                                   const std::stop_token& stop);

  Source& source() { return *source_; }
  // The error of a capture: what qemu-nbd said where all that we see is a connection that ended.
  Error explained(Error error) const;

 private:
  ForeignDisk(PrivateDirectory directory, std::string name)
      : directory_(std::move(directory)), name_(std::move(name)) {}
  Status look_at(DiskFormat format, const std::optional<OvaMember>& member);
  Status start(const std::string& block_device);
  Status connect(std::string identity, const std::stop_token& stop);
  Status check_tables(const std::string& block_device, const std::stop_token& stop);
  // By descriptor: what was looked at is what QEMU opens, whatever becomes of the name.
  std::string path() const;

  PrivateDirectory directory_;
  const std::string name_;
  UniqueFd file_;
  std::unique_ptr<WorkingProcess> server_;
  std::unique_ptr<Source> source_;
};

// An error of what is in a file, behind the file's name.
Error about(const std::string& file, Error error);

// kBusy when somebody may be writing to the file, kInvalid when it is no regular file. Not while a
// ForeignDisk of it is open: that counts as somebody.
Status check_settled(const std::string& file);

}  // namespace ashlar
