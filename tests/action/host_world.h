// HostWorld: a host with a store in a temporary directory, for tests of actions on volumes and machines.
#pragma once

#include <gtest/gtest.h>

#include <fstream>

#include "action/caller.h"
#include "capture/capture.h"
#include "host/host.h"
#include "source/source.h"
#include "support/temporary_directory.h"

namespace ashlar {

class HostWorld : public testing::Test {
 protected:
  static constexpr std::uint64_t kBytes = 64 * kBlockBytes;

  void SetUp() override {
    ASSERT_TRUE(Repo::init(posix_file_system(), StoreAddress{store_}, {}).ok());
    auto repo = Repo::open(posix_file_system(), StoreAddress{store_}, {{}, {}, true}).take();
    own_.account = AccountId::of_store(repo->config().id);
    // A server that does not start.
    host_ = Host::open(std::move(repo), notices_,
                       {4 << 20, "tcg",
                        [](const auto&, const auto&) { return std::vector<std::string>{"/bin/false"}; }})
                .take();
    snapshot_ = captured("disk");
  }
  SnapshotId captured(const std::string& name) {
    std::ofstream(scratch_ / name, std::ios::binary) << std::string(kBytes, 'x');
    const WriteParts parts = host_->repo().write_parts().take();
    const auto source = open_source(scratch_ / name, {}).take();
    CaptureProgress progress;
    return capture(parts, *source, {}, progress, {}).take().record.id;
  }
  Instances& instances() { return host_->machines().instances(); }
  // Makes the record of a machine, which does not run, on a volume.
  InstanceRecord machine_on(VolumeId volume) {
    InstanceRecord record;
    record.id = InstanceId{volume.value};
    record.snapshot = snapshot_;
    record.wish = InstanceWish::kStopped;
    record.devices = {{"/dev/sda", volume, true, {}}};
    HostDirectory& directory = host_->repo().host();
    EXPECT_TRUE(directory.make_folder(directory.instances()).ok());
    EXPECT_TRUE(instances().make(record.id).ok());
    EXPECT_TRUE(instances().save(record).ok());
    return record;
  }

  TemporaryDirectory scratch_;
  std::string store_ = scratch_ / "store";
  CollectedNotices notices_;
  Caller own_{{}, notices_, {}};
  std::unique_ptr<Host> host_;
  SnapshotId snapshot_;
};

}  // namespace ashlar
