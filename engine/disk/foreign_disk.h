// ForeignDisk: a disk in another program's format as the source of a capture. This process reads raw disks
// itself; it starts a qemu-nbd for all other formats.
//
// QEMU is told the driver and that there is no backing file, so it probes nothing. Headers that would make it
// open other files are refused before it starts (disk/header_check.h), and it opens the same file that was
// checked. A program that can write to the file may still change it: the change is found by the file's size
// and times at the end of the capture, which then fails.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "disk/disk_format.h"
#include "disk/ova.h"
#include "io/private_directory.h"
#include "process/working_process.h"
#include "quiesce/held_file.h"
#include "source/source.h"

namespace ashlar {

class ForeignDisk {
 public:
  // Opens the disk in `member`, which is a part of the file; without a member, the disk in the whole file.
  // Raw disks are whole files. Waits until QEMU has checked the tables of the disk, unless stopped. Fails
  // with kCorrupt for tables that are damaged or lead past the end of the file, where QEMU would read zeros.
  static Result<std::unique_ptr<ForeignDisk>> open(std::shared_ptr<const HeldFile> file, DiskFormat format,
                                                   const std::optional<OvaMember>& member,
                                                   const std::stop_token& stop);

  Source& source() { return *source_; }
  // Returns the error of a capture with the message of qemu-nbd, where this process saw only that the
  // connection ended.
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

// Returns an error about the contents of a file with the file's name before it; any other error unchanged.
Error with_file_name(const std::string& file, Error error);

}  // namespace ashlar
