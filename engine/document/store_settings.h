// What the owner of a store chose for it: `settings.json`, replaced as a whole. Without it everything is at
// its default. Page: docs/format/settings.md.
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

// What becomes of an image that comes from elsewhere and that no trusted key has signed.
enum class UnsignedImages : unsigned char { kAccept, kWarn, kRefuse };

struct StoreSettings {
  std::uint64_t revision = 0;  // 0: there is no record yet
  std::uint32_t bin_days = 7;  // what was deleted stays in the bin for so long
  UnsignedImages unsigned_images = UnsignedImages::kAccept;
  std::map<PublicKey, std::string> trusted_keys;  // and what they are called

  friend bool operator==(const StoreSettings&, const StoreSettings&) = default;
};

std::string_view unsigned_images_name(UnsignedImages policy);
Result<UnsignedImages> parse_unsigned_images(std::string_view text);
Status check_limits(const StoreSettings& settings);
std::string encode(const StoreSettings& settings);
Result<StoreSettings> decode_store_settings(std::string_view text);

}  // namespace ashlar
