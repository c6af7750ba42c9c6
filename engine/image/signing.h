// Signing: signatures of images, and what a store does with signatures.
#pragma once

#include <optional>
#include <string>

#include "codec/signature.h"
#include "document/image_record.h"
#include "document/store_settings.h"

namespace ashlar {

// Signs the image under its present name.
Result<ImageSignature> sign_image(const ImageRecord& image, const SigningKey& key, UtcTime now);

bool is_valid(const ImageRecord& image, const ImageSignature& signature);

// Returns the store's name for the first trusted key that has a valid signature of the image.
std::optional<std::string> trusted_signer(const ImageRecord& image, const StoreSettings& settings);

// Checks an image that comes from elsewhere. Returns nullopt when a trusted key has signed it, or when the
// store accepts any image; else a warning. Returns kInvalid when the store refuses it.
Result<std::optional<std::string>> check_trust(const ImageRecord& image, const StoreSettings& settings);

}  // namespace ashlar
