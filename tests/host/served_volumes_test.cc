// Tests of a server's volumes: opening and closing them, and asking for it through the control sockets.
#include "host/served_volumes.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <fstream>
#include <system_error>
#include <thread>

#include "base/random.h"
#include "host/control_messages.h"
#include "host/host.h"
#include "host/incarnation.h"
#include "host/volume_access.h"
#include "support/temporary_directory.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kBytes = 100 * kBlockBytes;

// A store in a temporary directory: the control sockets are real ones.
struct Rig {
  Rig() {
    EXPECT_TRUE(Repo::init(posix_file_system(), address, {}).ok());
    host = open();
    std::vector<std::byte> bytes(kBytes);
    Prng(7).fill(bytes);
    std::ofstream(scratch / "disk", std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    const WriteParts parts = host->repo().write_parts().take();
    const auto source = open_source(scratch / "disk", {}).take();
    CaptureProgress progress;
    snapshot = capture(parts, *source, {}, progress, {}).take().record.id;
  }
  std::unique_ptr<Host> open() {
    auto repo = Repo::open(posix_file_system(), address, {{}, {}, true}).take();
    return Host::open(
               std::move(repo), notices,
               {4 << 20, {}, [](const auto&, const auto&) { return std::vector<std::string>{"/bin/false"}; }})
        .take();
  }
  VolumeId volume() { return host->volumes().create({snapshot, {}, "", {}, {}}).take().id; }
  std::unique_ptr<ServedVolumes> serving() {
    return std::make_unique<ServedVolumes>(host->repo(), host->volumes(), notices, ServedVolumes::Hydration{},
                                           std::stop_token());
  }

  TemporaryDirectory scratch;
  StoreAddress address{scratch / "store"};
  CollectedNotices notices;
  std::unique_ptr<Host> host;
  SnapshotId snapshot;
};

TEST(ServedVolumes, AreFoundByIdAndByIncarnation) {
  Rig rig;
  const VolumeId id = rig.volume();
  const auto serving = rig.serving();
  serving->open(id).take();
  serving->open(id).take();
  EXPECT_EQ(serving->names(), std::vector<std::string>{id.text()});
  EXPECT_TRUE(serving->find("").ok());
  EXPECT_TRUE(serving->find(id.text()).ok());
  EXPECT_TRUE(serving->find(id.text() + "@1").ok());
  for (const char* other : {"@", "@2", "@01", "@1@1"})
    EXPECT_FALSE(serving->find(id.text() + other).ok()) << other;
  EXPECT_TRUE(is(rig.host->volumes().open(id), ErrorCode::kBusy));
  serving->close(id).take();
  EXPECT_TRUE(is(serving->close(id), ErrorCode::kNotFound));
  EXPECT_FALSE(
      read_incarnation(posix_file_system(), rig.host->volumes().overlay_directory(id)).take()->is_open);
  EXPECT_TRUE(rig.host->volumes().open(id).ok());
}

TEST(ServedVolumes, AVolumeWithAClientIsNotClosed) {
  Rig rig;
  const VolumeId id = rig.volume();
  const auto serving = rig.serving();
  serving->open(id).take();
  auto client = serving->find(id.text()).take();
  EXPECT_TRUE(is(serving->close(id), ErrorCode::kBusy));
  client.reset();
  EXPECT_TRUE(serving->close(id).ok());
}

TEST(ServedVolumes, OneServerServesAllAndTakesRequests) {
  Rig rig;
  const VolumeId first = rig.volume();
  const auto serving = rig.serving();
  serving->serve_all().take();
  EXPECT_TRUE(is(rig.serving()->serve_all(), ErrorCode::kBusy));
  serving->listening_on("nbd+unix:///?socket=/run/x").take();

  VolumeServer& server = rig.host->server();
  EXPECT_EQ(server.open(first).take(), (NbdExport{"/run/x", first.text() + "@1"}));
  const VolumeId second = rig.volume();
  EXPECT_EQ(server.open(second).take().name, second.text() + "@1");
  server.snapshot_together({{{first, SnapshotId{11}, "one", ""}, {second, SnapshotId{12}, "two", ""}}})
      .take();
  EXPECT_EQ(rig.host->repo().snapshots().get(SnapshotId{12}).take().name, "two");
  server.close(first).take();
  EXPECT_TRUE(is(server.snapshot_together({{{first, SnapshotId{13}, "", ""}}}), ErrorCode::kNotFound));
  server.close(first).take();  // is not served: nothing to do
  EXPECT_TRUE(is(server.open(VolumeId{1}), ErrorCode::kNotFound));
  serving->close_all().take();
}

// While it lives, no thread can be started: a stack is larger than the address space.
class NoMoreThreads {
 public:
  NoMoreThreads() {
    EXPECT_EQ(::pthread_getattr_default_np(&usual_), 0);
    pthread_attr_t huge;
    EXPECT_EQ(::pthread_getattr_default_np(&huge), 0);
    EXPECT_EQ(::pthread_attr_setstacksize(&huge, std::size_t{1} << 48U), 0);
    EXPECT_EQ(::pthread_setattr_default_np(&huge), 0);
    ::pthread_attr_destroy(&huge);
  }
  ~NoMoreThreads() {
    EXPECT_EQ(::pthread_setattr_default_np(&usual_), 0);
    ::pthread_attr_destroy(&usual_);
  }
  NoMoreThreads(const NoMoreThreads&) = delete;
  NoMoreThreads& operator=(const NoMoreThreads&) = delete;

