// Images: what an account may do with the machine images of a store. The actions are EC2's. Images that come
// from elsewhere or go there: image_transfers.h; what is in them, and who vouches for it: image_checks.h.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "action/caller.h"
#include "document/image_record.h"
#include "image/filter.h"
#include "repo/repo.h"

namespace ashlar {

// The account that a launch permission is for; no value: all accounts.
using Grantee = std::optional<AccountId>;

struct DescribeImages {
  std::vector<ImageId> ids;            // empty: all images of lists
  std::vector<AccountId> owners;       // empty: any
  std::vector<Grantee> executable_by;  // who has a launch permission; empty: any account
  std::vector<ImageFilter> filters;    // all of them must hold
  bool include_deprecated = false;     // deprecated images of other accounts too
};
struct DescribedImages {
  std::vector<ImageRecord> images;  // oldest first
  std::vector<Error> unread;        // of records that can't be read
};
// Returns images that the account may see. Fails with kNotFound when an image of `ids` is not among them. A
// damaged record of another image hides none.
Result<DescribedImages> describe_images(Repo& repo, const Caller& caller, const DescribeImages& request);

struct RegisterImage {
  std::string name;
  std::string description;
  Architecture architecture = Architecture::kX8664;
  BootMode boot_mode = BootMode::kLegacyBios;
  std::vector<ImageDevice> devices;  // ascending by name; a size of 0 is the snapshot's
  std::string root_device;           // empty: the first device
  RootDeviceType root_device_type = RootDeviceType::kEbs;
  bool ena_support = false;
  std::string sriov_net_support;
  std::string tpm_support;
  std::string imds_support;
  std::string platform;
  SnapshotId kernel;   // value 0: the disk's own
  SnapshotId ramdisk;  // value 0: none
  std::string kernel_command_line;
  Tags tags;
  bool must_be_clean = false;  // no image is made when an inspection finds anything in its disks
};
// Checks what can be told without the store.
Status check_request(const RegisterImage& request);
// Makes an image of existing snapshots. Fails with kInvalid, kind kNotClean, when it should be clean and is
// not; with kNotFound for a missing snapshot; with kBusy for a name that is taken.
Result<ImageRecord> register_image(Repo& repo, const Caller& caller, const RegisterImage& request);

// Waits until an image is available. Fails with kInvalid when it can't become available, with kBusy when it
// is still pending after `timeout`.
Status wait_for_image(Repo& repo, const Caller& caller, ImageId id, std::chrono::seconds timeout);

// The actions below change an image of the account, and return it as it is then. They fail with kInvalid for
// an image of another account.
Result<ImageRecord> create_image_tags(Repo& repo, const Caller& caller, ImageId id, const Tags& tags);
// Removes the tags with these keys; a key that the image does not have is passed over, as in EC2.
Result<ImageRecord> delete_image_tags(Repo& repo, const Caller& caller, ImageId id,
                                      const std::vector<std::string>& keys);
Result<ImageRecord> modify_image_description(Repo& repo, const Caller& caller, ImageId id,
                                             const std::string& description);

struct LaunchPermissions {
  std::vector<Grantee> add;
  std::vector<Grantee> remove;  // applied after `add`
};
Result<ImageRecord> modify_launch_permissions(Repo& repo, const Caller& caller, ImageId id,
                                              const LaunchPermissions& change);

// Deprecates the image from a time on: lists of other accounts leave it out then.
Result<ImageRecord> enable_image_deprecation(Repo& repo, const Caller& caller, ImageId id, UtcTime at);
Result<ImageRecord> disable_image_deprecation(Repo& repo, const Caller& caller, ImageId id);

// Keeps an available image from being launched, and takes all launch permissions back.
Result<ImageRecord> disable_image(Repo& repo, const Caller& caller, ImageId id);
// Makes a disabled image available again, to its owner alone.
Result<ImageRecord> enable_image(Repo& repo, const Caller& caller, ImageId id);

enum class ImageSnapshots : unsigned char { kKeep, kDelete };
struct DeregisteredImage {
  std::vector<SnapshotId> snapshots;  // all that the image had, without those that do not exist
  std::vector<SnapshotId> deleted;    // those that are in the bin now
};
// Moves an image to the recycle bin and, when asked for, its snapshots with it. Snapshots that a volume or
// another image needs stay, with a note. Fails with kBusy for an image that is still being made.
Result<DeregisteredImage> deregister_image(Repo& repo, const Caller& caller, ImageId id,
                                           ImageSnapshots snapshots);

}  // namespace ashlar
