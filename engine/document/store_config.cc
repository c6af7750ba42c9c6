#include "document/store_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <concepts>
#include <nlohmann/json.hpp>
#include <utility>

#include "codec/hash.h"
#include "format/pack_format.h"

namespace ashlar {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kFormat = "ashlar store";
constexpr const char* kToRead = "features_to_read";
constexpr const char* kToWrite = "features_to_write";

Error damaged(std::string_view what) { return corrupt(fmt::format("ashlar.json: {}", what)); }

// Returns the XXH3-64 of the compact dump without the checksum member. The keys are sorted, so the dump is
// canonical.
std::string checksum_of(Json body) {
  body.erase("checksum");
  return fmt::format("{:016x}", checksum64(as_byte_span(body.dump())));
}

bool is_flat(const Json& list) {
  return std::none_of(list.begin(), list.end(), [](const Json& m) { return m.is_structured(); });
}

// Returns whether this is an object whose members are not nested, but for the two lists of features, which
// are flat. nlohmann's dump and copy recurse, so nesting would let a file choose the depth of our stack.
bool is_shallow_object(const Json& body) {
  if (!body.is_object()) return false;
  for (const auto& [key, member] : body.items()) {
    const bool is_list = member.is_array() && (key == kToRead || key == kToWrite);
    if (member.is_structured() && !(is_list && is_flat(member))) return false;
  }
  return true;
}

bool is_feature(const Json& word) {
  if (!word.is_string()) return false;
  const auto& text = word.get_ref<const std::string&>();
  return !text.empty() && text.size() <= kMaxFeatureBytes &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

// Reads a list of features: ascending, so none twice.
Result<std::vector<std::string>> read_features(const Json& body, const char* key) {
  std::vector<std::string> features;
  const auto list = body.find(key);
  if (list == body.end() || !list->is_array()) return damaged(fmt::format("{} is not a list", key));
  for (const Json& word : *list) {
    if (!is_feature(word)) return damaged(fmt::format("{} holds what is not a word", key));
    features.push_back(word.get<std::string>());
    if (features.size() > 1 && features[features.size() - 2] >= features.back())
      return damaged(fmt::format("{} is not in order", key));
  }
  return features;
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
  std::string secret;
  std::string hash;
  std::string encryption;
  if (!read(body, "store_id", id) || !read(body, "created_unix_ns", config.created.unix_ns) ||
      !read(body, "frame_blocks", config.frame_blocks) || !read(body, "zstd_level", config.level) ||
      !read(body, "hook_rate", config.hook_rate) || !read(body, "revision", config.revision) ||
      !read(body, "region_secret", secret) || !read(body, "hash", hash) ||
      !read(body, "encryption", encryption)) {
    return damaged("a member is missing or of a wrong type");
  }
  if (hash != "sha256")
    return unsupported(fmt::format("this store's hash '{}' is unknown to this program", hash));
  if (encryption != "none") return unsupported("this store is encrypted, and this program can't decrypt");
  TRY(check_geometry(body));
  if (!from_hex(id, config.id.bytes).ok() || !from_hex(secret, config.region_secret.span()).ok()) {
    return damaged("an id or the secret is not hexadecimal of the right length");
  }
  if (config.level < kMinZstdLevel || config.level > kMaxZstdLevel)
    return damaged("impossible compression level");
  if (config.frame_blocks == 0 || config.frame_blocks > kMaxFrameBlocks)
    return damaged("impossible frame size");
  if (!std::has_single_bit(config.hook_rate) || config.hook_rate > kMaxHookRate)
    return damaged("impossible rate of hooks");
  if (config.revision == 0) return damaged("impossible revision");
  return config;
}

}  // namespace

std::string encode(const StoreConfig& config) {
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
               {kToRead, Json::array()},
               {kToWrite, config.unknown_to_write},
               {"hook_rate", config.hook_rate},
               {"revision", config.revision},
               {"region_secret", to_hex(config.region_secret.span())}};
  body["checksum"] = checksum_of(body);
  return body.dump(2) + "\n";
}

Result<StoreConfig> decode_store_config(std::string_view text) {
  // The parser takes a zero byte for the end of its input.
  if (text.find('\0') != std::string_view::npos) return damaged("this is not the description of a store");
  const Json body = Json::parse(text, nullptr, false);
  std::string format;
  std::uint64_t version = 0;
  if (!is_shallow_object(body) || !read(body, "format", format) || format != kFormat ||
      !read(body, "version", version)) {
    return damaged("this is not the description of a store");
  }
  std::string checksum;
  if (!read(body, "checksum", checksum) || checksum != checksum_of(body))
    return damaged("checksum does not match");
  if (version < kStoreVersion) return damaged("impossible version");
  if (version > kStoreVersion) {
    return unsupported(
        fmt::format("the store has format version {}, this program knows up to {}: use a newer ashlar",
                    version, kStoreVersion));
  }
  const std::vector<std::string> to_read = TRY(read_features(body, kToRead));
  if (!to_read.empty()) {
    return unsupported(fmt::format(
        "the store can only be read by a program that knows '{}': use a newer ashlar", to_read.front()));
  }
  StoreConfig config = TRY(read_members(body));
  config.unknown_to_write = TRY(read_features(body, kToWrite));
  return config;
}

Status check_writable(const StoreConfig& config) {
  if (config.unknown_to_write.empty()) return {};
  return unsupported(
      fmt::format("the store can only be changed by a program that knows '{}': use a newer ashlar",
                  config.unknown_to_write.front()));
}

}  // namespace ashlar
