#include "shapes/image_words.h"

namespace ashlar {

Result<AccountId> parse_account(std::string_view word, AccountId self) {
  if (word == "self") return self;
  return AccountId::parse(word);
}

Result<Grantee> parse_grantee(std::string_view word, AccountId self) {
  if (word == "all") return Grantee();
  return Grantee(TRY(parse_account(word, self)));
}

Result<std::vector<ImageId>> parse_image_ids(const std::vector<std::string>& words) {
  std::vector<ImageId> ids;
  ids.reserve(words.size());
  for (const std::string& word : words) ids.push_back(TRY(ImageId::parse(word)));
  return ids;
}

}  // namespace ashlar
