// The settings of a store, as its owner chose them: `settings.json`, replaced as a whole. Page:
// docs/format/settings.md.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "codec/signature.h"

namespace ashlar {

inline constexpr std::uint32_t kSettingsVersion = 1;
inline constexpr std::size_t kMaxSettingsBytes = 256UL * 1024;
inline constexpr std::uint32_t kMaxBinDays = 36500;
inline constexpr std::size_t kMaxTrustedKeys = 1000;

// The treatment of an image that comes from another store and has no signature by a trusted key.
enum class UnsignedImages : unsigned char { kAccept, kWarn, kRefuse };

struct StoreSettings {
  std::uint64_t revision = 1;
  std::uint32_t bin_days = 7;  // days that deleted snapshots and images stay in the bin
  UnsignedImages unsigned_images = UnsignedImages::kAccept;
  std::map<PublicKey, std::string> trusted_keys;  // each key with its name

  friend bool operator==(const StoreSettings&, const StoreSettings&) = default;
};

std::string_view unsigned_images_name(UnsignedImages policy);
Result<UnsignedImages> parse_unsigned_images(std::string_view text);
Status check_limits(const StoreSettings& settings);
std::string encode(const StoreSettings& settings);
Result<StoreSettings> decode_store_settings(std::string_view text);

}  // namespace ashlar
