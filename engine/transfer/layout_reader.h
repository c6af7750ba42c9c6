// Gives out the bundle that an OCI image layout carries (docs/format/oci.md). The layout may be hostile.
//
// Every blob has to have the size and the SHA-256 that its descriptor says. The digest of a part is known
// when its last byte has been given out: until read() has come to the end, nothing is to be believed.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "document/oci_layout.h"
#include "io/file_system.h"

namespace ashlar {

// Opens a file of the layout: "blobs/sha256/…".
using OpenLayoutFile = std::function<Result<std::unique_ptr<ReadableFile>>(const std::string& name)>;

class OciLayoutReader {
 public:
  // Reads what `tag` names (empty: the only image there is), and looks at the size of every part. kCorrupt,
  // or kNotFound, kInvalid and kUnsupported where the layout holds something else.
  static Result<OciLayoutReader> open(OpenLayoutFile open, const std::string& tag);
  // The files below `directory`; no link is followed.
  static Result<OciLayoutReader> open(const std::string& directory, const std::string& tag);

  // The next bytes of the bundle: fills `out`, or less at its end.
  Result<std::size_t> read(MutableByteSpan out);

 private:
  OciLayoutReader(OpenLayoutFile open, std::vector<OciBlob> parts)
      : open_(std::move(open)), parts_(std::move(parts)), hasher_(std::make_unique<Sha256Hasher>()) {}

  Status open_part();
  Status check_part();

  OpenLayoutFile open_;
  std::vector<OciBlob> parts_;
  std::unique_ptr<Sha256Hasher> hasher_;
  std::size_t part_ = 0;                // the one that is read
  std::unique_ptr<ReadableFile> file_;  // of it, when it is open
  std::uint64_t offset_ = 0;            // in it
};

}  // namespace ashlar
