#include "host/host.h"

namespace ashlar {

Host::Host(std::unique_ptr<Repo> repo, Notices& notices, HostOptions options)
    : repo_(std::move(repo)),
      volumes_(*repo_, options.cache_bytes),
      server_(*repo_, notices, std::move(options.server)),
      attachments_(repo_->host()),
      machines_(*repo_, volumes_, attachments_, server_, std::move(options.accelerator)) {}

Result<std::unique_ptr<Host>> Host::open(std::unique_ptr<Repo> repo, Notices& notices, HostOptions options) {
  TRY(repo->host().check_not_original());
  return std::unique_ptr<Host>(new Host(std::move(repo), notices, std::move(options)));
}

}  // namespace ashlar
