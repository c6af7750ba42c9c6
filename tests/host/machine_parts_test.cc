// Tests of the parts of a machine: its kernel and RAM disk for direct boot.
#include "host/machine_parts.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "host/host.h"
#include "support/temporary_directory.h"

namespace ashlar {
namespace {

class MachineParts : public testing::Test {
 protected:
  static constexpr std::uint64_t kBytes = 5000;

  void SetUp() override {
    ASSERT_TRUE(Repo::init(posix_file_system(), address_, {}).ok());
    host_ = Host::open(Repo::open(posix_file_system(), address_, {{}, {}, true}).take(), notices_,
                       {4 << 20, {}, [](const auto&, const auto&) { return std::vector<std::string>(); }})
                .take();
    HostDirectory& directory = host_->repo().host();
    ASSERT_TRUE(directory.make_folder(directory.instances()).ok());
    record_.id = InstanceId{1};
    ASSERT_TRUE(instances().make(record_.id).ok());
    spec_.devices.resize(1);
    spec_.devices[0].name = "/dev/sda";
    spec_.devices[0].kind = ImageDevice::Kind::kEphemeral;
    spec_.devices[0].size = ByteCount{4096};
    spec_.boot.kernel = captured("vmlinuz");
    spec_.boot.ramdisk = captured("initrd.img");
  }
  ImageContent captured(const std::string& name) {
    std::ofstream(scratch_ / name, std::ios::binary) << std::string(kBytes, name.front());
    const WriteParts parts = host_->repo().write_parts().take();
    const auto source = open_source(scratch_ / name, {}).take();
    CaptureProgress progress;
    const SnapshotRecord record = capture(parts, *source, {}, progress, {}).take().record;
    return {record.id, record.content, record.size};
  }
  Instances& instances() { return host_->machines().instances(); }
  Status make() { return make_parts(host_->repo(), host_->volumes(), instances(), spec_, record_); }
  std::string content_of(const std::string& file) {
    std::ifstream in(boot_file_path(instances().directory(record_.id), file), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  TemporaryDirectory scratch_;
  StoreAddress address_{scratch_ / "store"};
  CollectedNotices notices_;
  std::unique_ptr<Host> host_;
  MachineSpec spec_;
  InstanceRecord record_;
};

// The record holds no path of the store, which may be moved or copied.
TEST_F(MachineParts, TheKernelOfAnImageIsAFileOfTheMachinesDirectory) {
  make().take();
  EXPECT_EQ(record_.kernel, "kernel");
  EXPECT_EQ(record_.initrd, "ramdisk");
  EXPECT_EQ(content_of(record_.kernel), std::string(kBytes, 'v'));
  EXPECT_EQ(content_of(record_.initrd), std::string(kBytes, 'i'));
}

TEST_F(MachineParts, AKernelOfTheHostStaysItsPath) {
  record_.kernel = "/boot/vmlinuz";
  make().take();
  EXPECT_EQ(record_.kernel, "/boot/vmlinuz");
  EXPECT_EQ(record_.initrd, "");
  EXPECT_FALSE(std::filesystem::exists(instances().directory(record_.id) + "/kernel"));
}

}  // namespace
}  // namespace ashlar
