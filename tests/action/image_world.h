// ImageWorld: two stores, and accounts that make, share and move images.
#pragma once

#include "action/account_images.h"
#include "action/image_checks.h"
#include "action/image_transfers.h"
#include "action/images.h"
#include "catalog/settings.h"
#include "flow/world.h"
#include "image/pending_image.h"

namespace ashlar {

#define EXPECT_CODE(result, expected)                                        \
  do {                                                                       \
    const auto& checked_ = (result);                                         \
    ASSERT_FALSE(checked_.ok());                                             \
    EXPECT_EQ(checked_.error().code(), expected) << checked_.error().text(); \
  } while (false)

inline constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

class ImageWorld : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"here", "there"})
      ASSERT_OK(Repo::init(posix_file_system(), StoreAddress{directory_ / name}, {}));
    ASSERT_OK(here_.open());
    ASSERT_OK(there_.open());
  }
  Repo& here() { return here_.repo(); }
  Repo& there() { return there_.repo(); }

  // Returns the snapshot of a new disk, which is blank unless it holds data.
  SnapshotId snapshot(const std::string& name, bool has_data = false) {
    Image disk(directory_ / name, kMiB);
    ByteVector bytes(64UL * 1024);
    Prng(name.size()).fill(bytes);
    if (has_data) disk.write(0, bytes);
    return here_.capture_file(disk.path()).take().record.id;
  }
  static RegisterImage wanted(const std::string& name, SnapshotId snapshot) {
    RegisterImage request;
    request.name = name;
    ImageDevice& device = request.devices.emplace_back();
    device.name = "/dev/sda";
    device.content.snapshot = snapshot;
    return request;
  }
  ImageId made(const std::string& name, bool has_data = false) {
    return register_image(here(), owner_, wanted(name, snapshot("disk of " + name, has_data))).take().id;
  }
  // Returns the names of the images that an account finds in its list.
  std::vector<std::string> listed(const Caller& caller, const DescribeImages& request = {}) {
    std::vector<std::string> names;
    for (const ImageRecord& image : describe_images(here(), caller, request).take().images)
      names.push_back(image.name);
    return names;
  }
  Status share(ImageId id, const Grantee& grantee) {
    TRY(modify_launch_permissions(here(), owner_, id, {{grantee}, {}}));
    return {};
  }

  TemporaryDirectory directory_;
  World here_{posix_file_system(), directory_ / "here"};
  World there_{posix_file_system(), directory_ / "there"};
  CollectedNotices notices_;
  const Caller owner_{AccountId{1}, notices_, {}};
  const Caller other_{AccountId{2}, notices_, {}};
};

using Names = std::vector<std::string>;

}  // namespace ashlar
