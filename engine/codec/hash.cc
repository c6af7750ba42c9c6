#include "codec/hash.h"

#include <openssl/evp.h>
#include <xxhash.h>

#include "base/out_of_memory.h"

namespace ashlar {
namespace {

// The method is fetched once, because a fetch by name for every digest costs more than hashing a block.
const EVP_MD* sha256_method() {
  static const EVP_MD* const method = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  CHECK(method != nullptr);
  return method;
}

Sha256Hasher& thread_hasher() {
  thread_local Sha256Hasher hasher;
  return hasher;
}

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

void Sha256Hasher::begin() { CHECK(EVP_DigestInit_ex2(state_->context, sha256_method(), nullptr) == 1); }

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

BlockId block_id(ByteSpan block) {
  CHECK(block.size() == kBlockBytes);
  return BlockId{sha256(block)};
}

RegionHash region_hash(ByteSpan region, std::uint64_t seed) {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(region.data(), region.size(), seed);
  RegionHash out;
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  std::memcpy(out.bytes.data(), canonical.digest, sizeof canonical.digest);
  return out;
}

std::uint64_t checksum64(ByteSpan bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace ashlar