 private:
  pthread_attr_t usual_{};
};

TEST(ServedVolumes, AHydrationThatGetsNoThreadIsAnErrorOfItsVolumeAlone) {
  Rig rig;
  const VolumeId id = rig.volume();
  const auto serving = rig.serving();
  serving->open(id).take();
  const std::string directory = rig.host->volumes().overlay_directory(id);
  {
    const NoMoreThreads none;
    EXPECT_THROW(std::jthread([] {}), std::system_error);
    const VolumeState state = ask(directory, HydrateVolume{}).take();
    EXPECT_FALSE(state.hydrating);
    EXPECT_FALSE(state.hydration_error.empty());
  }
  ASSERT_EQ(rig.notices.warnings.size(), 1U);
  EXPECT_NE(rig.notices.warnings[0].find(id.text()), std::string::npos) << rig.notices.warnings[0];
  const auto access = VolumeAccess::of(rig.host->repo(), rig.host->volumes(), id).take();
  EXPECT_EQ(access->hydrate(0, rig.notices, {}).take().absent_bytes.value, 0U) << "it can be asked for again";
  serving->close_all().take();
}

TEST(ServedVolumes, ABrokenVolumeIsLeftOutWithAWarning) {
  Rig rig;
  const VolumeId bad = rig.volume();
  const VolumeId good = rig.volume();
  std::ofstream(rig.host->volumes().overlay_directory(bad) + "/map", std::ios::trunc) << "no map";
  const auto serving = rig.serving();
  serving->serve_all().take();
  EXPECT_EQ(serving->names(), std::vector<std::string>{good.text()});
  ASSERT_EQ(rig.notices.warnings.size(), 1U);
  EXPECT_NE(rig.notices.warnings[0].find(bad.text()), std::string::npos);
  serving->close_all().take();
}

TEST(VolumeServer, AServerThatDoesNotStartIsAnError) {
  Rig rig;
  const VolumeId id = rig.volume();
  EXPECT_FALSE(rig.host->server().open_if_running(id).take());
  const auto served = rig.host->server().open(id);
  ASSERT_FALSE(served.ok());
  EXPECT_NE(served.error().text().find("did not start"), std::string::npos) << served.error().text();
}

// Runs the same operations on a volume that is open here, and on one that a server has open.
class VolumeAccessTest : public testing::TestWithParam<bool> {};

TEST_P(VolumeAccessTest, HasTheSameMethodsHereAndThere) {
  Rig rig;
  const VolumeId id = rig.volume();
  const auto serving = rig.serving();
  if (GetParam()) serving->open(id).take();
  const auto access = [&] { return VolumeAccess::of(rig.host->repo(), rig.host->volumes(), id).take(); };

  EXPECT_EQ(access()->describe().take().absent_bytes.value, kBytes);
  EXPECT_EQ(access()->describe().take().served, GetParam());
  const auto early = access()->detach();
  ASSERT_FALSE(early.ok());
  EXPECT_EQ(early.error().kind(), ErrorKind::kVolumeNotWhole);
  EXPECT_EQ(early.error().id(), id.text());
  access()->resize(ByteCount{kBytes + 4096}).take();
  EXPECT_TRUE(is(access()->resize(ByteCount{4096}), ErrorCode::kInvalid));
  const CaptureReport report = access()->snapshot({"now", "", {{"a", "b"}}}, rig.notices, {}).take();
  EXPECT_EQ(report.record.name, "now");
  EXPECT_EQ(report.record.size.value, kBytes + 4096);
  EXPECT_EQ(rig.host->repo().snapshots().get(report.record.id).take(), report.record);
  EXPECT_EQ(access()->hydrate(0, rig.notices, {}).take().absent_bytes.value, 0U);
  EXPECT_EQ(access()->detach().take(), rig.host->volumes().overlay_directory(id) + "/data");
  serving->close_all().take();
}

INSTANTIATE_TEST_SUITE_P(HereAndThere, VolumeAccessTest, testing::Bool());

TEST(VolumeAccess, AVolumeThatAnotherProcessHasOpenIsBusy) {
  Rig rig;
  const VolumeId id = rig.volume();
  const auto open = rig.host->volumes().open(id).take();
  const auto access = VolumeAccess::of(rig.host->repo(), rig.host->volumes(), id).take();
  EXPECT_EQ(access->describe().error().kind(), ErrorKind::kVolumeServed);
  EXPECT_TRUE(is(VolumeAccess::of(rig.host->repo(), rig.host->volumes(), VolumeId{1}), ErrorCode::kNotFound));
}

}  // namespace
}  // namespace ashlar
