#include "shapes/mapping_words.h"

namespace ashlar {

Result<std::vector<DeviceMapping>> parse_mappings(const std::vector<std::string>& words) {
  std::vector<DeviceMapping> mappings;
  mappings.reserve(words.size());
  for (const std::string& word : words) mappings.push_back(TRY(parse_mapping(word).with_context("--map")));
  return mappings;
}

}  // namespace ashlar
