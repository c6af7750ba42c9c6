#include "program/store_option.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace ashlar {

Result<std::unique_ptr<Repo>> open_store(const Globals& globals) {
  HostChoice choice;
  const char* directory = std::getenv("ASHLAR_HOST_DIR");  // NOLINT(concurrency-mt-unsafe): never changed
  if (directory != nullptr) choice.directory = directory;
  return Repo::open(posix_file_system(), TRY(StoreAddress::parse(globals.store)), choice);
}

Result<Caller> caller_of(const Globals& globals, const Repo& repo, Notices& notices, std::stop_token stop) {
  AccountId account = AccountId::of_store(repo.config().id);
  if (!globals.account.empty()) account = TRY(AccountId::parse(globals.account));
  return Caller{account, notices, std::move(stop)};
}

Result<std::unique_ptr<VolumeHost>> open_volume_host(const Globals& globals, std::size_t cache_bytes) {
  return std::make_unique<VolumeHost>(posix_file_system(), TRY(open_store(globals)), cache_bytes);
}

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
