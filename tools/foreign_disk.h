// ForeignDisk: a disk in another program's format as the source of a capture. Raw ones are read by ourselves,
// all others by a qemu-nbd of our own.
//
// QEMU is told the driver and that there is no backing file; it probes nothing. What would make it open
// other files is refused before it starts (disk/header_check.h), and it opens the very file that was looked
// at. What is in the file may be changed by any process that can write to it: a change is found at the end of
// a capture, by the file's size and times, and fails it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "disk/disk_format.h"
#include "disk/ova.h"
#include "held_file.h"
#include "private_directory.h"
#include "process/working_process.h"
#include "source/source.h"

namespace ashlar {

class ForeignDisk {
 public:
  // `member` is the part of the file that holds the disk, nothing for all of it. Raw disks are whole files.
  // Waits for QEMU, which looks through the tables of the disk, unless stopped. kCorrupt for tables that are
  // damaged or lead behind the end of the file: there QEMU reads zeros.
  static Result<std::unique_ptr<ForeignDisk>> open(std::shared_ptr<const HeldFile> file, DiskFormat format,
                                                   const std::optional<OvaMember>& member,
                                                   const std::stop_token& stop);

  Source& source() { return *source_; }
  // The error of a capture: what qemu-nbd said where all that we see is a connection that ended.
  Error explained(Error error) const;

 private:
  ForeignDisk(PrivateDirectory directory, std::shared_ptr<const HeldFile> file, std::string name)
      : directory_(std::move(directory)), file_(std::move(file)), name_(std::move(name)) {}
  Status look_at(DiskFormat format, const std::optional<OvaMember>& member);
  Status start(const std::string& block_device);
  Result<std::unique_ptr<Source>> shake_hands(const std::string& uri, double deadline,
                                              const std::stop_token& stop);
  Status connect(std::string identity, const std::stop_token& stop);
  Status check_tables(const std::string& block_device, const std::stop_token& stop);

  PrivateDirectory directory_;
  const std::shared_ptr<const HeldFile> file_;
  const std::string name_;
  std::unique_ptr<WorkingProcess> server_;
  std::unique_ptr<Source> source_;
};

// An error of what is in a file, behind the file's name.
Error about(const std::string& file, Error error);

}  // namespace ashlar
