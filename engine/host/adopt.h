// Adopting a copied store: what the host directory of the copy holds becomes the copy's own.
//
// The copy brought along files that stand for processes and devices of the original. They are removed;
// overlays and machines that hold data stay.
#pragma once

#include <string>
#include <vector>

#include "repo/repo.h"

namespace ashlar {

struct Adoption {
  bool was_copy = false;       // false: nothing was changed
  std::string original;        // directory of the store that this one was copied from; empty: unknown
  std::vector<VolumeId> kept;  // volumes whose overlays were closed when the store was copied
  std::vector<VolumeId>
      torn;  // volumes whose overlays may have changed meanwhile; moved to HostDirectory::torn()
  std::vector<InstanceId> machines;    // all machines, which are stopped
  std::vector<InstanceId> torn_files;  // machines that ran: their own files may have changed meanwhile
  std::vector<std::string> damaged;    // records that can't be read, and stay as they are
};

// Makes the host directory of a copied store its own. A call that is cut off is completed by the next one.
// Does nothing for a store that is not a copy. Fails with kBusy while a process has one of the overlays open.
Result<Adoption> adopt(Repo& repo);

}  // namespace ashlar
