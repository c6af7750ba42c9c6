// Writes a bundle into an OCI image layout (docs/format/oci.md): a new directory, or a layout that is there,
// which keeps what it holds.
//
// Parts are written under names of their own, are synced and renamed to their digests; the directory is
// synced; last index.json is replaced, or made unless somebody else makes one. Until then nothing leads to
// them. A writer that is destroyed before finish(), or fails in it, takes away what it wrote; but blobs that
// have the names of their digests stay in a layout that has an index, where others may need them. One that
// died leaves `.ashlar-` files, which the next one removes.
//
// A layout of which blobs, index.json, oci-layout or the lock is a symbolic link is kInvalid.
//
// One writer a layout at a time (kBusy). One thread. Its first failure ends it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "document/oci_layout.h"
#include "io/file_system.h"

namespace ashlar {

class OciLayoutWriter {
 public:
  // kInvalid when `directory` is something else than a layout, or when it has the tag already. `part_bytes`
  // is the most that a part holds.
  static Result<std::unique_ptr<OciLayoutWriter>> begin(FileSystem& files, const std::string& directory,
                                                        const std::string& tag,
                                                        std::uint64_t part_bytes = kMaxOciPartBytes);
  ~OciLayoutWriter();
  OciLayoutWriter(const OciLayoutWriter&) = delete;
  OciLayoutWriter& operator=(const OciLayoutWriter&) = delete;

  // The next bytes of the bundle.
  Status append(ByteSpan bytes);
  // Ends the part.
  Status cut();
  // Publishes the bundle under the tag, durably. `manifest` has everything but the parts. Returns the
  // manifest's blob.
  Result<OciBlob> finish(OciManifest manifest);
  std::size_t parts() const { return parts_.size(); }

 private:
  OciLayoutWriter(FileSystem& files, std::string directory, std::string tag, std::uint64_t part_bytes)
      : files_(files), directory_(std::move(directory)), tag_(std::move(tag)), part_bytes_(part_bytes) {}

  Status prepare();
  Status check_directory();
  Status remove_leftovers();
  Status begin_part();
  Result<OciBlob> add_blob(std::string_view text);
  Status write_file(const std::string& name, std::string_view text);
  Status name_file(const std::string& name);
  Status publish_blobs();
  Status publish_index(const OciBlob& manifest);
  Result<bool> publish_first_index(const OciBlob& manifest);
  Status write_index(const std::string& before, const OciBlob& manifest);
  void take_away();

  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  std::string incoming(std::size_t number) const;

  FileSystem& files_;
  const std::string directory_;
  const std::string tag_;
  const std::uint64_t part_bytes_;
  std::unique_ptr<FileLock> lock_;
  bool makes_directory_ = false;
  bool is_new_ = false;       // the layout: there is no index yet
  bool is_prepared_ = false;  // there is a folder for blobs, and no link leads out of it
  bool is_named_ = false;     // blobs have the names of their digests
  std::vector<OciBlob> parts_;
  std::vector<OciBlob> blobs_;  // under incoming(0), incoming(1), …: the parts and what describes them
  std::unique_ptr<WritableFile> file_;  // of the part that grows
  std::uint64_t size_ = 0;              // of that
  Sha256Hasher hasher_;                 // over that
};

}  // namespace ashlar
