// Tests of the list of sources: which snapshot it proposes, and which records it reads for that.
#include "catalog/source_list.h"

#include <gtest/gtest.h>

#include "catalog/records.h"
#include "support/forwarding_objects.h"
#include "support/snapshots.h"

namespace ashlar {
namespace {

// Counts the objects that are opened.
class CountingOpens : public ForwardingObjects {
 public:
  using ForwardingObjects::ForwardingObjects;
  std::vector<std::string> opened;

  Result<std::shared_ptr<ObjectReader>> open(std::string_view key, ReadMode mode) override {
    opened.emplace_back(key);
    return ForwardingObjects::open(key, mode);
  }
};

class Sources : public testing::Test {
 protected:
  void SetUp() override {
    make_root(files_);
    disk_.bytes[0] = std::byte{7};
    other_.bytes[0] = std::byte{8};
  }

  static SnapshotId id_of(std::uint64_t number) { return sample_record(number).id; }
  static std::string key(std::uint64_t number) { return SnapshotCatalog::key_of(id_of(number)); }
  void publish(std::uint64_t number, const SourceIdentity& source) {
    SnapshotRecord record = sample_record(number);
    record.source_identity = source;
    ASSERT_TRUE(publish_snapshot(objects_, record).ok());
  }
  // Returns the number that newest_of() finds, as a program does that keeps its list in `kept_`; 0 for none.
  SnapshotId newest_of(const SourceIdentity& source) {
    opens_.opened.clear();
    unread_.clear();
    SourceList list = SourceList::decode(kept_, store_);
    const auto found = list.newest_of(SnapshotCatalog(opens_), source, unread_).take();
    has_changed_ = list.has_changed();
    if (has_changed_) kept_ = list.encode(store_);
    return found ? found->id : SnapshotId{};
  }

  SimulatedFileSystem files_;
  LocalObjectStore objects_{files_, kRoot};
  CountingOpens opens_{objects_};
  SourceIdentity disk_;
  SourceIdentity other_;
  StoreId store_;
  ByteVector kept_;
  std::vector<std::string> unread_;
  bool has_changed_ = false;
};

TEST_F(Sources, OnlyRecordsThatAreNewAreRead) {
  EXPECT_EQ(newest_of(disk_), SnapshotId{});
  EXPECT_FALSE(has_changed_);
  for (const std::uint64_t number : {5, 2, 7}) publish(number, disk_);
  publish(9, other_);
  EXPECT_EQ(newest_of(disk_), id_of(7));
  EXPECT_TRUE(has_changed_);
  EXPECT_EQ(opens_.opened.size(), 4U + 1) << "each once, and the proposal";
  EXPECT_EQ(newest_of(disk_), id_of(7));
  EXPECT_EQ(opens_.opened, std::vector{key(7)});
  EXPECT_FALSE(has_changed_);
  publish(8, disk_);
  EXPECT_EQ(newest_of(other_), id_of(9));
  EXPECT_EQ(opens_.opened, (std::vector{key(8), key(9)}));
  EXPECT_EQ(newest_of(disk_), id_of(8));
}

TEST_F(Sources, ADeletedSnapshotIsPassedOverAndComesBack) {
  for (const std::uint64_t number : {5, 7}) publish(number, disk_);
  SnapshotCatalog catalog(objects_);
  const GoneSnapshot binned = catalog.move_to_bin(id_of(7), UtcTime{9}).take();
  EXPECT_EQ(newest_of(disk_), id_of(5));
  ASSERT_TRUE(catalog.take_back(binned).ok());
  EXPECT_EQ(newest_of(disk_), id_of(7));
  const GoneSnapshot again = catalog.move_to_bin(id_of(7), UtcTime{9}).take();
  const GoneSnapshot purged = catalog.purge(again).take();
  EXPECT_EQ(newest_of(disk_), id_of(5));
  ASSERT_TRUE(catalog.remove(purged).ok());
  EXPECT_EQ(newest_of(disk_), id_of(5));
  EXPECT_TRUE(has_changed_) << "the list does not grow for ever";
  EXPECT_EQ(opens_.opened, std::vector{key(5)});
}

TEST_F(Sources, ADamagedRecordIsPassedOverAndNamed) {
  for (const std::uint64_t number : {5, 7}) publish(number, disk_);
  overwrite(objects_, key(7), as_byte_span("garbage"));
  EXPECT_EQ(newest_of(disk_), id_of(5));
  EXPECT_EQ(unread_.size(), 1U);
  EXPECT_EQ(newest_of(disk_), id_of(5));
  EXPECT_EQ(unread_.size(), 1U) << "it is looked at each time";
  overwrite(objects_, key(5), as_byte_span("garbage"));
  EXPECT_EQ(newest_of(disk_), SnapshotId{});
  EXPECT_EQ(unread_.size(), 2U) << "damaged since it was listed";
}

TEST_F(Sources, ASnapshotThatIsBeingMadeIsReadAgain) {
  OpenSnapshot open;
  open.id = id_of(5);
  SnapshotCatalog catalog(objects_);
  ASSERT_TRUE(catalog.open(open).ok());
  EXPECT_EQ(newest_of(disk_), SnapshotId{});
  EXPECT_FALSE(has_changed_);
  SnapshotRecord record = sample_record(5);
  record.source_identity = disk_;
  ASSERT_TRUE(catalog.commit(open, record).ok());
  EXPECT_EQ(newest_of(disk_), id_of(5));
}

// A list that says something wrong proposes nothing wrong: the record decides.
TEST_F(Sources, AnEntryIsNotBelieved) {
  publish(5, disk_);
  publish(7, other_);
  EXPECT_EQ(newest_of(disk_), id_of(5));
  SnapshotRecord record = SnapshotCatalog(objects_).get(id_of(5)).take();
  record.source_identity = other_;
  overwrite(objects_, key(5), encode(record));
  EXPECT_EQ(newest_of(disk_), SnapshotId{});
}

TEST_F(Sources, ADamagedListIsMadeAnew) {
  for (const std::uint64_t number : {5, 7}) publish(number, disk_);
  newest_of(disk_);
  const ByteVector good = kept_;
  for (std::size_t at = 0; at < good.size(); ++at) {
    kept_ = good;
    kept_[at] ^= std::byte{1};
    EXPECT_EQ(newest_of(disk_), id_of(7));
    EXPECT_EQ(opens_.opened.size(), 3U) << "byte " << at;
    kept_ = {good.begin(), good.begin() + static_cast<std::ptrdiff_t>(at)};
    EXPECT_EQ(newest_of(disk_), id_of(7));
    EXPECT_EQ(opens_.opened.size(), 3U) << "cut at " << at;
  }
  kept_ = good;
  store_.bytes[0] = std::byte{1};
  EXPECT_EQ(newest_of(disk_), id_of(7));
  EXPECT_EQ(opens_.opened.size(), 3U) << "of another store";
}

}  // namespace
}  // namespace ashlar
