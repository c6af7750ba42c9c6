// PendingImage: an image that is being made, from its session to an image that is available.
//
//   begin()    opens the session that makes the image
//   publish()  puts the record into the store: it has its name, and its snapshots are not deleted
//   keep()     makes it available, once all of its snapshots exist
//
// An image that is not kept is taken back when the object is destroyed. A maker that is killed leaves a
// record whose session is gone; fail_abandoned_images() marks it as failed.
#pragma once

#include <memory>

#include "catalog/images.h"
#include "catalog/sessions.h"
#include "catalog/snapshots.h"

namespace ashlar {

class PendingImage {
 public:
  // The snapshots of an image that is taken back.
  enum class Snapshots : unsigned char {
    kStay,
    kGoToBin,  // except for those that a volume or another image uses already
  };

  // `objects` is the store that gets the image, `store` its id.
  static Result<std::unique_ptr<PendingImage>> begin(ObjectStore& objects, const StoreId& store,
                                                     Snapshots when_taken_back);
  ~PendingImage();
  PendingImage(const PendingImage&) = delete;
  PendingImage& operator=(const PendingImage&) = delete;

  // Fails with kBusy when the session was taken away: then nothing may be published.
  Status check_session() { return session_->beat(); }
  // This run fails, and leaves what it stored for a later one.
  void leave_packs() { session_->leave_packs(); }
  // The packs that the session leans on; names the session.
  LeanedPacks& leaned() { return session_->leaned(); }

  // Publishes the image as pending; it is done once. Its devices name the snapshots that are to be made, with
  // their sizes; digests may be missing. Fails with kBusy when the owner has an image of this name.
  Status publish(ImageRecord image);
  const ImageRecord& record() const { return image_; }

  // Takes the boot files, in place of those that the image was published with.
  void boot_with(ImageBoot boot) { image_.boot = std::move(boot); }

  // Makes the image available and returns its record. Fails with kBusy when it was failed meanwhile, with
  // kNotFound when a snapshot is missing.
  Result<ImageRecord> keep();

 private:
  PendingImage(ObjectStore& objects, std::unique_ptr<Session> session, Snapshots when_taken_back)
      : objects_(objects),
        images_(objects),
        session_(std::move(session)),
        when_taken_back_(when_taken_back) {}

  ObjectStore& objects_;
  ImageCatalog images_;
  std::unique_ptr<Session> session_;
  const Snapshots when_taken_back_;
  ImageRecord image_;
  bool is_published_ = false;
  bool is_kept_ = false;
};

}  // namespace ashlar
