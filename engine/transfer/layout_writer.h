// OciLayoutWriter: writes a bundle into an OCI image layout (docs/format/oci.md): into a new directory, or
// into an existing layout, which keeps its contents.
//
// Order of writes: parts are written under temporary names, synced, and renamed to their digests; the
// directory is synced; last, index.json is replaced, or created unless another program creates one. Until
// then no index names the parts. A writer that is destroyed before finish(), or fails in it, removes what it
// wrote; but blobs that have the names of their digests stay in a layout that has an index, because other
// images may need them. A writer that was killed leaves `.ashlar-` files, which the next one removes.
//
// Fails with kInvalid when blobs, blobs/sha256, index.json, oci-layout or the lock is a symbolic link.
//
// One writer per layout at a time (kBusy). One thread. Its first failure ends it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "document/oci_layout.h"
#include "io/file_system.h"

namespace ashlar {

class OciLayoutWriter {
 public:
  // Begins a bundle. Fails with kInvalid when `directory` is neither a layout nor empty, or when the layout
  // has the tag already. `part_bytes` is the largest size of a part.
  static Result<std::unique_ptr<OciLayoutWriter>> begin(FileSystem& files, const std::string& directory,
                                                        const std::string& tag,
                                                        std::uint64_t part_bytes = kMaxOciPartBytes);
  ~OciLayoutWriter();
  OciLayoutWriter(const OciLayoutWriter&) = delete;
  OciLayoutWriter& operator=(const OciLayoutWriter&) = delete;

  // Writes the next bytes of the bundle.
  Status append(ByteSpan bytes);
  // Ends the part.
  Status cut();
  // Publishes the bundle under the tag, durably. `manifest` has all fields but the parts. Returns the blob of
  // the manifest.
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
  bool is_new_ = false;       // the layout has no index yet
  bool is_prepared_ = false;  // the folder for blobs exists, and no link leads out of it
  bool is_named_ = false;     // blobs have the names of their digests
  std::vector<OciBlob> parts_;
  std::vector<OciBlob> blobs_;          // stored as incoming(0), incoming(1), …: parts and manifests
  std::unique_ptr<WritableFile> file_;  // the part that is being written
  std::uint64_t size_ = 0;              // its size
  Sha256Hasher hasher_;                 // hashes that part
};

}  // namespace ashlar
