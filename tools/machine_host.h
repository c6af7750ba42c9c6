// MachineHost: launching machines on fresh volumes, and what happens to them afterwards. Puts together the
// volumes of the store, the server that has them open, and QEMU.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "document/image_record.h"
#include "host/volume_host.h"
#include "host_server.h"
#include "image/pending_image.h"
#include "machine/instances.h"
#include "program/cli.h"

namespace ashlar {

struct MachineSpec {
  ImageId image;                     // value 0: none
  std::vector<ImageDevice> devices;  // the first is booted from; with their contents, none of kNone
  RootDeviceType root_device_type = RootDeviceType::kEbs;
  ImageBoot boot;             // kernel and RAM disk of the image; unless the shape has a kernel
  InstanceRecord shape;       // all but id, created, snapshot, image, devices and process
  bool keep_volumes = false;  // also when it is terminated
  AccountId owner;            // of its volumes; value 0: the store's own
};

class MachineHost {
 public:
  static Result<std::unique_ptr<MachineHost>> open(const Globals& globals);

  Instances& instances() { return instances_; }
  const Instances& instances() const { return instances_; }

  // One machine that runs. On failure neither it nor its volumes stay.
  Result<InstanceRecord> launch(const MachineSpec& spec);
  // Again on the same volumes. Nothing when it runs. The state it was in.
  Result<InstanceState> start(InstanceId id);
  // From now on it is wanted stopped, and unless `force` its power button is pressed. The state it was in.
  Result<InstanceState> begin_stop(InstanceId id, bool force);
  // Waits for at most `seconds` until the guest has switched itself off, then ends it.
  Status finish_stop(InstanceId id, double seconds);
  // Ends it and removes it, with those of its volumes that go with it. Goes on with one that was cut off. The
  // state it was in, and the volumes that stay.
  struct Ended {
    InstanceState before = InstanceState::kStopped;
    std::vector<VolumeId> kept;
  };
  Result<Ended> terminate(InstanceId id);

  // An image of the machine's devices, all of one instant. Without `reboot` a machine that runs goes on, and
  // the copy is what a power cut at that instant would leave; with it the guest is shut down, and started
  // again afterwards. kBusy when it does not switch itself off within `seconds`.
  // kInvalid when it should be clean and is not: then there is no image, and the snapshots that were made
  // stay. What `wanted` leaves open is the original image's, if the machine was launched from one.
  struct ImageWish {
    std::string name;
    std::string description;
    Tags tags;
    AccountId owner;
    bool reboot = true;
    double seconds = 60;
    bool must_be_clean = false;  // nothing of what an inspection looks for may be in it
  };
  Result<ImageRecord> make_image(InstanceId id, const ImageWish& wish, const std::stop_token& stop);

 private:
  explicit MachineHost(std::unique_ptr<VolumeHost> volumes);
  Status start_locked(InstanceRecord& record);
  Result<std::vector<VolumeId>> remove_locked(const InstanceRecord& record);
  Status remove_unrecorded(InstanceId id);
  Status remove_volume(VolumeId id);
  Status shut_down(InstanceRecord& record, double seconds);
  Result<ImageDevice> mapping_of(const InstanceRecord& record, const InstanceDevice& device,
                                 const std::optional<ImageRecord>& original,
                                 const std::vector<ImageDevice>& mapped_before);
  Result<ImageRecord> complete(const InstanceRecord& record, PendingImage& pending, const ImageWish& wish,
                               bool is_running, const std::stop_token& stop);
  Status require_clean(const ImageRecord& image, const std::stop_token& stop);
  Result<ImageRecord> image_of(const InstanceRecord& record, const ImageWish& wish);
  Status make_snapshots(const InstanceRecord& record, const ImageRecord& image, bool is_running,
                        const std::stop_token& stop);
  Result<SnapshotId> capture_file(const std::string& path, const std::stop_token& stop);
  Status make_devices(const MachineSpec& spec, InstanceRecord& record);
  Status make_boot_files(const MachineSpec& spec, InstanceRecord& record);
  Status restore_file(const ImageContent& content, ByteCount size, const std::string& path);

  std::unique_ptr<VolumeHost> volumes_;
  Instances instances_;
  HostServer server_;
};

}  // namespace ashlar
