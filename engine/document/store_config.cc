#include "document/store_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <concepts>
#include <nlohmann/json.hpp>
#include <utility>

#include "codec/hash.h"
#include "format/pack_format.h"

namespace ashlar {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kFormat = "ashlar store";

Error damaged(std::string_view what) { return corrupt(fmt::format("ashlar.json: {}", what)); }

// Returns the XXH3-64 of the compact dump without the checksum member. The keys are sorted, so the dump is
// canonical.
std::string checksum_of(Json body) {
  body.erase("checksum");
  return fmt::format("{:016x}", checksum64(as_byte_span(body.dump())));
}

// Returns whether this is an object without nesting. nlohmann's dump and copy recurse, so nesting would let a
// file choose the depth of our stack.
bool is_flat_object(const Json& body) {
  return body.is_object() &&
         std::none_of(body.begin(), body.end(), [](const Json& m) { return m.is_structured(); });
}

bool read(const Json& body, const char* key, std::string& out) {
  const auto member = body.find(key);
  if (member == body.end() || !member->is_string()) return false;
  out = member->get<std::string>();
  return true;
}

// Returns false when the member is missing, is not an integer, or does not fit `out`.
template <std::integral T>
bool read(const Json& body, const char* key, T& out) {
  const auto member = body.find(key);
  if (member == body.end() || !member->is_number_integer()) return false;
  if (member->is_number_unsigned()) {
    if (!std::in_range<T>(member->get<std::uint64_t>())) return false;
  } else if (!std::in_range<T>(member->get<std::int64_t>())) {
    return false;
  }
  out = member->get<T>();
  return true;
}

Status check_geometry(const Json& body) {
  std::uint64_t block_bytes = 0;
  std::uint64_t segment_blocks = 0;
  if (!read(body, "block_bytes", block_bytes) || !read(body, "segment_blocks", segment_blocks)) {
    return damaged("a member is missing or of a wrong type");
  }
  if (block_bytes == kBlockBytes && segment_blocks == kSegmentBlocks) return {};
  return unsupported(
      fmt::format("this store has blocks of {} bytes and segments of {} blocks; this program only knows "
                  "{} and {}",
                  block_bytes, segment_blocks, kBlockBytes, kSegmentBlocks));
}

Result<StoreConfig> read_members(const Json& body) {
  StoreConfig config;
  std::string id;
  std::string seed;
  std::string hash;
  std::string encryption;
  if (!read(body, "store_id", id) || !read(body, "created_unix_ns", config.created.unix_ns) ||
      !read(body, "frame_blocks", config.frame_blocks) || !read(body, "zstd_level", config.level) ||
      !read(body, "region_seed", seed) || !read(body, "hash", hash) ||
      !read(body, "encryption", encryption)) {
    return damaged("a member is missing or of a wrong type");
  }
  if (hash != "sha256")
    return unsupported(fmt::format("this store's hash '{}' is unknown to this program", hash));
  if (encryption != "none") return unsupported("this store is encrypted, and this program can't decrypt");
  TRY(check_geometry(body));
  BinaryId<struct SeedTag, 8> raw_seed;
  if (!from_hex(id, config.id.bytes).ok() || !from_hex(seed, raw_seed.bytes).ok()) {
    return damaged("an id or the seed is not hexadecimal of the right length");
  }
  config.region_seed = raw_seed.prefix();
  if (config.level < kMinZstdLevel || config.level > kMaxZstdLevel)
    return damaged("impossible compression level");
  if (config.frame_blocks == 0 || config.frame_blocks > kMaxFrameBlocks)
    return damaged("impossible frame size");
  return config;
}

}  // namespace

std::string encode(const StoreConfig& config) {
  BinaryId<struct SeedTag, 8> seed;
  std::memcpy(seed.bytes.data(), &config.region_seed, sizeof config.region_seed);
  Json body = {{"format", kFormat},
               {"version", kStoreVersion},
               {"store_id", config.id.hex()},
               {"created_unix_ns", config.created.unix_ns},
               {"block_bytes", kBlockBytes},
               {"frame_blocks", config.frame_blocks},
               {"segment_blocks", kSegmentBlocks},
               {"zstd_level", config.level},
               {"hash", "sha256"},
               {"encryption", "none"},
               {"region_seed", seed.hex()}};
  body["checksum"] = checksum_of(body);
  return body.dump(2) + "\n";
}

Result<StoreConfig> decode_store_config(std::string_view text) {
  const Json body = Json::parse(text, nullptr, false);
  std::string format;
  std::uint64_t version = 0;
  if (!is_flat_object(body) || !read(body, "format", format) || format != kFormat ||
      !read(body, "version", version)) {
    return damaged("this is not the description of a store");
  }
  if (version == 0) return damaged("impossible version");
  if (version > kStoreVersion) {
    return unsupported(
        fmt::format("the store has format version {}, this program knows up to {}: use a newer ashlar",
                    version, kStoreVersion));
  }
  std::string checksum;
  if (!read(body, "checksum", checksum) || checksum != checksum_of(body))
    return damaged("checksum does not match");
  return read_members(body);
}

}  // namespace ashlar
