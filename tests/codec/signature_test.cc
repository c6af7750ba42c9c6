#include "codec/signature.h"

#include <gtest/gtest.h>

#include "base/id.h"

namespace ashlar {
namespace {

template <std::size_t kSize>
std::array<std::byte, kSize> bytes(std::string_view hex) {
  std::array<std::byte, kSize> out{};
  EXPECT_TRUE(from_hex(hex, out).ok());
  return out;
}

// The vector is from RFC 8032, section 7.1, test 2.
TEST(Signature, IsTheOneOfTheStandard) {
  const auto key = bytes<32>("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  const auto signature = bytes<64>(
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
      "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
  EXPECT_TRUE(is_signed_by(key, bytes<1>("72"), signature));
  EXPECT_FALSE(is_signed_by(key, bytes<1>("73"), signature));
}

TEST(Signature, OfAKeyThatWasWrittenAndReadAgain) {
  const SigningKey key = SigningKey::generate().take();
  const SigningKey again = SigningKey::from_pem(key.pem().take()).take();
  EXPECT_EQ(again.public_key(), key.public_key());
  const auto message = as_byte_span("what an image is");
  const Signature signature = again.sign(message).take();
  EXPECT_TRUE(is_signed_by(key.public_key(), message, signature));
  EXPECT_EQ(key.sign(message).take(), signature) << "Ed25519 needs no random numbers";
  for (std::size_t i = 0; i < signature.size(); ++i) {
    Signature other = signature;
    other[i] ^= std::byte{1};
    EXPECT_FALSE(is_signed_by(key.public_key(), message, other)) << i;
  }
  EXPECT_FALSE(is_signed_by(SigningKey::generate().take().public_key(), message, signature));
  EXPECT_FALSE(is_signed_by(PublicKey{}, message, signature));
}

TEST(Signature, WhatIsNoKeyIsRefused) {
  const std::string pem = SigningKey::generate().take().pem().take();
  for (const std::string& text :
       {std::string(), std::string("no key"), pem.substr(0, pem.size() / 2),
        std::string("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        // an X25519 key, made by openssl genpkey
        std::string("-----BEGIN PRIVATE KEY-----\n"
                    "MC4CAQAwBQYDK2VuBCIEIDBUk2gKxgkKqk1rvMHD4nk7P8zXJ2k1tq0jWcTqEGNQ\n"
                    "-----END PRIVATE KEY-----\n")}) {
    const auto key = SigningKey::from_pem(text);
    ASSERT_FALSE(key.ok()) << text;
    EXPECT_EQ(key.error().code(), ErrorCode::kInvalid);
  }
}

}  // namespace
}  // namespace ashlar
