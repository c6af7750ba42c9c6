#include "program/store_option.h"

#include <fmt/format.h>

#include <cstdlib>

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
    const std::string& original = repo->host().record().directory;
    print_warning(
        fmt::format("this store {}, and its index is not used: 'ashlar store adopt' makes it a store "
                    "of its own",
                    original.empty() ? "may be a copy, because its host.json is missing or damaged"
                                     : "is a copy of " + original));
  }
  return repo;
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

}  // namespace ashlar
