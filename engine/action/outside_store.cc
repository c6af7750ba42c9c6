#include "action/outside_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace ashlar {

Status check_outside_store(const std::string& target, const std::string& store) {
  std::error_code failed;
  const auto below = std::filesystem::weakly_canonical(std::filesystem::absolute(target), failed);
  if (failed) return Error::from_errno(failed.value(), target + ": finding its real path");
  const auto folder = std::filesystem::canonical(store, failed);
  if (failed) return Error::from_errno(failed.value(), store + ": finding its real path");
  if (std::ranges::mismatch(folder, below).in1 != folder.end()) return {};
  return invalid(fmt::format("{} lies in the store {}: name a target outside of it", target, store));
}

}  // namespace ashlar
