#include "catalog/snapshots.h"

#include <functional>

#include "base/random.h"
#include "catalog/records.h"
#include "support/snapshots.h"

namespace ashlar {
namespace {

class Snapshots : public testing::Test {
 protected:
  void SetUp() override { make_root(files_); }
  std::string key(SnapshotId id) const { return "snapshots/" + id.text(); }
  static OpenSnapshot open_record(std::uint64_t number) {
    return {sample_record(number).id, StoreId{}, random_id<SessionId>(), random_id<Nonce>()};
  }
  std::vector<BinEntry> bin() {
    std::vector<Error> unread;
    auto entries = catalog_.list_bin(unread).take();
    EXPECT_TRUE(unread.empty());
    return entries;
  }

  SimulatedFileSystem files_;
  LocalObjectStore objects_{files_, kRoot};
  SnapshotCatalog catalog_{objects_};
};

TEST_F(Snapshots, ArePublishedFoundListedAndRemoved) {
  EXPECT_TRUE(snapshots_in(objects_).empty());
  for (const std::uint64_t number : {3, 1, 2})
    ASSERT_TRUE(publish_snapshot(objects_, sample_record(number)).ok());
  EXPECT_EQ(catalog_.get(sample_record(2).id).take(), sample_record(2));
  EXPECT_EQ(snapshots_in(objects_), (std::vector{sample_record(1), sample_record(2), sample_record(3)}));
  ASSERT_TRUE(remove_snapshot(objects_, sample_record(2).id).ok());
  EXPECT_EQ(snapshots_in(objects_), (std::vector{sample_record(1), sample_record(3)}));
}

TEST_F(Snapshots, AreMadeDurableBeforeTheyAreNamed) {
  const SnapshotRecord record = sample_record(1);
  ASSERT_TRUE(publish_snapshot(objects_, sample_record(2)).ok());
  ASSERT_TRUE(objects_.put_if_absent(key(record.id), encode(record), Lasts::kWhilePowered).ok());
  EXPECT_TRUE(is(catalog_.ensure_durable({record.id, SnapshotId{0xabc}}), ErrorCode::kNotFound));
  ASSERT_TRUE(catalog_.ensure_durable({record.id, sample_record(2).id}).ok());
  files_.crash(SimulatedFileSystem::kLoseUnsynced);
  LocalObjectStore objects(files_, kRoot);
  EXPECT_TRUE(SnapshotCatalog(objects).get(record.id).ok());
}

TEST_F(Snapshots, AnUnknownIdSaysWhereToLook) {
  const SnapshotId id{0xabc};
  const std::string text = "no snapshot snap-00000000000000abc in this store";
  const auto missing = catalog_.get(id);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(missing.error().text(), text);
}

TEST_F(Snapshots, ATakenIdIsNeverReplaced) {
  ASSERT_TRUE(publish_snapshot(objects_, sample_record(1)).ok());
  EXPECT_TRUE(is(catalog_.open(open_record(1)), ErrorCode::kBusy));
  EXPECT_EQ(catalog_.get(sample_record(1).id).take().name, "sample 1");
}

TEST_F(Snapshots, ARecordThatMakesNoSenseIsNotPublished) {
  SnapshotRecord lost_blocks = sample_record(1);
  lost_blocks.unallocated_blocks = BlockCount{9};
  SnapshotRecord long_name = sample_record(2);
  long_name.name.assign(kMaxTextBytes + 1, 'x');
  for (const SnapshotRecord& record : {lost_blocks, long_name}) {
    OpenSnapshot open = open_record(1);
    open.id = record.id;
    ASSERT_TRUE(catalog_.open(open).ok());
    EXPECT_FALSE(catalog_.commit(open, record).ok());
  }
  EXPECT_FALSE(catalog_.open({}).ok()) << "it has no id";
  EXPECT_TRUE(catalog_.list_ids().take().empty());
}

// A snapshot's whole life, and which of the readers sees it in each state.
TEST_F(Snapshots, LiveInOneObject) {
  const SnapshotId id = sample_record(1).id;
  const OpenSnapshot open = open_record(1);
  ASSERT_TRUE(catalog_.open(open).ok());
  EXPECT_TRUE(is(catalog_.get(id), ErrorCode::kNotFound));
  EXPECT_EQ(std::get<OpenSnapshot>(catalog_.read(id).take()), open);
  ASSERT_TRUE(catalog_.commit(open, sample_record(1)).ok());
  EXPECT_EQ(catalog_.get(id).take(), sample_record(1));
  EXPECT_TRUE(is(catalog_.commit(open, sample_record(1)), ErrorCode::kBusy)) << "once";

  const GoneSnapshot binned = catalog_.move_to_bin(id, UtcTime{7}).take();
  EXPECT_TRUE(is(catalog_.get(id), ErrorCode::kNotFound));
  EXPECT_EQ(catalog_.find_in_bin(id).take(), binned);
  EXPECT_EQ(bin(), (std::vector{BinEntry{id, UtcTime{7}, "sample 1"}}));
  EXPECT_TRUE(is(catalog_.move_to_bin(id, UtcTime{8}), ErrorCode::kNotFound));
  EXPECT_TRUE(is(catalog_.remove(binned), ErrorCode::kInvalid));
  EXPECT_EQ(catalog_.take_back(binned).take().incarnation, 2U);
  EXPECT_TRUE(bin().empty());
  EXPECT_TRUE(is(catalog_.take_back(binned), ErrorCode::kBusy));

  const GoneSnapshot again = catalog_.move_to_bin(id, UtcTime{9}).take();
  const GoneSnapshot purged = catalog_.purge(again).take();
  EXPECT_TRUE(bin().empty());
  EXPECT_EQ(catalog_.find_in_bin(id).error().text(), "no snapshot " + id.text() + " in the bin");
  EXPECT_TRUE(is(catalog_.take_back(again), ErrorCode::kBusy));
  ASSERT_TRUE(catalog_.remove(purged).ok());
  EXPECT_TRUE(catalog_.list_ids().take().empty());
}

// A deletion that was sent before a snapshot came back, and arrives after it, changes nothing.
TEST_F(Snapshots, AReplacementThatArrivesLateIsRefused) {
  const SnapshotId id = sample_record(1).id;
  ASSERT_TRUE(publish_snapshot(objects_, sample_record(1)).ok());
  const GoneSnapshot late = catalog_.move_to_bin(id, UtcTime{7}).take();
  ASSERT_TRUE(catalog_.take_back(late).ok());
  EXPECT_TRUE(is(objects_.replace(key(id), encode(sample_record(1)), encode(late)), ErrorCode::kBusy));
  EXPECT_TRUE(catalog_.get(id).ok());
}

TEST_F(Snapshots, WhatIsSweptIsNeverPublished) {
  const OpenSnapshot open = open_record(1);
  ASSERT_TRUE(catalog_.open(open).ok());
  ASSERT_TRUE(catalog_.sweep(open).ok());
  EXPECT_TRUE(catalog_.sweep(open).ok());
  EXPECT_TRUE(is(catalog_.commit(open, sample_record(1)), ErrorCode::kBusy));
  EXPECT_TRUE(catalog_.list_ids().take().empty());
}

TEST_F(Snapshots, ADamagedEntryOfTheBinIsNamed) {
  ASSERT_TRUE(publish_snapshot(objects_, sample_record(1)).ok());
  const GoneSnapshot binned = catalog_.move_to_bin(sample_record(1).id, UtcTime{7}).take();
  ByteVector bytes = encode(binned);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    bytes[at] ^= std::byte{4};
    overwrite(objects_, key(binned.id), bytes);
    std::vector<Error> unread;
    EXPECT_TRUE(catalog_.list_bin(unread).take().empty()) << at;
    ASSERT_EQ(unread.size(), 1U) << at;
    EXPECT_NE(unread[0].text().find(binned.id.text()), std::string::npos);
    bytes[at] ^= std::byte{4};
  }
}

TEST_F(Snapshots, ADamagedRecordIsNamedAndTheOthersStayReachable) {
  for (const std::uint64_t number : {1, 2})
    ASSERT_TRUE(publish_snapshot(objects_, sample_record(number)).ok());
  ByteVector bytes = encode(sample_record(1));
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    bytes[at] ^= std::byte{4};
    overwrite(objects_, key(sample_record(1).id), bytes);
    std::vector<std::string> unread;
    EXPECT_EQ(catalog_.list(unread).take(), std::vector{sample_record(2)}) << "byte " << at;
    ASSERT_EQ(unread.size(), 1U) << "byte " << at;
    EXPECT_NE(unread[0].find(sample_record(1).id.text()), std::string::npos) << unread[0];
    EXPECT_FALSE(catalog_.get(sample_record(1).id).ok());
    bytes[at] ^= std::byte{4};
  }
  EXPECT_EQ(catalog_.list_ids().take().size(), 2U);
  EXPECT_TRUE(catalog_.get(sample_record(2).id).ok());
}

