// Tests of adopting a copied store: data stays, and everything that stands for the original's processes goes.
#include "host/adopt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/random.h"
#include "host/host.h"
#include "host/incarnation.h"
#include "host/volume_access.h"
#include "io/io_asserts.h"
#include "process/process_identity.h"
#include "support/temporary_directory.h"

namespace ashlar {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kBytes = 64 * kBlockBytes;

// Copies files with their times, as `cp -a` does.
void copy_with_times(const std::string& from, const std::string& to) {
  fs::copy(from, to, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  if (!fs::is_directory(from)) return fs::last_write_time(to, fs::last_write_time(from));
  for (const auto& entry : fs::recursive_directory_iterator(from))
    fs::last_write_time(to / fs::relative(entry.path(), from), entry.last_write_time());
}

class AdoptTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Repo::init(posix_file_system(), StoreAddress{original_}, {}).ok());
    repo_ = open(original_);
    std::ofstream(scratch_ / "disk", std::ios::binary) << std::string(kBytes, 'x');
    const WriteParts parts = repo_->write_parts().take();
    const auto source = open_source(scratch_ / "disk", {}).take();
    CaptureProgress progress;
    snapshot_ = capture(parts, *source, {}, progress, {}).take().record.id;
    volumes_ = std::make_unique<Volumes>(*repo_);
  }
  std::unique_ptr<Repo> open(const std::string& path) const {
    return Repo::open(posix_file_system(), StoreAddress{path}, {}).take();
  }
  std::unique_ptr<Repo> copied() {
    volumes_.reset();
    repo_.reset();
    copy_with_times(original_, copy_);
    return open(copy_);
  }
  VolumeId volume() { return volumes_->create({snapshot_, {}, "", {}, {}}).take().id; }
  void note(const std::string& path) const {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << "note";
  }

  TemporaryDirectory scratch_;
  std::string original_ = scratch_ / "store";
  std::string copy_ = scratch_ / "copy";
  std::unique_ptr<Repo> repo_;
  std::unique_ptr<Volumes> volumes_;
  SnapshotId snapshot_;
};

TEST_F(AdoptTest, AStoreThatIsNotACopyIsNotChanged) {
  const VolumeId id = volume();
  const std::string attachment = repo_->host().attachments() + "/" + id.text() + "/attachment.json";
  note(attachment);
  EXPECT_FALSE(adopt(*repo_).take().was_copy);
  EXPECT_TRUE(fs::exists(attachment));
  EXPECT_TRUE(fs::exists(repo_->host().index()));
}

