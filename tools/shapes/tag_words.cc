#include "shapes/tag_words.h"

#include <fmt/format.h>

namespace ashlar {

Result<Tags> parse_tags(const std::vector<std::string>& words) {
  Tags tags;
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return invalid(fmt::format("--tag: '{}' is not of the form KEY=VALUE", word));
    }
    if (!tags.emplace(word.substr(0, equals), word.substr(equals + 1)).second) {
      return invalid(fmt::format("--tag: '{}' is given twice", word.substr(0, equals)));
    }
  }
  return tags;
}

}  // namespace ashlar
