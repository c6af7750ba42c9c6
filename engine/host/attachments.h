// Attachments: volumes that this host shows as block devices.
//
// The steps done for a volume are noted in <host directory>/attachments/<volume id>/, so that another process
// finds it and undoes it. After a reboot the note names things that are gone; the next call clears it away.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "host/attachment_note.h"
#include "io/file_system.h"
#include "repo/host_directory.h"

namespace ashlar {

// A volume that is held: while this object lives, no other process attaches or releases the volume, or starts
// a machine on it. A process that gives the volume a user holds it from its first question to its last note.
class HeldVolume {
 public:
  HeldVolume(HeldVolume&&) = default;
  HeldVolume& operator=(HeldVolume&&) = delete;
  HeldVolume(const HeldVolume&) = delete;
  HeldVolume& operator=(const HeldVolume&) = delete;
  ~HeldVolume();

  // Returns the attachment, if there is one; clears away an attachment whose parts are gone.
  Result<std::optional<Attachment>> attached();
  // Attaches the volume; returns the attachment that is there when it is attached already.
  Result<Attachment> attach(AttachMethod method, NbdExport at);
  // Writes back and takes down, and returns what was attached. Fails with kBusy while the device is in use
  // (mounted, for example). Does nothing when the volume is not attached.
  Result<std::optional<Attachment>> release();

 private:
  friend class Attachments;
  HeldVolume(const HostDirectory& host, VolumeId volume);

  Status save(const Attachment& attachment);
  Result<Attachment> attach_fuse(NbdExport at);
  Result<Attachment> attach_kernel(const NbdExport& at);
  Result<bool> is_live(const Attachment& attachment) const;
  Status take_down(const Attachment& attachment);
  void unmount_fuse();
  Status clear();
  std::string disk() const { return directory_ + "/disk"; }
  std::string note() const { return directory_ + "/attachment.json"; }

  VolumeId volume_;
  std::string directory_;
  std::unique_ptr<FileLock> lock_;
};

class Attachments {
 public:
  explicit Attachments(HostDirectory& host) : host_(host) {}

  // Fails with kBusy while another process holds the volume.
  Result<HeldVolume> hold(VolumeId volume);
  // Holds a volume that is not attached. Fails with kBusy, kind kVolumeAttached, for one that is.
  Result<HeldVolume> hold_unattached(VolumeId volume);

 private:
  HostDirectory& host_;
};

}  // namespace ashlar
