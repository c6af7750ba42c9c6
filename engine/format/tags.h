// Tags of a record: KEY=VALUE pairs, as EC2 has them. How they are written stands in the page of each record
// (count, then key and value of each, keys ascending).
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "format/cursor.h"

namespace ashlar {

inline constexpr std::size_t kMaxTags = 50;
inline constexpr std::size_t kMaxTagKeyBytes = 128;
inline constexpr std::size_t kMaxTagValueBytes = 256;
inline constexpr std::size_t kMaxTextBytes = 1024;  // of a name, a description, …

using Tags = std::map<std::string, std::string>;

// kInvalid, and the message names the limit that `text` breaks.
Status check_text(std::string_view what, std::string_view text, std::size_t limit);
Status check_tags(const Tags& tags);
void encode_tags(const Tags& tags, ByteWriter& out);
// kCorrupt for too many tags, and for keys twice or out of order.
Result<Tags> decode_tags(ByteReader& in);

}  // namespace ashlar