TEST_F(Snapshots, ARecordUnderAnotherKeyIsCorrupt) {
  overwrite(objects_, key(sample_record(1).id), encode(sample_record(2)));
  EXPECT_EQ(catalog_.get(sample_record(1).id).error().code(), ErrorCode::kCorrupt);
}

TEST_F(Snapshots, AnOversizedOrEmptyRecordIsCorrupt) {
  overwrite(objects_, key(sample_record(1).id), ByteVector(kMaxSnapshotObjectBytes + 1));
  EXPECT_EQ(catalog_.get(sample_record(1).id).error().code(), ErrorCode::kCorrupt);
  overwrite(objects_, key(sample_record(1).id), {});
  EXPECT_EQ(catalog_.get(sample_record(1).id).error().code(), ErrorCode::kCorrupt);
}

TEST_F(Snapshots, NamesThatAreNoSnapshotIdsAreLeftAlone) {
  ASSERT_TRUE(publish_snapshot(objects_, sample_record(1)).ok());
  overwrite(objects_, "snapshots/README", as_byte_span("not ours"));
  EXPECT_EQ(snapshots_in(objects_).size(), 1U);
  EXPECT_TRUE(objects_.stat("snapshots/README").ok());
}

using Steps = std::function<Status(SnapshotCatalog&)>;

