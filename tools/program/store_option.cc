#include "program/store_option.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "program/output.h"

namespace ashlar {

Result<std::unique_ptr<Repo>> open_copied_store(const Globals& globals) {
  HostChoice choice;
  const char* directory = std::getenv("ASHLAR_HOST_DIR");  // NOLINT(concurrency-mt-unsafe): never changed
  if (directory != nullptr) choice.directory = directory;
  return Repo::open(posix_file_system(), TRY(StoreAddress::parse(globals.store)), choice);
}

Result<std::unique_ptr<Repo>> open_store(const Globals& globals) {
  auto repo = TRY(open_copied_store(globals));
  if (repo->host().owner() == HostDirectory::Owner::kOriginal) {
    print_warning(
        fmt::format("this store is a copy of {}, and has no index of its own: 'ashlar store adopt' "
                    "makes it a store of its own",
                    repo->host().record().directory));
  }
  return repo;
}

Result<Caller> caller_of(const Globals& globals, const Repo& repo, Notices& notices, std::stop_token stop) {
  AccountId account = AccountId::of_store(repo.config().id);
  if (!globals.account.empty()) account = TRY(AccountId::parse(globals.account));
  return Caller{account, notices, std::move(stop)};
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
