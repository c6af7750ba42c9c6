#include "repo/store_address.h"

#include <fmt/format.h>

namespace ashlar {

Result<StoreAddress> StoreAddress::parse(std::string_view text) {
  if (text.empty()) return invalid("the address of a store is empty");
  if (text.starts_with("s3://"))
    return unsupported(fmt::format("{}: stores in buckets are not supported yet; give a directory", text));
  return StoreAddress{std::string(text)};
}

}  // namespace ashlar
