// The catalog of images: records under `images/<id>`, replaced as a whole, and the claims of their names
// under `image-names/<owner>-<SHA-256 of the name>`: objects that hold the image's id.
//
// One owner has a name once. Whoever publishes an image claims its name first, and looks at the claim again
// afterwards. A claim whose image is not there, or is failed or deregistered, may be taken; whoever takes one
// looks for the former image again afterwards, and gives the name back if it has appeared. And whoever has
// published an image looks at all others for one of its name: of those that meet at a name at most one goes
// on.
#pragma once

#include "catalog/record_folder.h"
#include "document/image_record.h"

namespace ashlar {

// Neither failed nor deregistered: it needs its name, and its snapshots.
bool is_alive(const ImageRecord& record);

struct ImageKind {
  using Record = ImageRecord;
  using Id = ImageId;
  static constexpr std::string_view kFolder = "images/";
  static constexpr std::size_t kMaxBytes = kMaxImageRecordBytes;
  static std::string encode(const ImageRecord& record) { return ashlar::encode(record); }
  static Result<ImageRecord> decode(ByteSpan bytes) { return decode_image_record(as_text(bytes)); }
};

class ImageCatalog : public RecordFolder<ImageKind> {
 public:
  using RecordFolder::RecordFolder;

  // kBusy, naming the other image, when the owner has one of this name.
  Status publish(const ImageRecord& record);
  // kBusy in the same case; without claiming the name.
  Status look_for_namesake(const ImageRecord& record) const;
  // What was put: the same, with the revision after `before`'s. An image that comes back from failed or
  // deregistered claims its name again.
  Result<ImageRecord> replace(const ImageRecord& before, ImageRecord now);
  // The record alone is changed when `change` returns ok, and again as long as somebody else was quicker.
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
  // The record, and the claim of its name.
  Status remove(ImageId id);

 private:
  Status claim(const ImageRecord& record);
  Status confirm(const ImageRecord& record);
  Status release(const ImageRecord& record);
  Result<bool> holds_its_name(ImageId id, const ImageRecord& wanted) const;
};

}  // namespace ashlar
