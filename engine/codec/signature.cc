#include "codec/signature.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

namespace ashlar {
namespace {

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;
struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;
struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using AnyKey = std::unique_ptr<EVP_PKEY, FreeKey>;

const unsigned char* raw(const std::byte* bytes) { return reinterpret_cast<const unsigned char*>(bytes); }
unsigned char* raw(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }

Error failed(std::string_view what) { return {ErrorCode::kIo, std::string("libcrypto can't ").append(what)}; }

// Gives libcrypto an empty pass phrase; without this it would ask on the terminal.
int no_pass_phrase(char* /*out*/, int /*size*/, int /*writing*/, void* /*of_caller*/) { return 0; }

}  // namespace

struct SigningKey::Key {
  AnyKey key;
};

SigningKey::SigningKey(std::unique_ptr<Key> key, const PublicKey& public_key)
    : key_(std::move(key)), public_(public_key) {}
SigningKey::~SigningKey() = default;
SigningKey::SigningKey(SigningKey&& other) noexcept = default;

Result<SigningKey> SigningKey::of(std::unique_ptr<Key> key) {
  PublicKey public_key{};
  std::size_t size = public_key.size();
  const bool is_right = key->key && EVP_PKEY_id(key->key.get()) == EVP_PKEY_ED25519 &&
                        EVP_PKEY_get_raw_public_key(key->key.get(), raw(public_key.data()), &size) == 1 &&
                        size == public_key.size();
  if (!is_right) return invalid("this is not the private key of Ed25519 in PEM, without a pass phrase");
  return SigningKey(std::move(key), public_key);
}

Result<SigningKey> SigningKey::generate() {
  auto key = std::make_unique<Key>();
  key->key.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (!key->key) return failed("make a key");
  return of(std::move(key));
}

Result<SigningKey> SigningKey::from_pem(std::string_view pem) {
  const Bio in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!in) return failed("read a key");
  auto key = std::make_unique<Key>();
  key->key.reset(PEM_read_bio_PrivateKey(in.get(), nullptr, no_pass_phrase, nullptr));
  return of(std::move(key));
}

Result<std::string> SigningKey::pem() const {
  const Bio out(BIO_new(BIO_s_mem()));
  if (!out ||
      PEM_write_bio_PKCS8PrivateKey(out.get(), key_->key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return failed("write a key");
  const char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

Result<Signature> SigningKey::sign(ByteSpan message) const {
  const Context context(EVP_MD_CTX_new());
  Signature signature{};
  std::size_t size = signature.size();
  const bool done =
      context && EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_->key.get()) == 1 &&
      EVP_DigestSign(context.get(), raw(signature.data()), &size, raw(message.data()), message.size()) == 1;
  if (!done || size != signature.size()) return failed("sign");
  return signature;
}

bool is_signed_by(const PublicKey& key, ByteSpan message, const Signature& signature) {
  const AnyKey public_key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw(key.data()), key.size()));
  const Context context(EVP_MD_CTX_new());
  return public_key && context &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, public_key.get()) == 1 &&
         EVP_DigestVerify(context.get(), raw(signature.data()), signature.size(), raw(message.data()),
                          message.size()) == 1;
}

}  // namespace ashlar