TEST_F(AdoptTest, AHostRefusesACopyUntilItIsAdopted) {
  volume();
  auto copy = copied();
  SilentNotices notices;
  const auto refused = Host::open(std::move(copy), notices, {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind(), ErrorKind::kStoreIsCopy);
  adopt(*open(copy_)).take();
  EXPECT_TRUE(Host::open(open(copy_), notices, {}).ok());
  EXPECT_TRUE(Host::open(open(original_), notices, {}).ok());
}

TEST_F(AdoptTest, ClosedOverlaysStayAndOpenOnesAreSetAside) {
  const VolumeId closed = volume();
  const VolumeId served = volume();
  const VolumeId unknown = volume();
  begin_life(posix_file_system(), repo_->host().overlay(served)).take();
  end_life(posix_file_system(), repo_->host().overlay(closed), 3).take();
  std::ofstream(repo_->host().overlay(unknown) + "/incarnation") << "torn";
  note(repo_->host().overlay(closed) + "/control");
  note(repo_->host().overlays() + "/control");
  const auto copy = copied();
  const HostDirectory host = copy->host();

  Adoption adoption = adopt(*copy).take();
  EXPECT_TRUE(adoption.was_copy);
  EXPECT_EQ(adoption.original, fs::path(original_).lexically_normal());
  EXPECT_EQ(adoption.kept, std::vector<VolumeId>{closed});
  std::vector<VolumeId> torn = {served, unknown};
  std::ranges::sort(torn);
  EXPECT_EQ(adoption.torn, torn);
  EXPECT_FALSE(fs::exists(host.overlay(closed) + "/control"));
  EXPECT_FALSE(fs::exists(host.overlays() + "/control"));
  EXPECT_FALSE(fs::exists(host.overlay(served)));
  EXPECT_TRUE(fs::exists(host.torn(served) + "/data"));
  const auto again = open(copy_);
  EXPECT_EQ(again->host().owner(), HostDirectory::Owner::kUs);
  Volumes volumes(*again);
  const auto kept = volumes.open(closed).take();
  std::vector<std::byte> out(kBytes);
  EXPECT_TRUE(kept->read(ByteOffset{}, out).ok());
  EXPECT_EQ(out.front(), std::byte{'x'});
  EXPECT_FALSE(adopt(*again).take().was_copy);
}

TEST_F(AdoptTest, NotesOfProcessesAndDevicesAreRemoved) {
  const VolumeId id = volume();
  const HostDirectory& before = repo_->host();
  note(before.attachments() + "/" + id.text() + "/attachment.json");
  note(before.attachments() + "/" + id.text() + ".lock");
  note(before.scratch() + "/deep/file");
  Instances instances(posix_file_system(), before.instances());
  fs::create_directories(before.instances());
  InstanceRecord record;
  record.id = InstanceId{5};
  record.snapshot = snapshot_;
  record.devices = {{"/dev/sda", id, true, {}}, {"/dev/sdb", {}, true, "disk-sdb.raw"}};
  record.process = this_process().take();  // the original's machine runs
  instances.make(record.id).take();
  instances.save(record).take();
  note(instances.directory(record.id) + "/qmp.sock");
  const auto copy = copied();

  const Adoption adoption = adopt(*copy).take();
  const HostDirectory& host = copy->host();
  EXPECT_FALSE(fs::exists(host.attachments()));
  EXPECT_FALSE(fs::exists(host.scratch()));
  EXPECT_FALSE(fs::exists(host.index()));
  EXPECT_EQ(adoption.machines, std::vector<InstanceId>{record.id});
  EXPECT_EQ(adoption.torn_files, std::vector<InstanceId>{record.id});
  const Instances theirs(posix_file_system(), host.instances());
  const InstanceRecord stopped = theirs.load(record.id).take();
  EXPECT_FALSE(stopped.process);
  EXPECT_EQ(theirs.state_of(stopped).take(), InstanceState::kStopped);
  EXPECT_FALSE(fs::exists(theirs.directory(record.id) + "/qmp.sock"));
  // The original keeps its own.
  const Instances ours(posix_file_system(), open(original_)->host().instances());
  EXPECT_EQ(ours.load(record.id).take().process, record.process);
}

TEST_F(AdoptTest, ADamagedRecordOfAMachineIsReportedAndStays) {
  const std::string path = repo_->host().instances() + "/" + InstanceId{9}.text() + "/instance.json";
  note(path);
  const auto copy = copied();
  const Adoption adoption = adopt(*copy).take();
  ASSERT_EQ(adoption.damaged.size(), 1U);
  EXPECT_TRUE(fs::exists(copy->host().instances() + "/" + InstanceId{9}.text() + "/instance.json"));
}

// Copies a store as soon as an operation reports that it runs.
class CopyingNotices : public SilentNotices {
 public:
  CopyingNotices(std::string from, std::string to) : from_(std::move(from)), to_(std::move(to)) {}
  std::unique_ptr<ProgressWatch> watch(std::string operation,
                                       std::function<ProgressSample()> sample) override {
    copy_with_times(from_, to_);
    return SilentNotices::watch(std::move(operation), std::move(sample));
  }

 private:
  const std::string from_;
  const std::string to_;
};

TEST_F(AdoptTest, AnOverlayThatACommandChangedMeanwhileIsSetAside) {
  const VolumeId id = volume();
  CopyingNotices notices(original_, copy_);
  VolumeAccess::of(*repo_, *volumes_, id).take()->hydrate(0, notices, {}).take();
  const Adoption adoption = adopt(*open(copy_)).take();
  EXPECT_EQ(adoption.torn, std::vector<VolumeId>{id});
  EXPECT_TRUE(adoption.kept.empty());

  // A copy that reads `data` before a change, and the rest after the close, is torn too.
  const std::string overlay = repo_->host().overlay(id);
  fs::remove_all(copy_);
  copied();
  const std::string copied_overlay = open(copy_)->host().overlay(id);
  const auto repo = open(original_);
  Volumes volumes(*repo);
  VolumeAccess::of(*repo, volumes, id).take()->resize(ByteCount{2 * kBytes}).take();
  for (const char* file : {"/map", "/incarnation"}) copy_with_times(overlay + file, copied_overlay + file);
  EXPECT_EQ(adopt(*open(copy_)).take().torn, std::vector<VolumeId>{id});

  fs::remove_all(copy_);
  EXPECT_EQ(adopt(*copied()).take().kept, std::vector<VolumeId>{id});
}

// A torn overlay of an adoption before keeps its name.
TEST_F(AdoptTest, ASecondTornOverlayOfAVolumeGetsAnotherName) {
  const VolumeId id = volume();
  begin_life(posix_file_system(), repo_->host().overlay(id)).take();
  const auto copy = copied();
  fs::create_directories(copy->host().torn(id) + "/earlier");
  EXPECT_EQ(adopt(*copy).take().torn, std::vector<VolumeId>{id});
  EXPECT_TRUE(fs::exists(copy->host().torn(id) + "/earlier"));
  EXPECT_TRUE(fs::exists(copy->host().torn(id) + ".2/data"));
}

TEST_F(AdoptTest, AnOverlayThatIsOpenStopsTheAdoption) {
  const VolumeId id = volume();
  const auto copy = copied();
  const auto held = Overlay::open(posix_file_system(), copy->host().overlay(id), id).take();
  EXPECT_TRUE(is(adopt(*copy), ErrorCode::kBusy));
  EXPECT_EQ(open(copy_)->host().owner(), HostDirectory::Owner::kOriginal);
}

TEST_F(AdoptTest, ADirectoryThatBothShareIsTheOriginals) {
  const std::string shared = scratch_ / "shared";
  const auto share = [&](const std::string& store) {
    return Repo::open(posix_file_system(), StoreAddress{store}, {.directory = shared, .host = {}}).take();
  };
  ASSERT_DONE(share(original_)->host().make());
  note(shared + "/attachments/note");
  copied();
  const auto copy = share(copy_);
  const auto refused = adopt(*copy);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().text(), testing::HasSubstr("which is still there: choose another directory"));
  EXPECT_TRUE(fs::exists(shared + "/attachments/note"));

  fs::rename(original_, scratch_ / "elsewhere");
  EXPECT_TRUE(adopt(*share(copy_)).take().was_copy);
}

