// Machines: the machines of this host: launching them on fresh volumes, stopping, starting and terminating
// them. Joins the volumes of the store, the server that has them open, and QEMU.
#pragma once

#include <string>
#include <vector>

#include "document/image_record.h"
#include "host/attachments.h"
#include "host/volume_server.h"
#include "host/volumes.h"
#include "machine/instances.h"

namespace ashlar {

struct MachineSpec {
  ImageId image;                     // value 0: none
  std::vector<ImageDevice> devices;  // the first is booted from; with their contents, none of kNone
  RootDeviceType root_device_type = RootDeviceType::kEbs;
  ImageBoot boot;             // kernel and RAM disk of the image; unused when the shape has a kernel
  InstanceRecord shape;       // all but id, created, snapshot, image, devices and process
  bool keep_volumes = false;  // when the machine is terminated
  AccountId owner;            // of its volumes; value 0: the store's own
};

class Machines {
 public:
  // The parts outlive this object. `accelerator` is used for machines whose record says "auto"; empty: KVM
  // where it works.
  Machines(Repo& repo, Volumes& volumes, Attachments& attachments, VolumeServer& server,
           std::string accelerator);

  Instances& instances() { return instances_; }
  const Instances& instances() const { return instances_; }

  // Starts a new machine. On failure neither it nor its volumes stay.
  Result<InstanceRecord> launch(const MachineSpec& spec);
  // Starts the machine again on its volumes and returns the state it was in; does nothing when it runs.
  Result<InstanceState> start(InstanceId id);
  // Notes that the machine is to be stopped and, unless `force`, presses its power button. Returns the state
  // it was in.
  Result<InstanceState> begin_stop(InstanceId id, bool force);
  // Waits for at most `seconds` until the guest has switched itself off, then ends the machine.
  Status finish_stop(InstanceId id, double seconds);
  struct Ended {
    InstanceState before = InstanceState::kStopped;
    std::vector<VolumeId> kept;
  };
  // Ends the machine and removes it, with those of its volumes that go with it. Completes a termination that
  // was cut off. Returns the state it was in and the volumes that stay.
  Result<Ended> terminate(InstanceId id);

  // Starts a stopped machine whose lock the caller holds.
  Status start_locked(InstanceRecord& record);
  // Presses the power button and waits for the end of a running machine whose lock the caller holds. Fails
  // with kBusy, kind kGuestStaysOn, when the guest does not switch itself off within `seconds`.
  Status shut_down_locked(InstanceRecord& record, double seconds);

 private:
  Result<std::vector<VolumeId>> remove_locked(const InstanceRecord& record);
  Status remove_unrecorded(InstanceId id);
  Status remove_volume(VolumeId id);
  Error undo_launch(InstanceRecord& record, const Error& error);

  Repo& repo_;
  Volumes& volumes_;
  Attachments& attachments_;
  VolumeServer& server_;
  const std::string accelerator_;
  Instances instances_;
};

}  // namespace ashlar
