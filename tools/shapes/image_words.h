// Words of the command line that name accounts and images.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "action/images.h"

namespace ashlar {

// Reads "self" (the account itself) or an account's number.
Result<AccountId> parse_account(std::string_view word, AccountId self);
// Reads an account, "self", or "all" for all accounts.
Result<Grantee> parse_grantee(std::string_view word, AccountId self);
Result<std::vector<ImageId>> parse_image_ids(const std::vector<std::string>& words);

}  // namespace ashlar