TEST_F(AdoptTest, WhoComesSecondChangesNothing) {
  copied();
  const auto first = open(copy_);
  const auto second = open(copy_);
  EXPECT_TRUE(adopt(*first).take().was_copy);
  note(first->host().attachments() + "/note");
  EXPECT_FALSE(adopt(*second).take().was_copy);
  EXPECT_TRUE(fs::exists(first->host().attachments() + "/note"));
}

TEST_F(AdoptTest, ACallThatIsCutOffLosesNoWarning) {
  Instances instances(posix_file_system(), repo_->host().instances());
  fs::create_directories(repo_->host().instances());
  InstanceRecord record;
  record.id = InstanceId{5};
  record.snapshot = snapshot_;
  record.devices = {{"/dev/sdb", {}, true, "disk-sdb.raw"}};
  record.wish = InstanceWish::kRunning;
  instances.make(record.id).take();
  instances.save(record).take();
  const auto copy = copied();
  // A call leaves this when it is cut off after the record of the machine.
  note(copy->host().torn(record.id));
  record.wish = InstanceWish::kStopped;
  ASSERT_DONE(Instances(posix_file_system(), copy->host().instances()).save(record));
  EXPECT_EQ(adopt(*copy).take().torn_files, std::vector<InstanceId>{record.id});
  EXPECT_FALSE(fs::exists(copy->host().torn(record.id)));
}

}  // namespace
}  // namespace ashlar
