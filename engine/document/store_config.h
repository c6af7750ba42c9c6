// `ashlar.json`: what a store is. Page: docs/format/store.md. Written once by init.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/id.h"
#include "base/result.h"

namespace ashlar {

inline constexpr std::uint32_t kStoreVersion = 1;
inline constexpr int kMinZstdLevel = -7;  // faster than that, zstd hardly compresses
inline constexpr int kMaxZstdLevel = 22;
inline constexpr std::size_t kMaxStoreConfigBytes = 64UL * 1024;

struct StoreConfig {
  StoreId id;
  UtcTime created;
  std::uint32_t frame_blocks = 16;  // 1 to kMaxFrameBlocks
  int level = 1;                    // of zstd, kMinZstdLevel to kMaxZstdLevel; 0 is zstd's default
  std::uint64_t region_seed = 0;    // of the XXH3 of regions: secret to the store
  friend bool operator==(const StoreConfig&, const StoreConfig&) = default;
};

std::string encode(const StoreConfig& config);
// kUnsupported for a newer store, with a message that says so.
Result<StoreConfig> decode_store_config(std::string_view text);

}  // namespace ashlar
