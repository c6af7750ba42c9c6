// AttachmentNote: the note of an attachment, by which another process finds it again and undoes it. It is the
// file attachment.json in the volume's directory of the attachments, and is replaced as a whole.
// Internal to the module.
#pragma once

#include <string>
#include <string_view>

#include "base/id.h"
#include "host/attach_method.h"
#include "process/process_identity.h"

namespace ashlar {

inline constexpr std::size_t kMaxAttachmentNoteBytes = 4096;

struct Attachment {
  AttachMethod method = AttachMethod::kFuseLoop;
  std::string device;       // "/dev/nbd0", "/dev/loop3"
  ProcessIdentity process;  // nbdfuse, or nbd-client
  friend bool operator==(const Attachment&, const Attachment&) = default;
};

std::string encode_attachment(VolumeId volume, const Attachment& attachment);
// Fails with kCorrupt for text that encode_attachment() does not write for this volume.
Result<Attachment> decode_attachment(std::string_view text, VolumeId volume);

}  // namespace ashlar
