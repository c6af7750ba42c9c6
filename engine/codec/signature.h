// Ed25519 signatures (RFC 8032), by libcrypto.
//
// A private key is kept as text: PKCS#8 in PEM, unencrypted, as `openssl genpkey -algorithm ed25519` writes
// it.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace ashlar {

using PublicKey = std::array<std::byte, 32>;
using Signature = std::array<std::byte, 64>;

class SigningKey {
 public:
  static Result<SigningKey> generate();
  // kInvalid for anything but the PEM of an Ed25519 private key; one with a pass phrase is refused, too.
  static Result<SigningKey> from_pem(std::string_view pem);
  ~SigningKey();
  SigningKey(SigningKey&& other) noexcept;
  SigningKey& operator=(SigningKey&&) = delete;
  SigningKey(const SigningKey&) = delete;
  SigningKey& operator=(const SigningKey&) = delete;

  Result<std::string> pem() const;
  const PublicKey& public_key() const { return public_; }
  Result<Signature> sign(ByteSpan message) const;

 private:
  struct Key;
  explicit SigningKey(std::unique_ptr<Key> key, const PublicKey& public_key);
  static Result<SigningKey> of(std::unique_ptr<Key> key);

  std::unique_ptr<Key> key_;
  PublicKey public_{};
};

// False for any signature, or key, that is not right.
bool is_signed_by(const PublicKey& key, ByteSpan message, const Signature& signature);

}  // namespace ashlar
