#include "image/signing.h"

#include <fmt/format.h>

#include <algorithm>

namespace ashlar {

Result<ImageSignature> sign_image(const ImageRecord& image, const SigningKey& key, UtcTime now) {
  ImageSignature made;
  made.key = key.public_key();
  made.name = image.name;
  made.signed_at = now;
  made.signature = TRY(key.sign(signed_statement(image, made)));
  return made;
}

bool is_valid(const ImageRecord& image, const ImageSignature& signature) {
  return is_signed_by(signature.key, signed_statement(image, signature), signature.signature);
}

std::optional<std::string> trusted_signer(const ImageRecord& image, const StoreSettings& settings) {
  for (const ImageSignature& signature : image.signatures) {
    const auto key = settings.trusted_keys.find(signature.key);
    if (key == settings.trusted_keys.end() || !is_valid(image, signature)) continue;
    return key->second.empty() ? to_hex(signature.key) : key->second;
  }
  return std::nullopt;
}

Result<std::optional<std::string>> check_trust(const ImageRecord& image, const StoreSettings& settings) {
  if (settings.unsigned_images == UnsignedImages::kAccept || trusted_signer(image, settings))
    return std::optional<std::string>();
  std::string what = fmt::format("{}: no key that the store trusts has signed it", image.name);
  if (settings.unsigned_images == UnsignedImages::kWarn) return std::optional(std::move(what));
  return invalid(what).about(ErrorKind::kNotTrusted, image.id.text());
}

}  // namespace ashlar
