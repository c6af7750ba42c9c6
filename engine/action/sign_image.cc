#include <algorithm>

#include "action/account_images.h"
#include "action/image_checks.h"
#include "image/signing.h"

namespace ashlar {

Result<ImageRecord> sign_image(Repo& repo, const Caller& caller, ImageId id, const SigningKey& key) {
  return AccountImages::open(repo, caller).update_own(id, [&](ImageRecord& image) -> Status {
    TRY(check_available(image));
    const ImageSignature made = TRY(sign_image(image, key, UtcTime::now()));
    std::erase_if(image.signatures, [&](const ImageSignature& old) { return old.key == made.key; });
    image.signatures.push_back(made);
    return {};
  });
}

}  // namespace ashlar
