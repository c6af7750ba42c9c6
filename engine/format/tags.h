// Tags of a record: KEY=VALUE pairs, as in EC2. The page of each record says how they are written (the count,
// then key and value of each tag, keys ascending).
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "format/cursor.h"

namespace ashlar {

inline constexpr std::size_t kMaxTags = 50;
inline constexpr std::size_t kMaxTagKeyBytes = 128;
inline constexpr std::size_t kMaxTagValueBytes = 256;
inline constexpr std::size_t kMaxTextBytes = 1024;  // limit of a name, a description, …

using Tags = std::map<std::string, std::string>;

// Returns kInvalid when `text` is longer than `limit` bytes; the message starts with `what` and names the
// limit.
Status check_text(std::string_view what, std::string_view text, std::size_t limit);
Status check_tags(const Tags& tags);
void encode_tags(const Tags& tags, ByteWriter& out);
// Fails with kCorrupt for too many tags, and for keys that are repeated or out of order.
Result<Tags> decode_tags(ByteReader& in);

}  // namespace ashlar
