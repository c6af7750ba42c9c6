// Instances: what an account may ask of the machines of this host. The names are EC2's.
#pragma once

#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "action/caller.h"
#include "host/host.h"
#include "image/mapping.h"

namespace ashlar {

struct RunInstancesRequest {
  std::variant<ImageId, SnapshotId> source;
  std::vector<DeviceMapping> mappings;  // over the image's; none for a snapshot
  ByteCount size;                       // of a snapshot's disk; 0: the snapshot's
  // The shape of each machine; its name gets a number when there are several ("web-1"). Id, time, devices and
  // the like are filled in.
  InstanceRecord shape;
  bool keep_volumes = false;
  unsigned count = 1;
  // Called with each machine as soon as it runs.
  std::function<void(const InstanceRecord&)> launched = [](const InstanceRecord&) {};
};
// Starts machines on fresh volumes of an image or a snapshot. Fails with kNotFound for an image that the
// account may not launch, with kUnsupported for one that can't run here. When one machine fails, those before
// it run; the error names them.
Result<std::vector<InstanceRecord>> run_instances(Host& host, const Caller& caller,
                                                  const RunInstancesRequest& request);

struct InstanceDescription {
  InstanceRecord record;
  InstanceState state = InstanceState::kStopped;
  std::string directory;  // of its files
};
struct InstanceList {
  std::vector<InstanceDescription> instances;  // oldest first
  std::vector<Error> unread;                   // of records that can't be read
};
// Returns the machines of this host. A machine that is being launched is left out.
Result<InstanceList> describe_instances(Host& host, const Caller& caller);
// Returns these machines, in this order. Fails with kNotFound, kind kNoSuchInstance.
Result<std::vector<InstanceDescription>> describe_instances(Host& host, const Caller& caller,
                                                            const std::vector<InstanceId>& ids);

struct InstanceChange {
  InstanceId id;
  InstanceState before = InstanceState::kStopped;
  InstanceState now = InstanceState::kStopped;
};
// The changes of several machines. One that fails does not keep the others from their change.
struct InstanceChanges {
  std::vector<InstanceChange> changes;
  Status failure;  // the first one; later ones are warnings of the caller
};
InstanceChanges start_instances(Host& host, const Caller& caller, const std::vector<InstanceId>& ids);

struct StopInstancesRequest {
  std::vector<InstanceId> ids;
  bool force = false;   // does not ask the guests
  double seconds = 60;  // that all guests together have to switch themselves off
};
InstanceChanges stop_instances(Host& host, const Caller& caller, const StopInstancesRequest& request);

// Ends machines and removes them. A note names each volume that stays.
InstanceChanges terminate_instances(Host& host, const Caller& caller, const std::vector<InstanceId>& ids);

}  // namespace ashlar
