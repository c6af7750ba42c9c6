// The server that has the volumes of a store open on this host: 'ashlar serve --all'. It listens on a socket
// `control` in the folder of overlays for verbs that need a volume served.
#pragma once

#include <optional>
#include <string>

#include "base/id.h"
#include "base/result.h"
#include "machine/command_line.h"
#include "repo/repo.h"

namespace ashlar {

class HostServer {
 public:
  explicit HostServer(const Repo& repo);

  // Where the volume is served; from now on, if it was not. Starts a server when none answers.
  Result<NbdExport> open(VolumeId volume);
  // The same, without starting a server. Nothing when none answers.
  Result<std::optional<NbdExport>> open_if_running(VolumeId volume);
  // Snapshots of volumes that are being served, all of one instant, with the ids that are wanted. kNotFound
  // when nobody serves them.
  struct Wanted {
    VolumeId volume;
    SnapshotId snapshot;
    std::string name;
    std::string description;
  };
  Status snapshot_together(const std::vector<Wanted>& wanted);
  // The volume is not served any more. kBusy when a client stays connected. Ok when nobody serves it.
  Status close(VolumeId volume);

  // Of the server that open() would start: its socket, and how a person starts it.
  const std::string& socket() const { return socket_; }
  std::string command_text() const;

 private:
  Status start();

  std::string store_;
  std::string overlays_;
  std::string socket_;
};

}  // namespace ashlar
