// SnapshotUsers: the volumes and images of a store that need snapshots, from one reading of all their
// records.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "catalog/images.h"
#include "catalog/volumes.h"

namespace ashlar {

class SnapshotUsers {
 public:
  // A record whose bytes were read and are wrong.
  struct DamagedRecord {
    std::string key;
    std::string what;  // the error, with the key
    ByteVector bytes;
  };

  // Reads every record of a volume and of an image. A damaged one stops nothing: it counts as a user of each
  // snapshot whose id stands in its bytes. Fails where a record can't be read at the moment, or was written
  // by a newer program: it is unknown then what it needs.
  // Images take about 1.5 KB each in memory, and are kept for images() only on demand.
  enum class Images : unsigned char { kForgotten, kKept };
  static Result<SnapshotUsers> read(ObjectStore& objects, Images images = Images::kForgotten);

  // Fails with kBusy while the snapshot is needed: "snap-… is in use by vol-…".
  Status check_unused(SnapshotId id) const;
  // Returns the key of a damaged record that names the snapshot, if there is one.
  std::optional<std::string> damaged_user(SnapshotId id) const;
  // Returns each snapshot that is needed, with the text of one id that needs it.
  std::map<SnapshotId, std::string> needed() const;
  // Returns whether a volume needs the snapshot.
  bool is_base(SnapshotId id) const { return volumes_.contains(id); }

  // All images that could be read, oldest first; none when they were not kept.
  const std::vector<ImageRecord>& images() const { return images_; }
  const std::vector<DamagedRecord>& damaged() const { return damaged_; }

 private:
  std::map<SnapshotId, VolumeId> volumes_;
  std::map<SnapshotId, ImageId> needed_by_image_;
  std::vector<ImageRecord> images_;
  std::vector<DamagedRecord> damaged_;
};

}  // namespace ashlar
