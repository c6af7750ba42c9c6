// Host: a store as this host runs it: its volumes, the server that has them open, the attachments and the
// machines. Owns the opened store, and hands out one object for each of these.
#pragma once

#include <memory>
#include <string>

#include "base/notices.h"
#include "host/attachments.h"
#include "host/machines.h"
#include "host/volume_server.h"
#include "host/volumes.h"
#include "repo/repo.h"

namespace ashlar {

struct HostOptions {
  std::size_t cache_bytes = FrameCache::kDefaultBytes;
  std::string accelerator;  // for machines whose record says "auto"; empty: KVM where it works
  ServerCommand server;     // how a server for all volumes is started
};

class Host {
 public:
  // Opens the host's side of a store. Fails with kInvalid, kind kStoreIsCopy, for a copied store that was not
  // adopted: the volumes and machines in its host directory are the original's. `notices` outlives the host.
  static Result<std::unique_ptr<Host>> open(std::unique_ptr<Repo> repo, Notices& notices,
                                            HostOptions options);

  Repo& repo() { return *repo_; }
  Volumes& volumes() { return volumes_; }
  VolumeServer& server() { return server_; }
  Attachments& attachments() { return attachments_; }
  Machines& machines() { return machines_; }

 private:
  Host(std::unique_ptr<Repo> repo, Notices& notices, HostOptions options);

  std::unique_ptr<Repo> repo_;
  Volumes volumes_;
  VolumeServer server_;
  Attachments attachments_;
  Machines machines_;
};

}  // namespace ashlar
