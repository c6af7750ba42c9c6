// `ashlar.json`: the identity and the parameters of a store. Page: docs/format/store.md. Written once, by
// init.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/id.h"
#include "base/result.h"

namespace ashlar {

inline constexpr std::uint32_t kStoreVersion = 1;
inline constexpr int kMinZstdLevel = -7;  // at faster levels zstd hardly compresses
inline constexpr int kMaxZstdLevel = 22;
inline constexpr std::size_t kMaxStoreConfigBytes = 64UL * 1024;

struct StoreConfig {
  StoreId id;
  UtcTime created;
  std::uint32_t frame_blocks = 16;  // 1 to kMaxFrameBlocks
  int level = 1;                    // zstd level, kMinZstdLevel to kMaxZstdLevel; 0: zstd's default
  std::uint64_t region_seed = 0;    // seed of the XXH3 of regions; a secret of the store
  friend bool operator==(const StoreConfig&, const StoreConfig&) = default;
};

std::string encode(const StoreConfig& config);
// Returns kUnsupported for a newer store, with a message that says so.
Result<StoreConfig> decode_store_config(std::string_view text);

}  // namespace ashlar
