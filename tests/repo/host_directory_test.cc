// Tests of host directories: whose a directory is after a store was moved or copied, and what a power cut
// leaves of one that is being made.
#include "repo/host_directory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "simulated/simulated_file_system.h"
#include "support/temporary_directory.h"

namespace ashlar {
namespace {

using Owner = HostDirectory::Owner;

const StoreId kStore{{std::byte{1}}};
const StoreId kOtherStore{{std::byte{2}}};
const HostId kHost{{std::byte{3}}};
const HostId kOtherHost{{std::byte{4}}};

Result<HostDirectory> find(FileSystem& files, const std::string& store, const std::string& directory = {},
                           const StoreId& id = kStore, const HostId& host = kHost) {
  return HostDirectory::find(files, StoreAddress{store}, id, {directory, host, false});
}

struct Store {
  explicit Store(const char* name = "store") : path(scratch / name) {
    std::filesystem::create_directory(path);
  }
  TemporaryDirectory scratch;
  std::string path;
};

TEST(HostDirectory, IsMadeOnceForAStoreAndAHost) {
  const Store store;
  auto host = find(posix_file_system(), store.path).take();
  EXPECT_EQ(host.path(), store.path + "/host/" + kHost.hex());
  EXPECT_EQ(host.owner(), Owner::kNoOne);
  EXPECT_FALSE(std::filesystem::exists(store.path + "/host"));
  host.make().take();
  EXPECT_EQ(host.owner(), Owner::kUs);
  host.make().take();

  const auto again = find(posix_file_system(), store.path).take();
  EXPECT_EQ(again.owner(), Owner::kUs);
  EXPECT_EQ(again.record(), host.record());
  EXPECT_TRUE(again.keeps_index());
  // Another host has a directory of its own beside it.
  EXPECT_EQ(find(posix_file_system(), store.path, {}, kStore, kOtherHost).take().owner(), Owner::kNoOne);
}

TEST(HostDirectory, MovesAlongWithItsStore) {
  const Store store;
  find(posix_file_system(), store.path).take().make().take();
  const std::string moved = store.scratch / "moved";
  std::filesystem::rename(store.path, moved);
  EXPECT_EQ(find(posix_file_system(), moved).take().owner(), Owner::kUs);
}

TEST(HostDirectory, OfACopyIsTheOriginalsUntilItIsClaimed) {
  const Store store;
  find(posix_file_system(), store.path).take().make().take();
  const std::string copy = store.scratch / "copy";
  std::filesystem::copy(store.path, copy, std::filesystem::copy_options::recursive);

  auto host = find(posix_file_system(), copy).take();
  EXPECT_EQ(host.owner(), Owner::kOriginal);
  EXPECT_FALSE(host.keeps_index());
  for (const Status& refused : {host.make(), host.make_folder(host.overlays()), host.check_not_original()}) {
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().kind(), ErrorKind::kStoreIsCopy);
    EXPECT_EQ(refused.error().code(), ErrorCode::kInvalid);
    EXPECT_EQ(refused.error().id(), std::filesystem::path(store.path).lexically_normal());
  }
  EXPECT_FALSE(std::filesystem::exists(host.overlays()));

  host.claim().take();
  EXPECT_EQ(host.owner(), Owner::kUs);
  EXPECT_EQ(find(posix_file_system(), copy).take().owner(), Owner::kUs);
  EXPECT_EQ(find(posix_file_system(), store.path).take().owner(), Owner::kUs);
}

TEST(HostDirectory, AChosenDirectoryOfAnotherStoreOrHostIsRefused) {
  const Store store;
  const std::string chosen = store.scratch / "chosen";
  find(posix_file_system(), store.path, chosen).take().make().take();
  EXPECT_EQ(find(posix_file_system(), store.path, chosen).take().owner(), Owner::kUs);
  const auto other_store = find(posix_file_system(), store.path, chosen, kOtherStore);
  ASSERT_FALSE(other_store.ok());
  EXPECT_EQ(other_store.error().code(), ErrorCode::kInvalid);
  EXPECT_NE(other_store.error().text().find("belongs to the store"), std::string::npos);
  const auto other_host = find(posix_file_system(), store.path, chosen, kStore, kOtherHost);
  ASSERT_FALSE(other_host.ok());
  EXPECT_EQ(other_host.error().code(), ErrorCode::kInvalid);
}

// Restores and captures need nothing from the directory, so finding it goes on; what it notes of volumes and
// machines may be a copy's.
TEST(HostDirectory, WithoutASoundRecordItsStateMayBeTheOriginals) {
  const Store store;
  const auto host = [&] { return find(posix_file_system(), store.path).take(); };
  host().make().take();
  const std::string path = host().path() + "/host.json";
  std::ofstream(path, std::ios::app) << "x";
  const auto expect_unknown = [&] {
    EXPECT_EQ(host().owner(), Owner::kOriginal);
    EXPECT_FALSE(host().keeps_index());
    const Status refused = host().make_folder(host().overlays());
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().kind(), ErrorKind::kStoreIsCopy);
    EXPECT_NE(refused.error().text().find(path), std::string::npos) << refused.error().text();
  };
  expect_unknown();
  std::filesystem::remove(path);
  EXPECT_EQ(host().owner(), Owner::kNoOne);  // nothing is noted there
  for (const std::string& folder : {host().overlays(), host().instances()}) {
    std::filesystem::create_directory(folder);
    expect_unknown();
    std::filesystem::remove(folder);
  }
  std::filesystem::create_directory(host().overlays());
  host().claim().take();
  EXPECT_EQ(host().owner(), Owner::kUs);
}

