// Volumes: what an account may ask of the volumes of a store and of this host.
//
// Every account that can reach the store may see and change all volumes; a volume's owner decides which
// traces its reads are merged into.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "action/caller.h"
#include "capture/capture.h"
#include "host/host.h"
#include "host/volume_state.h"

namespace ashlar {

struct CreateVolumeRequest {
  SnapshotId snapshot;
  ByteCount size;  // 0: the snapshot's
  std::string name;
  Tags tags;
};
// Makes a volume of a snapshot. A server of all volumes that runs serves it at once; a warning says when that
// fails.
Result<VolumeRecord> create_volume(Host& host, const Caller& caller, const CreateVolumeRequest& request);

struct CloneVolumeRequest {
  VolumeId volume;
  ByteCount size;  // 0: the volume's
  std::string name;
  Tags tags;
};
// Makes a snapshot of a volume as it is at this moment, and a volume of that snapshot, which stays.
Result<VolumeRecord> clone_volume(Host& host, const Caller& caller, const CloneVolumeRequest& request);

struct VolumeList {
  std::vector<VolumeRecord> records;  // oldest first
  std::vector<Error> unread;          // of records that can't be read
};
// Returns the volumes of the store.
Result<VolumeList> describe_volumes(Repo& repo, const Caller& caller);

struct VolumeDescription {
  VolumeRecord record;
  VolumeState state;
};
Result<VolumeDescription> describe_volume(Host& host, const Caller& caller, VolumeId id);

// Makes a volume larger and returns its record.
Result<VolumeRecord> resize_volume(Host& host, const Caller& caller, VolumeId id, ByteCount size);

// Deletes a volume. Fails with kBusy while a machine uses it (kind kVolumeOfMachine), while it is attached to
// this host (kVolumeAttached), and while a client is connected.
Status delete_volume(Host& host, const Caller& caller, VolumeId id,
                     BlocksElsewhere elsewhere = BlocksElsewhere::kRefuse);

struct SnapshotVolumeRequest {
  VolumeId volume;
  std::string name;
  std::string description;
  Tags tags;
};
// Makes a snapshot of a volume, also while it is served. The caller gets the report's warnings as notices.
Result<CaptureReport> snapshot_volume(Host& host, const Caller& caller, const SnapshotVolumeRequest& request);

// Fetches every block that the volume does not hold, and returns its state then. A server that has the volume
// open goes on with it when the caller stops the wait.
Result<VolumeState> hydrate_volume(Host& host, const Caller& caller, VolumeId id,
                                   std::uint64_t bytes_per_second);

// Ends a hydrated volume's need of the store, and returns the path of its raw file.
Result<std::string> detach_from_store(Host& host, const Caller& caller, VolumeId id);

struct VolumeAddress {
  NbdExport at;
  std::vector<std::string> server;  // command of the server to be started first; empty when one runs
};
// Returns where a volume is served, or would be. Changes nothing, except that a server that runs serves it.
Result<VolumeAddress> locate_volume(Host& host, const Caller& caller, VolumeId id);

// Makes a volume a block device of this host. Starts a server when none runs. Fails with kBusy, kind
// kVolumeOfMachine, while a machine runs on it.
Result<Attachment> attach_volume(Host& host, const Caller& caller, VolumeId id);

// Undoes attach_volume() and returns what was attached; nothing when the volume is not attached. Fails with
// kBusy while the device is in use.
Result<std::optional<Attachment>> release_volume(Host& host, const Caller& caller, VolumeId id);

}  // namespace ashlar
