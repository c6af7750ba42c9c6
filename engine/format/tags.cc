#include "format/tags.h"

#include <fmt/format.h>

namespace ashlar {

Status check_text(std::string_view what, std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return {};
  return invalid(fmt::format("{} is {} bytes long; at most {} are allowed", what, text.size(), limit));
}

Status check_tags(const Tags& tags) {
  if (tags.size() > kMaxTags) return invalid(fmt::format("more than {} tags", kMaxTags));
  for (const auto& [key, value] : tags) {
    if (key.empty()) return invalid("a tag needs a key: KEY=VALUE");
    TRY(check_text("a tag's key", key, kMaxTagKeyBytes));
    TRY(check_text("a tag's value", value, kMaxTagValueBytes));
  }
  return {};
}

void encode_tags(const Tags& tags, ByteWriter& out) {
  out.u16(static_cast<std::uint16_t>(tags.size()));
  for (const auto& [key, value] : tags) {
    out.string(key);
    out.string(value);
  }
}

Result<Tags> decode_tags(ByteReader& in) {
  Tags tags;
  const std::size_t count = in.u16();
  if (count > kMaxTags) return corrupt("too many tags");
  for (std::size_t i = 0; i < count; ++i) {
    std::string key = in.string();
    std::string value = in.string();
    if (!tags.empty() && tags.rbegin()->first >= key) return corrupt("tags twice or out of order");
    tags.emplace_hint(tags.end(), std::move(key), std::move(value));
  }
  return tags;
}

}  // namespace ashlar
