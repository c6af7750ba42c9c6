// Signatures: Ed25519 (RFC 8032), by libcrypto.
//
// A private key is stored as text: PKCS#8 in PEM, unencrypted, as `openssl genpkey -algorithm ed25519` writes
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
  // Reads the PEM of an Ed25519 private key. Returns kInvalid for anything else, and for a key with a pass
  // phrase.
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

// Returns false when the signature or the key is wrong in any way.
bool is_signed_by(const PublicKey& key, ByteSpan message, const Signature& signature);

}  // namespace ashlar
