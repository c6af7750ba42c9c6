// Shows capturing, finding, comparing, verifying, restoring and deleting snapshots.
#include "action/snapshots.h"

#include <fcntl.h>

#include "action/action_world.h"
#include "base/unique_fd.h"

namespace ashlar {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::size_t kBytes = std::size_t{1} << 20U;

class Snapshots : public ActionWorld {
 protected:
  SnapshotRecord captured(const std::string& path) {
    CaptureSource request;
    request.source = path;
    return capture_source(repo(), owner(), request).take().record;
  }
  std::string changed_copy(const std::string& path) {
    std::string content = content_of(path);
    content[5000] = static_cast<char>(content[5000] ^ 1);
    return file_of("changed", content);
  }
};

TEST_F(Snapshots, TheNewestOfTheSameSourceIsTheParent) {
  const std::string source = file("disk", kBytes);
  const SnapshotRecord first = captured(source);
  EXPECT_EQ(first.parent.value, 0U);
  CaptureSource request;
  request.source = source;
  const auto second = capture_source(repo(), owner(), request);
  ASSERT_OK(second);
  EXPECT_EQ(second.value().record.parent, first.id);
  request.parent = CaptureSource::Parent::kNone;
  EXPECT_EQ(capture_source(repo(), owner(), request).take().record.parent.value, 0U);
  request.parent = CaptureSource::Parent::kGiven;
  request.given = SnapshotId{7};
  EXPECT_EQ(kind_of(capture_source(repo(), owner(), request)), ErrorKind::kNoSuchSnapshot);
}

TEST_F(Snapshots, AParentIsFoundWithAListOfSourcesAndWithoutIt) {
  const std::string source = file("disk", kBytes);
  SnapshotId last = captured(source).id;
  captured(file("other", kBytes, 2));
  const std::string list = repo().host().sources();
  for (const char* text : {"", "garbage"}) {
    ASSERT_TRUE(std::filesystem::exists(list));
    if (*text == 0) std::filesystem::remove(list);
    if (*text != 0) std::ofstream(list) << text;
    const SnapshotRecord next = captured(source);
    EXPECT_EQ(next.parent, last);
    last = next.id;
  }
  const SnapshotId before = repo().snapshots().get(last).take().parent;
  ASSERT_OK(delete_snapshot(repo(), owner(), last));
  EXPECT_EQ(captured(source).parent, before) << "the newest one that is not in the bin";
}

TEST_F(Snapshots, ADamagedParentIsLeftAsideUnlessItWasChosen) {
  const std::string source = file("disk", kBytes);
  CaptureSource request;
  request.source = source;
  request.given = captured(source).id;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(store_path() + "/meta"))
    if (entry.is_regular_file()) std::filesystem::remove(entry.path());
  repo_ = repo().open_again().take();
  const auto report = capture_source(repo(), owner(), request);
  ASSERT_OK(report);
  EXPECT_THAT(report.value().warnings, ElementsAre(HasSubstr("the parent is not used, everything is read")));
}

TEST_F(Snapshots, OptionsThatExcludeEachOtherAreRefused) {
  CaptureSource request;
  request.source = file("disk", 4096);
  request.expected_bytes = ByteCount{4096};
  EXPECT_EQ(code_of(capture_source(repo(), owner(), request)), ErrorCode::kInvalid);
  request.expected_bytes.reset();
  request.live = true;
  request.freeze = {"/"};
  EXPECT_EQ(code_of(capture_source(repo(), owner(), request)), ErrorCode::kInvalid);
  request.live = false;
  request.freeze.clear();
  request.bitmap = "b";
  request.changed = ChangedMap{};
  EXPECT_EQ(code_of(capture_source(repo(), owner(), request)), ErrorCode::kInvalid);
  EXPECT_THAT(describe_snapshots(repo(), owner()).take().records, IsEmpty());
}

TEST_F(Snapshots, AStoppedCaptureMakesNone) {
  CaptureSource request;
  request.source = file("disk", kBytes);
  stop_.request_stop();
  EXPECT_EQ(code_of(capture_source(repo(), owner(), request)), ErrorCode::kCancelled);
  EXPECT_THAT(describe_snapshots(repo(), owner()).take().records, IsEmpty());
}

TEST_F(Snapshots, ADamagedRecordHidesNoOther) {
  const SnapshotRecord kept = captured(file("disk", kBytes));
  const SnapshotRecord lost = captured(file("other", kBytes, 2));
  std::ofstream(store_path() + "/snapshots/" + lost.id.text()) << "damaged";
  const SnapshotList list = describe_snapshots(repo(), other()).take();
  EXPECT_THAT(list.records, ElementsAre(kept));
  ASSERT_EQ(list.unread.size(), 1U);
  EXPECT_EQ(list.unread[0].id, lost.id);
  EXPECT_EQ(list.unread[0].why.code(), ErrorCode::kCorrupt);
  EXPECT_THAT(list.unread[0].why.text(), HasSubstr(lost.id.text()));
  EXPECT_EQ(code_of(describe_snapshot(repo(), owner(), lost.id)), ErrorCode::kCorrupt);
  EXPECT_EQ(kind_of(describe_snapshot(repo(), owner(), SnapshotId{9})), ErrorKind::kNoSuchSnapshot);
}

