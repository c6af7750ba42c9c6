// CreateImage: making an image of a machine of this host. The name is EC2's.
#pragma once

#include <string>

#include "action/caller.h"
#include "document/image_record.h"
#include "host/host.h"

namespace ashlar {

struct CreateImageRequest {
  InstanceId instance;
  std::string name;
  std::string description;
  Tags tags;
  bool reboot = true;
  double seconds = 60;         // that the guest has to switch itself off
  bool must_be_clean = false;  // no image is made when an inspection finds anything in its disks
};
// Makes an image of the machine's devices, all of one instant. Without `reboot` a machine that runs goes on,
// and the image is what a power cut at that instant would leave; with it the guest is shut down, and started
// again afterwards. Parts that the request leaves open are those of the image that the machine was launched
// from. Fails with kBusy, kind kGuestStaysOn, when the guest does not switch itself off in time. With
// kInvalid, kind kNotClean, when the disks should be clean and are not: then there is no image, and its
// snapshots stay.
Result<ImageRecord> create_image(Host& host, const Caller& caller, const CreateImageRequest& request);

}  // namespace ashlar
