// Disks: disks of other programs and of this host, on their way into the store and out of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "action/caller.h"
#include "capture/capture.h"
#include "disk/disk_format.h"
#include "document/image_record.h"
#include "format/tags.h"
#include "repo/repo.h"

namespace ashlar {

struct ImportDisk {
  std::string file;  // a disk in one file that no program writes to
  DiskFormat format = DiskFormat::kRaw;
  std::string name;
  std::string description;
  Tags tags;
};
// Captures a disk in another program's format as a snapshot. Fails with kBusy when a program may be writing
// to the file, with kInvalid when it is not a regular file, with kCorrupt when its tables are damaged.
Result<CaptureReport> import_disk(Repo& repo, const Caller& caller, const ImportDisk& request);

struct ImportOva {
  std::string file;
  std::string name;         // empty: the machine's
  std::string description;  // empty: the machine's
  Architecture architecture = Architecture::kX8664;
  Tags tags;
};
// Makes an image of a machine that another program exported as OVA. Warns of parts that are left out, and of
// a file without a manifest. Fails with kInvalid, kind kNameUnfit, when the machine's name can't be an
// image's.
Result<ImageRecord> import_ova(Repo& repo, const Caller& caller, const ImportOva& request);

struct ExportSnapshot {
  SnapshotId snapshot;
  std::string file;  // a new file, outside the store
  DiskFormat format = DiskFormat::kRaw;
};
struct ExportedDisk {
  SnapshotRecord snapshot;
  ByteCount disk;  // the size that a guest sees
  ByteCount file;
};
// Returns kInvalid for a format that is read only (vhdx).
Status check_export_format(DiskFormat format);
// Writes a snapshot into a new file of another program's format, which appears under its name when it is
// complete. Fails with kInvalid when the name is taken (kind kTargetExists), lies in the store, or when the
// snapshot does not fit the format; with kCorrupt when blocks were lost at the capture.
Result<ExportedDisk> export_snapshot(Repo& repo, const Caller& caller, const ExportSnapshot& request);

struct CaptureImage {
  struct Disk {
    std::string device;  // the name of the device in the image: /dev/sda
    std::string source;  // a disk image, a block device or an NBD URI
  };
  std::string name;
  std::string description;
  std::string root_device;  // empty: the first disk
  std::vector<Disk> disks;
  Tags tags;
  std::vector<std::string> freeze;  // mount points that are frozen until all disks are captured
  bool live = false;                // capture although sources may be written to
  Architecture architecture = Architecture::kX8664;
  BootMode boot_mode = BootMode::kLegacyBios;
};
// Checks what can be told without the store and the sources.
Status check_request(const CaptureImage& request);
// Captures disks of this host, all at the same moment, as an image of the account. The image is pending until
// all disks are captured; when that fails, image and snapshots are taken back.
Result<ImageRecord> capture_image(Repo& repo, const Caller& caller, const CaptureImage& request);

}  // namespace ashlar
