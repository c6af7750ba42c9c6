#include "image/pending_image.h"

#include "image/deletion.h"
#include "image/register.h"

namespace ashlar {

Result<std::unique_ptr<PendingImage>> PendingImage::begin(ObjectStore& objects, const StoreId& store,
                                                          Snapshots when_taken_back) {
  auto session = TRY(Session::begin(objects, store, {}));
  return std::unique_ptr<PendingImage>(new PendingImage(objects, std::move(session), when_taken_back));
}

// Takes the record back before the snapshots, which it would keep from being deleted, and before the session
// ends: until then another process would mark it as failed.
PendingImage::~PendingImage() {
  if (!is_published_ || is_kept_) return;
  best_effort(images_.remove(image_.id));
  if (when_taken_back_ == Snapshots::kStay) return;
  for (const Status& deleted : delete_snapshots(objects_, snapshots_of(image_))) best_effort(deleted);
}

Status PendingImage::publish(ImageRecord image) {
  image.state = ImageState::kPending;
  image.state_reason.clear();
  image.session = session_->id();
  TRY(images_.publish(image));
  image_ = std::move(image);
  is_published_ = true;
  return {};
}

Result<ImageRecord> PendingImage::keep() {
  image_ = TRY(make_available(images_, SnapshotCatalog(objects_), image_.id, image_.boot));
  is_kept_ = true;
  return image_;
}

}  // namespace ashlar
