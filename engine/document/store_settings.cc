#include "document/store_settings.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/id.h"
#include "document/json_record.h"
#include "format/tags.h"

namespace ashlar {
namespace {

using Json = nlohmann::json;

constexpr JsonFormat kFormat = {"ashlar settings", "settings", kSettingsVersion, kMaxSettingsBytes,
                                3};  // the record, its keys, one key
constexpr std::array kPolicies = {std::string_view("accept"), std::string_view("warn"),
                                  std::string_view("refuse")};

bool read_keys(const Json* list, StoreSettings& settings) {
  if (!list) return false;
  for (const Json& one : *list) {
    if (!one.is_object()) return false;
    JsonMembers members(one);
    std::string hex;
    std::string name;
    PublicKey key{};
    members.text("key", hex);
    members.text("name", name);
    if (!members.all_read() || !from_hex(hex, key).ok()) return false;
    const auto last = settings.trusted_keys.empty() ? key : settings.trusted_keys.rbegin()->first;
    if (!settings.trusted_keys.empty() && last >= key) return false;
    settings.trusted_keys.emplace(key, std::move(name));
  }
  return true;
}

}  // namespace

std::string_view unsigned_images_name(UnsignedImages policy) {
  return kPolicies.at(static_cast<std::size_t>(policy));
}

Result<UnsignedImages> parse_unsigned_images(std::string_view text) {
  const auto found = std::ranges::find(kPolicies, text);
  if (found != kPolicies.end()) return static_cast<UnsignedImages>(found - kPolicies.begin());
  return invalid(fmt::format("'{}' is not a rule for unsigned images: use accept, warn or refuse", text));
}

Status check_limits(const StoreSettings& settings) {
  if (settings.revision == 0) return invalid("settings have a revision");
  if (settings.bin_days > kMaxBinDays) return invalid(fmt::format("at most {} days in the bin", kMaxBinDays));
  if (settings.trusted_keys.size() > kMaxTrustedKeys)
    return invalid(fmt::format("at most {} keys are trusted", kMaxTrustedKeys));
  for (const auto& [key, name] : settings.trusted_keys)
    TRY(check_json_text("the name of a key", name, kMaxTextBytes));
  return {};
}

std::string encode(const StoreSettings& settings) {
  Json keys = Json::array();
  for (const auto& [key, name] : settings.trusted_keys)
    keys.push_back({{"key", to_hex(key)}, {"name", name}});
  return write_json_record(kFormat, {{"revision", settings.revision},
                                     {"bin_days", settings.bin_days},
                                     {"unsigned_images", unsigned_images_name(settings.unsigned_images)},
                                     {"trusted_keys", keys}});
}

Result<StoreSettings> decode_store_settings(std::string_view text) {
  std::uint32_t version = 0;
  const Json body = TRY(read_json_record(kFormat, text, version));
  StoreSettings settings;
  JsonMembers members(body);
  members.number("revision", settings.revision);
  members.number("bin_days", settings.bin_days);
  members.name("unsigned_images", kPolicies, settings.unsigned_images);
  const bool keys = read_keys(members.array("trusted_keys"), settings);
  if (!keys || !members.all_read())
    return corrupt("settings: a member is missing, of a wrong type, or unknown");
  Status limits = check_limits(settings);
  if (!limits.ok()) return corrupt("settings: " + limits.error().text());
  return settings;
}

}  // namespace ashlar
