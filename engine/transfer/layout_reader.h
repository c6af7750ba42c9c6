// OciLayoutReader: reads the bundle in an OCI image layout (docs/format/oci.md). The layout may be hostile.
//
// Every blob must have the size and the SHA-256 that its descriptor states. The digest of a part is known
// when its last byte has been read: until read() has reached the end, the bytes must not be trusted.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "document/oci_layout.h"
#include "io/file_system.h"

namespace ashlar {

// Opens a file of the layout, such as "blobs/sha256/…".
using OpenLayoutFile = std::function<Result<std::unique_ptr<ReadableFile>>(const std::string& name)>;

class OciLayoutReader {
 public:
  // Reads the manifest that `tag` names (empty: the only image of the layout) and checks the size of every
  // part. Fails with kCorrupt, or with kNotFound, kInvalid or kUnsupported where the layout holds something
  // else.
  static Result<OciLayoutReader> open(OpenLayoutFile open, const std::string& tag);
  // Opens the layout in `directory`; no link is followed.
  static Result<OciLayoutReader> open(const std::string& directory, const std::string& tag);

  // Reads the next bytes of the bundle: fills `out`, or a part of it at the end.
  Result<std::size_t> read(MutableByteSpan out);

 private:
  OciLayoutReader(OpenLayoutFile open, std::vector<OciBlob> parts)
      : open_(std::move(open)), parts_(std::move(parts)), hasher_(std::make_unique<Sha256Hasher>()) {}

  Status open_part();
  Status check_part();

  OpenLayoutFile open_;
  std::vector<OciBlob> parts_;
  std::unique_ptr<Sha256Hasher> hasher_;
  std::size_t part_ = 0;                // the part that is being read
  std::unique_ptr<ReadableFile> file_;  // its file, while it is open
  std::uint64_t offset_ = 0;            // position in it
};

}  // namespace ashlar
