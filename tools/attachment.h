// Attaching a served volume to this host as a block device, and undoing it.
//
//   kernel NBD     nbd-client, where the kernel has the module: /dev/nbdN
//   FUSE and loop  nbdfuse shows the volume as a file, and a loop device stands over it: /dev/loopN
//
// What was done is noted in <host directory>/attachments/<volume id>/, so that it is found again, and undone,
// by another process. After a reboot the note names what is gone; it is cleared away by the next call.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "document/instance_record.h"
#include "host_server.h"
#include "io/file_system.h"
#include "repo/host_directory.h"

namespace ashlar {

enum class AttachMethod : unsigned char { kKernelNbd, kFuseLoop };
std::string_view attach_method_name(AttachMethod method);

struct Attachment {
  AttachMethod method = AttachMethod::kFuseLoop;
  std::string device;       // "/dev/nbd0", "/dev/loop3"
  ProcessIdentity process;  // nbdfuse, or nbd-client
};

// The best of those that work here. kUnsupported when none does, and what to install.
Result<AttachMethod> choose_attach_method();
// Commands for a shell that do the same as attach().
std::vector<std::string> attach_commands(AttachMethod method, const NbdExport& at);
// "nbd+unix:///NAME?socket=PATH", with what an URI has no room for written as %XX.
std::string nbd_uri(const NbdExport& at);

class Attachments {
 public:
  Attachments(HostDirectory& host, VolumeId volume);
  Attachments(Attachments&&) = default;
  Attachments& operator=(Attachments&&) = delete;
  Attachments(const Attachments&) = delete;
  Attachments& operator=(const Attachments&) = delete;
  ~Attachments();

  // Until this object goes nobody else attaches or releases the volume, or starts a machine on it: whoever
  // gives it a user holds it from the first question to the last note. The other calls hold it too. kBusy
  // when somebody else does.
  Status hold();
  // What is attached at this moment.
  Result<std::optional<Attachment>> attached();
  // Attaches the volume; the same attachment when it is attached already.
  Result<Attachment> attach(AttachMethod method, NbdExport at);
  // Writes back and takes down. kBusy when the device is in use (mounted, for instance). Ok, and nothing,
  // when the volume is not attached.
  Result<std::optional<Attachment>> release();

 private:
  // What is attached; clears away what is not there any more.
  Result<std::optional<Attachment>> find();
  Status save(const Attachment& attachment);
  Result<Attachment> attach_fuse(NbdExport at);
  Result<Attachment> attach_kernel(const NbdExport& at);
  Result<bool> is_live(const Attachment& attachment) const;
  Status take_down(const Attachment& attachment);
  Status take_down_loops(bool can_write_back);
  void unmount_fuse();
  Status clear();
  std::string disk() const { return directory_ + "/disk"; }
  std::string note() const { return directory_ + "/attachment.json"; }

  friend Result<Attachments> hold_unattached(HostDirectory& host, VolumeId volume);

  HostDirectory* host_;
  VolumeId volume_;
  std::string directory_;
  std::unique_ptr<FileLock> lock_;
};

// Holds a volume that is not attached to this host; kBusy for one that is.
Result<Attachments> hold_unattached(HostDirectory& host, VolumeId volume);

}  // namespace ashlar
