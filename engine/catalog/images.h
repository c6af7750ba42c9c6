// ImageCatalog: the records of images under `images/<id>`, replaced as a whole, and the claims of their names
// under `image-names/<owner>-<SHA-256 of the name>` (format/name_claim.h).
//
// Invariant: an owner has at most one living image of a name. A writer that publishes an image claims its
// name first and confirms the claim afterwards: it replaces it by the next version, so that no earlier write
// of another writer, whose answer was lost, can take the name later. It may take a claim whose image does not
// exist, has failed or is deregistered; it then looks for that image again, and gives the name back if the
// image has appeared. After publishing, a writer also looks at all other images for one of its name. So when
// several writers meet at a name, at most one succeeds.
//
// A claim stays when its image goes: it is worth nothing then, and the next image of the name takes it.
#pragma once

#include <functional>

#include "catalog/record_folder.h"
#include "document/image_record.h"

namespace ashlar {

// Returns whether the image needs its name and its snapshots: it is pending, available or disabled.
bool is_alive(const ImageRecord& record);

struct ImageKind {
  using Record = ImageRecord;
  using Id = ImageId;
  static constexpr std::string_view kFolder = "images/";
  static constexpr std::size_t kMaxBytes = kMaxImageRecordBytes;
  static std::string encode(const ImageRecord& record) { return ashlar::encode(record); }
  static Result<ImageRecord> decode(ByteSpan bytes) { return decode_image_record(as_text(bytes)); }
};

// Folder of the claims.
inline constexpr std::string_view kImageNames = "image-names/";

class ImageCatalog {
 public:
  explicit ImageCatalog(ObjectStore& objects) : objects_(objects), records_(objects) {}
  static std::string key_of(ImageId id) { return RecordFolder<ImageKind>::key_of(id); }

  // Returns an image. Fails with kNotFound ("no image ami-… in this store"); names a damaged record.
  Result<ImageRecord> get(ImageId id) const { return records_.get(id); }
  Result<std::vector<ImageId>> list_ids() const { return records_.list_ids(); }
  // Returns all images, oldest first. A damaged record fails the call and is named.
  Result<std::vector<ImageRecord>> list() const { return records_.list(); }

  // Publishes the image. Fails with kBusy, and names the other image, when the owner has one of this name.
  Status publish(const ImageRecord& record);
  // Fails with kBusy in the same case, without claiming the name.
  Status look_for_namesake(const ImageRecord& record) const;
  // Replaces the record and returns it as stored, with the revision after that of `before`. An image that
  // returns from failed or deregistered claims its name again.
  Result<ImageRecord> replace(const ImageRecord& before, ImageRecord now);
  // Changes the record when `change` returns ok, and tries again while other writers change it first. Changes
  // no other object, except for the claim of an image that returns (see replace()).
  template <class Change>
  Result<ImageRecord> update(ImageId id, const Change& change) {
    for (;;) {
      const ImageRecord before = TRY(get(id));
      ImageRecord now = before;
      TRY(change(now));
      if (now == before) return now;
      auto done = replace(before, std::move(now));
      if (done.ok()) return done;
      if (done.error().code() != ErrorCode::kBusy || TRY(get(id)) == before) return done.take_error();
    }
  }
  // Fails with kCorrupt when the image has a name that no claim, or that of another image, holds. A claim
  // that can't be read is a fault of its own (unreadable_claims()).
  Status check_name(const ImageRecord& record) const;
  // Claims the name of a living image whose claim has disappeared. Returns the key of the claim, or nothing
  // when there is one.
  Result<std::optional<std::string>> claim_missing_name(const ImageRecord& record);
  // Replaces the damaged claim under `key` by one for the living image that has the name, or by one that
  // holds it for no image, and returns what was wrong with it. Calls `keep` with the damaged bytes first.
  // Fails with kInvalid for a claim that is not damaged, and with the error of an image that can't be read
  // when no other has the name: that one may.
  Result<std::string> renew_claim(const std::string& key, const std::function<Status(ByteSpan)>& keep);
  // Returns the claims that can't be read, by key.
  Result<std::vector<std::pair<std::string, Error>>> unreadable_claims() const;
  // Removes the record.
  Status remove(ImageId id) { return records_.remove(id); }

 private:
  Status claim(const ImageRecord& record);
  Status take(const ImageRecord& record, ByteSpan held, ByteSpan ours);
  Status confirm(const ImageRecord& record);
  Result<bool> holds_its_name(ImageId id, const ImageRecord& wanted) const;

  ObjectStore& objects_;
  RecordFolder<ImageKind> records_;
};

}  // namespace ashlar
