// VolumeServer: the server that has all volumes of this host open, as other processes reach it. It is started
// when a volume has to be served and no server answers.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/notices.h"
#include "host/control_messages.h"
#include "machine/command_line.h"
#include "repo/repo.h"

namespace ashlar {

// Returns the command of a server for all volumes of the store in the directory `store`, which listens on the
// unix socket `socket`. Both paths are valid in the server's working directory.
using ServerCommand =
    std::function<std::vector<std::string>(const std::string& store, const std::string& socket)>;

class VolumeServer {
 public:
  VolumeServer(const Repo& repo, Notices& notices, ServerCommand command);

  // Serves the volume, if it is not served yet, and returns where. Starts a server when none answers.
  Result<NbdExport> open(VolumeId volume);
  // Does the same, but returns nothing when no server answers.
  Result<std::optional<NbdExport>> open_if_running(VolumeId volume);
  // Makes snapshots of volumes that are served, all of one instant, with the ids that are wanted. Fails with
  // kNotFound when no server serves them.
  Status snapshot_together(const SnapshotTogether& wanted);
  // Ends the serving of the volume, if it is served. Fails with kBusy when a client stays connected.
  Status close(VolumeId volume);

  // Returns the socket of the server that open() would start, and its command.
  const std::string& socket() const { return socket_; }
  std::vector<std::string> command() const { return command_(store_, socket_); }

 private:
  Status start();

  Notices& notices_;
  ServerCommand command_;
  std::string store_;
  std::string overlays_;
  std::string socket_;
};

}  // namespace ashlar
