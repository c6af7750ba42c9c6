#include "program/store_option.h"

#include <cstdlib>

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

Result<OpenStore> open_for_actions(const Globals& globals, std::stop_token stop) {
  auto repo = TRY(open_store(globals));
  auto notices = std::make_unique<TerminalNotices>(globals);
  const Caller caller = TRY(caller_of(globals, *repo, *notices, std::move(stop)));
  return OpenStore{std::move(repo), std::move(notices), caller};
}

Result<std::unique_ptr<VolumeHost>> open_volume_host(const Globals& globals, std::size_t cache_bytes) {
  return std::make_unique<VolumeHost>(posix_file_system(), TRY(open_store(globals)), cache_bytes);
}

}  // namespace ashlar