TEST_F(Snapshots, ADeletedOneIsGoneOnce) {
  const SnapshotId id = captured(file("disk", kBytes)).id;
  ASSERT_OK(delete_snapshot(repo(), owner(), id));
  EXPECT_EQ(kind_of(delete_snapshot(repo(), owner(), id)), ErrorKind::kNoSuchSnapshot);
  EXPECT_THAT(describe_snapshots(repo(), owner()).take().records, IsEmpty());
}

TEST_F(Snapshots, TheBlocksThatDifferAreListed) {
  const std::string source = file("disk", kBytes);
  const SnapshotRecord before = captured(source);
  const SnapshotRecord after = captured(changed_copy(source));
  std::vector<BlockRange> ranges;
  std::uint64_t nodes_read = 0;
  const auto visit = [&](BlockRange range) -> Status { return ranges.push_back(range), Status(); };
  ASSERT_OK(list_changed_blocks(repo(), owner(), before.id, after.id, visit, nodes_read));
  ASSERT_THAT(ranges, SizeIs(1));
  EXPECT_EQ(ranges.front().first, Lba{1});
  EXPECT_EQ(ranges.front().count, BlockCount{1});
  EXPECT_EQ(code_of(list_changed_blocks(repo(), owner(), before.id, SnapshotId{9}, visit, nodes_read)),
            ErrorCode::kNotFound);
}

TEST_F(Snapshots, ATargetIsRestoredVerifiedAndCompared) {
  const std::string source = file("disk", kBytes + 777);
  const SnapshotRecord snapshot = captured(source);
  const std::string target = directory_ / "target";
  const auto restored =
      restore_to_target(repo(), owner(), {.snapshot = snapshot.id, .target = target, .verify = true});
  ASSERT_OK(restored);
  EXPECT_TRUE(restored.value().verified);
  EXPECT_FALSE(restored.value().resumed);
  EXPECT_TRUE(content_of(target) == content_of(source));
  EXPECT_THAT(compare_with_target(repo(), owner(), snapshot.id, target).take().different, IsEmpty());
  EXPECT_THAT(compare_with_target(repo(), owner(), snapshot.id, changed_copy(source)).take().different,
              SizeIs(1));
}

TEST_F(Snapshots, ATargetInTheStoreIsRefused) {
  const SnapshotRecord snapshot = captured(file("disk", kBytes));
  const auto refused = restore_to_target(
      repo(), owner(), {.snapshot = snapshot.id, .target = store_path() + "/packs/x", .force = true});
  EXPECT_EQ(code_of(refused), ErrorCode::kInvalid);
  EXPECT_THAT(text_of(refused), HasSubstr("lies in the store"));
  EXPECT_FALSE(std::filesystem::exists(store_path() + "/packs/x"));
}

TEST_F(Snapshots, AnUnknownOneMakesNoTarget) {
  const std::string target = directory_ / "target";
  EXPECT_EQ(kind_of(restore_to_target(repo(), owner(), {.snapshot = SnapshotId{9}, .target = target})),
            ErrorKind::kNoSuchSnapshot);
  EXPECT_FALSE(std::filesystem::exists(target));
}

TEST_F(Snapshots, AStreamGetsTheBytesInOrder) {
  const std::string source = file("disk", kBytes);
  const SnapshotRecord snapshot = captured(source);
  const std::string out = directory_ / "out";
  {
    const UniqueFd fd(::open(out.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_OK(restore_to_stream(repo(), owner(), snapshot.id, fd.get()));
  }
  EXPECT_TRUE(content_of(out) == content_of(source));
}

TEST_F(Snapshots, DamageIsFoundAndNamed) {
  const SnapshotRecord snapshot = captured(file("disk", kBytes));
  EXPECT_THAT(verify_stored(repo(), owner(), std::nullopt).take().damages, IsEmpty());
  for (const auto& entry : std::filesystem::recursive_directory_iterator(store_path() + "/packs")) {
    if (!entry.is_regular_file()) continue;
    std::fstream pack(entry.path(), std::ios::binary | std::ios::in | std::ios::out);
    pack.seekp(static_cast<std::streamoff>(entry.file_size() / 2));
    pack.put('\x55').put('\x55').put('\x55');
  }
  for (const auto& which : {std::optional<SnapshotId>(), std::optional(snapshot.id)}) {
    const auto report = verify_stored(repo(), owner(), which);
    ASSERT_OK(report);
    ASSERT_THAT(report.value().damages, SizeIs(1));
    EXPECT_EQ(report.value().damages.front().losses.front().snapshot, snapshot.id);
  }
  EXPECT_EQ(code_of(verify_stored(repo(), owner(), SnapshotId{9})), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace ashlar
