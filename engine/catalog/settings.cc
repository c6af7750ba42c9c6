#include "catalog/settings.h"

namespace ashlar {
namespace {

constexpr std::string_view kKey = "settings.json";

}  // namespace

Result<StoreSettings> get_settings(ObjectStore& objects) {
  auto bytes = get_object(objects, kKey, kMaxSettingsBytes);
  if (is(bytes, ErrorCode::kNotFound)) return StoreSettings{};
  return decode_store_settings(as_text(TRY(std::move(bytes)))).with_context(kKey);
}

Status replace_settings(ObjectStore& objects, const StoreSettings& before, const StoreSettings& now) {
  TRY(check_limits(now));
  const std::string text = encode(now);
  if (before.revision == 0) return objects.put_if_absent(kKey, as_byte_span(text));
  const std::string expected = encode(before);
  return objects.replace(kKey, as_byte_span(expected), as_byte_span(text));
}

}  // namespace ashlar
