// `ashlar.json`: the identity and the parameters of a store. Page: docs/format/store.md. Written by init.
//
// Two sets of words name what a program has to know: one to read the store, one to write it. A program that
// lacks a word of the first can't open the store. A program that lacks a word of the second opens it and
// changes nothing (repo/repo.h). This program knows no word of either.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/result.h"
#include "codec/hash.h"
#include "format/hook_rate.h"

namespace ashlar {

inline constexpr std::uint32_t kStoreVersion = 2;
inline constexpr int kMinZstdLevel = -7;  // at faster levels zstd hardly compresses
inline constexpr int kMaxZstdLevel = 22;
inline constexpr std::size_t kMaxFeatureBytes = 64;  // length of a feature's name
inline constexpr std::size_t kMaxStoreConfigBytes = 64UL * 1024;

struct StoreConfig {
  StoreId id;
  UtcTime created;
  std::uint32_t frame_blocks = 16;  // 1 to kMaxFrameBlocks
  int level = 1;                    // zstd level, kMinZstdLevel to kMaxZstdLevel; 0: zstd's default
  std::uint32_t hook_rate =
      kDefaultHookRate;        // 1 of so many block ids is a hook: a power of two up to kMaxHookRate
  std::uint64_t revision = 1;  // one more each time that the object is replaced; not 0
  RegionSecret region_secret;
  // The words that a program needs to write the store and this program does not know; ascending.
  std::vector<std::string> unknown_to_write;
  friend bool operator==(const StoreConfig&, const StoreConfig&) = default;
};

std::string encode(const StoreConfig& config);
// Returns kUnsupported, with a message that says so, for a newer store, and for one that needs a feature to
// be read that this program does not know.
Result<StoreConfig> decode_store_config(std::string_view text);
// Returns kUnsupported when the store must not be changed by this program.
Status check_writable(const StoreConfig& config);

}  // namespace ashlar
