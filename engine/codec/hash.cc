#include "codec/hash.h"

#include <openssl/evp.h>
#include <xxhash.h>

#include "base/out_of_memory.h"
#include "base/random.h"

namespace ashlar {
namespace {

// The method is fetched once, because a fetch by name for every digest costs more than hashing a block.
const EVP_MD* sha256_method() {
  static const EVP_MD* const method = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  if (method == nullptr) end_for("libcrypto gives no SHA-256: there is no memory, or it is not allowed here");
  return method;
}

Sha256Hasher& thread_hasher() {
  thread_local Sha256Hasher hasher;
  return hasher;
}

// A Poly1305 context of libcrypto. Setting the key of a context that exists allocates nothing.
class Poly1305 {
 public:
  Poly1305() : context_(EVP_MAC_CTX_new(method())) {
    if (context_ == nullptr) out_of_memory();
  }
  ~Poly1305() { EVP_MAC_CTX_free(context_); }
  Poly1305(const Poly1305&) = delete;
  Poly1305& operator=(const Poly1305&) = delete;

  RegionHash hash(ByteSpan key, ByteSpan bytes) {
    RegionHash tag;
    std::size_t size = 0;
    if (EVP_MAC_init(context_, octets(key), key.size(), nullptr) != 1) out_of_memory();
    CHECK(EVP_MAC_update(context_, octets(bytes), bytes.size()) == 1);
    CHECK(EVP_MAC_final(context_, reinterpret_cast<unsigned char*>(tag.bytes.data()), &size,
                        RegionHash::kBytes) == 1);
    CHECK(size == RegionHash::kBytes);
    return tag;
  }

 private:
  static EVP_MAC* method() {
    static EVP_MAC* const method = EVP_MAC_fetch(nullptr, "POLY1305", nullptr);
    if (method == nullptr)
      end_for("libcrypto gives no Poly1305: there is no memory, or it is not allowed here");
    return method;
  }
  static const unsigned char* octets(ByteSpan bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
  }

  EVP_MAC_CTX* context_;
};

}  // namespace

struct Sha256Hasher::State {
  EVP_MD_CTX* context = nullptr;
};

Sha256Hasher::Sha256Hasher() : state_(std::make_unique<State>()) {
  state_->context = EVP_MD_CTX_new();
  if (state_->context == nullptr) out_of_memory();
  begin();
}

Sha256Hasher::~Sha256Hasher() { EVP_MD_CTX_free(state_->context); }

// Setting up a new context allocates.
void Sha256Hasher::begin() {
  if (EVP_DigestInit_ex2(state_->context, sha256_method(), nullptr) != 1) out_of_memory();
}

void Sha256Hasher::update(ByteSpan bytes) {
  CHECK(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

Sha256 Sha256Hasher::finish() {
  Sha256 digest;
  unsigned size = 0;
  CHECK(EVP_DigestFinal_ex(state_->context, reinterpret_cast<unsigned char*>(digest.data()), &size) == 1);
  CHECK(size == digest.size());
  return digest;
}

Sha256 sha256(ByteSpan bytes) { return sha256({}, bytes); }

Sha256 sha256(std::string_view domain, ByteSpan bytes) {
  Sha256Hasher& hasher = thread_hasher();
  hasher.begin();
  if (!domain.empty()) hasher.update(as_byte_span(domain));
  hasher.update(bytes);
  return hasher.finish();
}

BlockMark block_mark(ByteSpan block) {
  CHECK(block.size() == kBlockBytes);
  return BlockMark{sha256(block)};
}

BlockId id_of(const BlockMark& mark) { return BlockId{mark.bytes}; }
BlockMark mark_of(const BlockId& id) { return BlockMark{id.bytes}; }

BlockId block_id(ByteSpan block) { return id_of(block_mark(block)); }

RegionSecret RegionSecret::random() {
  RegionSecret secret;
  fill_random(secret.bytes_);
  return secret;
}

RegionHash region_hash(ByteSpan region, const RegionSecret& secret) {
  thread_local Poly1305 poly1305;
  return poly1305.hash(secret.span(), region);
}

std::uint64_t checksum64(ByteSpan bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

Checksum128 checksum128(ByteSpan bytes, std::uint64_t seed) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_withSeed(bytes.data(), bytes.size(), seed));
  Checksum128 out;
  std::memcpy(out.data(), canonical.digest, sizeof canonical.digest);
  return out;
}

}  // namespace ashlar
