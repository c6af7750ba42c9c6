// Image filters: filters over images, as EC2's DescribeImages has them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "document/image_record.h"

namespace ashlar {

// A filter. An image passes when one of its values of that name matches one of the patterns. In a pattern '*'
// is any text, '?' any one character, and '\' takes the next character as it is.
struct ImageFilter {
  std::string name;  // "state", "tag:KEY", "block-device-mapping.snapshot-id", …
  std::vector<std::string> values;
};

// Parses "name=NAME,values=PATTERN[,PATTERN…]". Returns kInvalid for a name that images do not have.
Result<ImageFilter> parse_image_filter(std::string_view text);
bool passes(const ImageRecord& record, const ImageFilter& filter);
bool matches_pattern(std::string_view text, std::string_view pattern);

}  // namespace ashlar
