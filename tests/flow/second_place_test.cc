// Tests that a capture relies on nothing that is damaged: whatever is lost of the packs, a capture that
// succeeds can be restored. And that a reader which was opened before finds what others store.
#include "flow/world.h"

namespace ashlar {
namespace {

namespace fs = std::filesystem;

class SecondPlaceFlow : public testing::Test {
 protected:
  // Makes a store with one snapshot of an image.
  void SetUp() override {
    fs::remove_all(store_);
    ASSERT_OK(Repo::init(posix_file_system(), StoreAddress{store_}, {}));
    ASSERT_OK(world_.open());
    Prng prng(51);
    for (int i = 0; i < 6; ++i) image_.edit(prng);
    const auto first = world_.capture_file(image_.path());
    ASSERT_OK(first);
    snapshot_ = first.value().record;
  }

  // Captures the image again, in a new process as it were, and expects that it can be restored. Twice: the
  // second capture finds both the damaged place and the sound one.
  void expect_captured_whole(const CaptureOptions& options) {
    SnapshotRecord last;
    for (int round = 0; round < 2; ++round) {
      ASSERT_OK(world_.open());
      const auto captured = world_.capture_file(image_.path(), options);
      ASSERT_OK(captured);
      last = captured.value().record;
      expect_restored(last);
    }
    EXPECT_EQ(last.new_blocks.value, 0U) << "what was stored again is found";
    ASSERT_OK(world_.repo().reindex());
    ASSERT_OK(world_.open());
    expect_restored(last);
  }
  void expect_restored(const SnapshotRecord& snapshot) {
    const std::string target = directory_.path() + "/restored";
    fs::remove(target);
    ASSERT_OK(world_.restore_to(snapshot, target));
    const auto differences = world_.compare_with(snapshot, target);
    ASSERT_OK(differences);
    EXPECT_TRUE(differences.value().empty());
    EXPECT_EQ(read_file(target), image_.model());
  }
  static std::vector<std::byte> read_file(const std::string& path) {
    std::vector<std::byte> bytes(fs::file_size(path));
    std::ifstream(path, std::ios::binary)
        .read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return bytes;
  }

  TemporaryDirectory directory_;
  std::string store_ = directory_.path() + "/store";
  World world_{posix_file_system(), store_};
  Image image_{directory_.path() + "/image", 12 << 20};
  SnapshotRecord snapshot_;
};

// Damage of a whole pack.
enum class Harm { kRemoved, kEmptied, kHalved, kFirstByte, kLastByte };

void harm(const std::string& pack, Harm how) {
  std::fstream file;
  switch (how) {
    case Harm::kRemoved:
      fs::remove(pack);
      return;
    case Harm::kEmptied:
      return fs::resize_file(pack, 0);
    case Harm::kHalved:
      return fs::resize_file(pack, fs::file_size(pack) / 2);
    case Harm::kFirstByte:
    case Harm::kLastByte:
      file.open(pack, std::ios::binary | std::ios::in | std::ios::out);
      file.seekp(how == Harm::kFirstByte ? 0 : static_cast<std::streamoff>(fs::file_size(pack) - 1));
      file.put('\x7f');
  }
}

TEST_F(SecondPlaceFlow, ACaptureOverDamagedDataPacksCanBeRestored) {
  for (const Harm how : {Harm::kRemoved, Harm::kEmptied, Harm::kHalved, Harm::kFirstByte, Harm::kLastByte}) {
    for (const bool has_parent : {false, true}) {
      SCOPED_TRACE(testing::Message() << static_cast<int>(how) << (has_parent ? " on a parent" : ""));
      SetUp();
      for (const std::string& pack : files_below(store_ + "/packs")) harm(pack, how);
      CaptureOptions options;
      if (has_parent) options.parent = snapshot_;
      expect_captured_whole(options);
    }
  }
}

TEST_F(SecondPlaceFlow, ACaptureOverDamagedNodesCanBeRestored) {
  for (const Harm how : {Harm::kRemoved, Harm::kEmptied, Harm::kHalved, Harm::kFirstByte, Harm::kLastByte}) {
    SCOPED_TRACE(static_cast<int>(how));
    SetUp();
    for (const std::string& pack : files_below(store_ + "/meta")) harm(pack, how);
    expect_captured_whole({});
  }
  SetUp();
  Prng prng(52);
  for (int i = 0; i < 40; ++i) {
    const std::string pack = files_below(store_ + "/meta").front();
    const std::uint64_t at = prng.below(fs::file_size(pack));
    SCOPED_TRACE(testing::Message() << "byte " << at);
    flip(pack, at);
    ASSERT_OK(world_.open());
    const auto captured = world_.capture_file(image_.path());
    ASSERT_OK(captured);
    expect_restored(captured.value().record);
    SetUp();
  }
}

TEST_F(SecondPlaceFlow, AReaderFindsWhatAnotherProcessStoredAfterItOpened) {
  ASSERT_OK(world_.open());
  ASSERT_OK(world_.repo().index());
  World other(posix_file_system(), store_);
  ASSERT_OK(other.open());
  Prng prng(53);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 6; ++i) image_.edit(prng);
    const auto captured = other.capture_file(image_.path());
    ASSERT_OK(captured);
    expect_restored(captured.value().record);
  }
}

}  // namespace
}  // namespace ashlar
