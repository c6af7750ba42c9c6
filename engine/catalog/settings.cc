#include "catalog/settings.h"

#include <fmt/format.h>

namespace ashlar {
Status put_first_settings(ObjectStore& objects) {
  return objects.put_if_absent(kSettingsKey, as_byte_span(encode(StoreSettings{})));
}

// Every store has settings since it was made. Without them it would not be known which images to refuse.
Result<StoreSettings> get_settings(ObjectStore& objects) {
  auto bytes = get_object(objects, kSettingsKey, kMaxSettingsBytes);
  if (is(bytes, ErrorCode::kNotFound))
    return corrupt(fmt::format("{} is gone", kSettingsKey)).about(ErrorKind::kSettingsLost, "");
  if (!bytes.ok()) return bytes.take_error();
  auto settings = decode_store_settings(as_text(bytes.value())).with_context(kSettingsKey);
  if (is(settings, ErrorCode::kCorrupt)) return settings.error().about(ErrorKind::kSettingsLost, "");
  return settings;
}

Status replace_settings(ObjectStore& objects, const StoreSettings& before, const StoreSettings& now) {
  TRY(check_limits(now));
  const std::string text = encode(now);
  const std::string expected = encode(before);
  return objects.replace(kSettingsKey, as_byte_span(expected), as_byte_span(text));
}

}  // namespace ashlar