TEST(HostDirectory, APathThatIsNotTextIsNoHindrance) {
  const Store store("st\xffre");
  auto host = find(posix_file_system(), store.path).take();
  host.make().take();
  EXPECT_EQ(find(posix_file_system(), store.path).take().owner(), Owner::kUs);
}

TEST(HostDirectory, ASlashAtTheEndOfAChosenOneChangesNothing) {
  const Store store;
  const std::string chosen = store.scratch / "chosen";
  const auto host = find(posix_file_system(), store.path, chosen + "//").take();
  EXPECT_EQ(host.path(), chosen);
}

TEST(HostDirectory, OfTwoStoresThatMakeOneAtOnceOneIsRefused) {
  const Store store;
  const std::string chosen = store.scratch / "chosen";
  auto first = find(posix_file_system(), store.path, chosen).take();
  auto second = find(posix_file_system(), store.path, chosen, kOtherStore).take();
  EXPECT_TRUE(first.make().ok());
  EXPECT_TRUE(is(second.make(), ErrorCode::kInvalid));
}

TEST(HostDirectory, SeveralProcessesMayMakeItAtOnce) {
  const Store store;
  std::vector<std::jthread> makers;
  for (int i = 0; i < 8; ++i) {
    makers.emplace_back([&store] {
      auto host = find(posix_file_system(), store.path);
      ASSERT_TRUE(host.ok());
      EXPECT_TRUE(host.value().make().ok());
    });
  }
  makers.clear();
  const auto host = find(posix_file_system(), store.path).take();
  EXPECT_EQ(host.owner(), Owner::kUs);
  for (const auto& entry : std::filesystem::directory_iterator(host.path()))
    EXPECT_EQ(entry.path().filename(), "host.json");
}

TEST(HostDirectory, FindsTheVolumeOfAnOverlay) {
  const Store store;
  auto host = find(posix_file_system(), store.path).take();
  const VolumeId volume{7};
  host.make_folder(host.overlays()).take();
  host.make_folder(host.overlay(volume)).take();
  EXPECT_EQ(host.volume_in(host.overlay(volume)).take(), volume);
  const std::string elsewhere = store.scratch / volume.text();
  std::filesystem::create_directory(elsewhere);
  EXPECT_FALSE(host.volume_in(elsewhere).take());
  EXPECT_FALSE(host.volume_in(host.overlays()).take());
}

// A power cut before each operation, with each kind of loss.
template <class Prepare, class Run, class Check>
void cut_everywhere(Prepare prepare, Run run, Check check) {
  for (std::uint64_t n = 0;; ++n) {
    bool is_whole = false;
    for (const std::uint64_t seed :
         {SimulatedFileSystem::kLoseUnsynced, SimulatedFileSystem::kKeepUnsynced, std::uint64_t{77} + n}) {
      SimulatedFileSystem files;
      prepare(files);
      files.stop_at(files.operations() + n);
      is_whole = run(files).ok();
      files.crash(seed);
      check(files, is_whole);
    }
    if (is_whole) return;
  }
}

void make_store(SimulatedFileSystem& files) {
  ASSERT_TRUE(files.make_directory("/store").ok());
  ASSERT_TRUE(files.sync_directory("/").ok());
}

TEST(HostDirectory, APowerCutWhileItIsMadeLeavesItWholeOrAbsent) {
  cut_everywhere(
      make_store, [](SimulatedFileSystem& files) -> Status { return TRY(find(files, "/store")).make(); },
      [](SimulatedFileSystem& files, bool is_whole) {
        auto host = find(files, "/store");
        ASSERT_TRUE(host.ok()) << host.error().text();
        EXPECT_NE(host.value().owner(), Owner::kOriginal);
        if (is_whole) {
          EXPECT_EQ(host.value().owner(), Owner::kUs);
        }
        EXPECT_TRUE(host.value().make().ok());
        EXPECT_EQ(find(files, "/store").take().owner(), Owner::kUs);
      });
}

TEST(HostDirectory, APowerCutWhileItIsClaimedLeavesOneOwnerOrTheOther) {
  const auto prepare = [](SimulatedFileSystem& files) {
    make_store(files);
    auto original = find(files, "/store").take();
    original.make().take();
    // A copy keeps the record and is another directory.
    const std::string record = encode(original.record());
    files.make_directory("/copy").take();
    auto copy = find(files, "/copy").take();
    files.make_directory("/copy/host").take();
    files.make_directory(copy.path()).take();
    const auto file = files.create(copy.path() + "/host.json").take();
    file->append(as_byte_span(record)).take();
    file->sync().take();
    for (const std::string& folder :
         {std::string("/"), std::string("/copy"), std::string("/copy/host"), copy.path()})
      files.sync_directory(folder).take();
  };
  cut_everywhere(
      prepare, [](SimulatedFileSystem& files) -> Status { return TRY(find(files, "/copy")).claim(); },
      [](SimulatedFileSystem& files, bool is_whole) {
        auto host = find(files, "/copy");
        ASSERT_TRUE(host.ok()) << host.error().text();
        EXPECT_NE(host.value().owner(), Owner::kNoOne);
        if (is_whole) {
          EXPECT_EQ(host.value().owner(), Owner::kUs);
        }
        EXPECT_TRUE(host.value().claim().ok());
        EXPECT_EQ(find(files, "/copy").take().owner(), Owner::kUs);
        EXPECT_EQ(find(files, "/store").take().owner(), Owner::kUs);
      });
}

}  // namespace
}  // namespace ashlar