// Cuts the power before each operation of `act` on a store that `prepare` made, several times with other
// luck, and calls `check` with the store as it is then and with whether `act` had returned success.
void cut_power_in(const Steps& prepare, const Steps& act,
                  const std::function<void(SnapshotCatalog&, bool promised)>& check) {
  const auto prepared = [&](SimulatedFileSystem& files) {
    make_root(files);
    LocalObjectStore objects(files, kRoot);
    SnapshotCatalog catalog(objects);
    ASSERT_TRUE(prepare(catalog).ok());
  };
  const auto acted = [&](SimulatedFileSystem& files) {
    LocalObjectStore objects(files, kRoot);
    SnapshotCatalog catalog(objects);
    return act(catalog).ok();
  };
  SimulatedFileSystem rehearsal;
  prepared(rehearsal);
  const std::uint64_t first = rehearsal.operations();
  ASSERT_TRUE(acted(rehearsal));
  for (std::uint64_t stop = first; stop <= rehearsal.operations(); ++stop) {
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
      SCOPED_TRACE(testing::Message() << "stopped at operation " << stop << ", crash seed " << seed);
      SimulatedFileSystem files;
      prepared(files);
      files.stop_at(stop);
      const bool promised = acted(files);
      files.crash(seed);
      LocalObjectStore objects(files, kRoot);
      SnapshotCatalog catalog(objects);
      check(catalog, promised);
      if (testing::Test::HasFailure()) return;
    }
  }
}

OpenSnapshot fixed_open() {
  OpenSnapshot open;
  open.id = sample_record(2).id;
  open.nonce.bytes.fill(std::byte{5});
  return open;
}

TEST(SnapshotCrash, ASnapshotIsPublishedOrNotSeen) {
  bool seen_absent = false;
  bool seen_whole = false;
  const Steps nothing = [](SnapshotCatalog&) { return Status(); };
  const Steps publish = [](SnapshotCatalog& catalog) -> Status {
    TRY(catalog.open(fixed_open()));
    return catalog.commit(fixed_open(), sample_record(2));
  };
  cut_power_in(nothing, publish, [&](SnapshotCatalog& catalog, bool promised) {
    std::vector<std::string> unread;
    const auto records = catalog.list(unread).take();
    EXPECT_TRUE(unread.empty()) << unread.front();
    EXPECT_TRUE(records.size() == 1 || !promised);
    if (!records.empty()) {
      EXPECT_EQ(records.front(), sample_record(2));
    }
    (records.empty() ? seen_absent : seen_whole) = true;
  });
  EXPECT_TRUE(seen_absent && seen_whole);
}

TEST(SnapshotCrash, ADeletionAndAReturnAreDoneOrNotBegun) {
  const Steps published = [](SnapshotCatalog& catalog) -> Status {
    TRY(catalog.open(fixed_open()));
    return catalog.commit(fixed_open(), sample_record(2));
  };
  const SnapshotId id = sample_record(2).id;
  const Steps deleted = [&](SnapshotCatalog& catalog) -> Status {
    TRY(catalog.move_to_bin(id, UtcTime{7}));
    return {};
  };
  const Steps in_bin = [&](SnapshotCatalog& catalog) -> Status {
    TRY(published(catalog));
    return deleted(catalog);
  };
  const Steps taken_back = [&](SnapshotCatalog& catalog) -> Status {
    TRY(catalog.take_back(TRY(catalog.find_in_bin(id))));
    return {};
  };
  cut_power_in(published, deleted, [&](SnapshotCatalog& catalog, bool promised) {
    EXPECT_NE(catalog.get(id).ok(), catalog.find_in_bin(id).ok());
    EXPECT_TRUE(catalog.find_in_bin(id).ok() || !promised);
  });
  cut_power_in(in_bin, taken_back, [&](SnapshotCatalog& catalog, bool promised) {
    EXPECT_NE(catalog.get(id).ok(), catalog.find_in_bin(id).ok());
    EXPECT_TRUE(catalog.get(id).ok() || !promised);
  });
}

TEST(SnapshotCrash, AFullDiskPublishesNothingAndKeepsWhatWasThere) {
  SimulatedFileSystem files;
  make_root(files);
  LocalObjectStore objects(files, kRoot);
  SnapshotCatalog catalog(objects);
  ASSERT_TRUE(publish_snapshot(objects, sample_record(1)).ok());
  ASSERT_TRUE(catalog.open(fixed_open()).ok());
  files.set_full(true);
  EXPECT_TRUE(is(catalog.commit(fixed_open(), sample_record(2)), ErrorCode::kExhausted));
  EXPECT_EQ(snapshots_in(objects), std::vector{sample_record(1)});
  files.set_full(false);
  EXPECT_TRUE(catalog.commit(fixed_open(), sample_record(2)).ok());
}

}  // namespace
}  // namespace ashlar
