#include "image/signing.h"

#include <gtest/gtest.h>

#include "document/golden_image.h"

namespace ashlar {
namespace {

TEST(Signing, AStoreTrustsWhatATrustedKeyHasSigned) {
  const SigningKey key = SigningKey::generate().take();
  const SigningKey other = SigningKey::generate().take();
  ImageRecord image = golden::image();
  image.signatures = {sign_image(image, other, UtcTime{1}).take(), sign_image(image, key, UtcTime{2}).take()};
  StoreSettings settings;
  EXPECT_FALSE(trusted_signer(image, settings));
  settings.trusted_keys[key.public_key()] = "release";
  EXPECT_EQ(trusted_signer(image, settings), "release");
  image.name = "called otherwise";
  EXPECT_EQ(trusted_signer(image, settings), "release");
  image.boot.command_line += " init=/bin/sh";
  EXPECT_FALSE(trusted_signer(image, settings)) << "it is another image now";
}

// Two signatures are not accepted: a valid one of another image, and one by an unknown key that claims to be
// the trusted key.
TEST(Signing, BorrowedSignaturesAreWorthNothing) {
  const SigningKey key = SigningKey::generate().take();
  ImageRecord image = golden::image();
  ImageRecord other = image;
  other.devices[0].content.digest.bytes[0] ^= std::byte{1};
  image.signatures = {sign_image(other, key, UtcTime{1}).take()};
  StoreSettings settings;
  settings.trusted_keys[key.public_key()] = "release";
  EXPECT_FALSE(trusted_signer(image, settings));
  image.signatures = {sign_image(image, SigningKey::generate().take(), UtcTime{1}).take()};
  image.signatures[0].key = key.public_key();
  EXPECT_FALSE(trusted_signer(image, settings));
}

TEST(Signing, WhatBecomesOfTheOthersIsTheStoresChoice) {
  ImageRecord image = golden::image();
  image.signatures.clear();
  StoreSettings settings;
  EXPECT_FALSE(check_trust(image, settings).take());
  settings.unsigned_images = UnsignedImages::kWarn;
  EXPECT_TRUE(check_trust(image, settings).take());
  settings.unsigned_images = UnsignedImages::kRefuse;
  EXPECT_EQ(check_trust(image, settings).error().code(), ErrorCode::kInvalid);
  const SigningKey key = SigningKey::generate().take();
  settings.trusted_keys[key.public_key()] = "";
  image.signatures = {sign_image(image, key, UtcTime{1}).take()};
  EXPECT_FALSE(check_trust(image, settings).take());
}

}  // namespace
}  // namespace ashlar
