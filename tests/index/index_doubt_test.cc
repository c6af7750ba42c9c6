// Tests of an index that can't tell: a list that lacks packs, packs that can't be read just now, and errors
// of the system. None of them is taken for damage or for a pack that is gone.
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "index/database_errors.h"
#include "index/index.h"
#include "index/index_world.h"
#include "support/forwarding_objects.h"

namespace ashlar {
namespace {

// A store whose lists lack some objects, and that counts its lists.
class ForgetfulObjects : public ForwardingObjects {
 public:
  using ForwardingObjects::ForwardingObjects;
  std::set<std::string> hidden;
  std::size_t lists = 0;
  ErrorCode stat_fails = ErrorCode::kNotFound;  // with another code, stat() fails so

  Status list(std::string_view prefix, const std::function<Status(const ObjectInfo&)>& visit) override {
    ++lists;
    return ForwardingObjects::list(prefix, [&](const ObjectInfo& object) -> Status {
      return hidden.contains(object.key) ? Status() : visit(object);
    });
  }
  Result<ObjectInfo> stat(std::string_view key) override {
    if (stat_fails != ErrorCode::kNotFound) return Error(stat_fails, "told to fail");
    return ForwardingObjects::stat(key);
  }
};

TEST(IndexDoubtTest, APackThatAListLacksIsForgottenOnlyWhenItsKeyIsNotFound) {
  const TempDir dir;
  World world(dir / "store", 40);
  world.publish_some(6);
  ForgetfulObjects objects(world.objects());
  const auto index = must(Index::open(dir / "index", objects));
  must(index->catch_up());
  for (const auto& [pack, contents] : world.packs()) objects.hidden.insert(pack_key(contents.kind, pack));
  EXPECT_EQ(must(index->catch_up()).packs_gone, 0U);
  EXPECT_EQ(world.ask(*index), world.expected());

  world.remove(world.any_pack());
  objects.stat_fails = ErrorCode::kIo;
  EXPECT_EQ(must(index->catch_up()).packs_gone, 0U) << "a doubt is not a loss";
  objects.stat_fails = ErrorCode::kNotFound;
  EXPECT_EQ(must(index->catch_up()).packs_gone, 1U);
  EXPECT_EQ(world.ask(*index), world.expected());
  EXPECT_EQ(packs_on_disk(dir / "index"), world.packs().size());
}

TEST(IndexDoubtTest, APackThatCantBeReadJustNowIsNotDamaged) {
  const TempDir dir;
  World world(dir / "store", 41);
  const PackId pack = world.publish_data(3);
  UnreadableFolder away(world.objects(), "packs/", ErrorCode::kIo);
  const auto index = must(Index::open(dir / "index", away));
  EXPECT_EQ(must(index->catch_up()).packs_added, 0U);
  EXPECT_EQ(must(index->stats()).damaged_packs, 0U);
  EXPECT_EQ(must(index->stats()).unread_packs, 1U);
  EXPECT_EQ(index->missing("a segment").code(), ErrorCode::kIo) << "it may be in the pack";
  const auto later = must(Index::open(dir / "index", world.objects()));
  EXPECT_EQ(must(later->catch_up()).packs_added, 1U);
  EXPECT_TRUE(must(later->has_pack(pack)));
  EXPECT_EQ(later->missing("a segment").code(), ErrorCode::kCorrupt);
}

TEST(IndexDoubtTest, AReaderLooksAgainOnceForWhatItDoesNotKnow) {
  const TempDir dir;
  World world(dir / "store", 42);
  world.publish_data(3);
  ForgetfulObjects objects(world.objects());
  const auto server = must(Index::open(dir / "index", objects));
  must(server->catch_up());
  const PackId pack = world.publish_data(3);
  const SegmentId id = world.packs().at(pack).segments.front().entry.id;
  EXPECT_TRUE(must(server->segment_places(id)).empty());
  must(server->look_again(id));
  EXPECT_FALSE(must(server->segment_places(id)).empty());
  const std::size_t lists = objects.lists;
  must(server->look_again(id));
  EXPECT_EQ(objects.lists, lists) << "the same id within the pause";
  must(server->look_again(NodeId{}));
  EXPECT_GT(objects.lists, lists) << "another id";
}

TEST(IndexDoubtTest, AnIndexOfAnotherRateOfHooksIsMadeAnew) {
  const TempDir dir;
  World world(dir / "store", 43);
  world.publish_data(20);
  must(must(Index::open(dir / "index", world.objects(), 4))->catch_up());
  const auto index = must(Index::open(dir / "index", world.objects()));
  must(index->catch_up());
  EXPECT_EQ(world.ask(*index), world.expected());
  EXPECT_EQ(packs_on_disk(dir / "index"), 1U);
  EXPECT_EQ(Index::open(dir / "index", world.objects(), 48).error().code(), ErrorCode::kInvalid);
}

std::string stamp_of(const std::string& path) {
  return IndexDirectory(path, index_format(kDefaultHookRate)).stamp();
}

// Too many open files: the database can neither be opened nor written, and no file of it changes.
TEST(IndexDoubtTest, TooManyOpenFilesAreNoDamage) {
  const TempDir dir;
  World world(dir / "store", 44);
  world.publish_some(6);
  must(must(Index::open(dir / "index", world.objects()))->catch_up());
  const std::string stamp = stamp_of(dir / "index");
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  rlimit few = limit;
  few.rlim_cur = std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}) + 4;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  auto index = Index::open(dir / "index", world.objects());
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  ASSERT_TRUE(index.ok());
  EXPECT_EQ(stamp_of(dir / "index"), stamp) << "the database was not made anew";
  EXPECT_EQ(must(index.value()->catch_up()).packs_added, 0U) << "the database is used once it can be opened";
  EXPECT_EQ(world.ask(*index.value()), world.expected());
  EXPECT_EQ(stamp_of(dir / "index"), stamp);

  const auto writing = must(Index::open(dir / "index", world.objects()));
  must(writing->catch_up());
  world.tell(*writing, world.publish_data(3));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  must(writing->flush());
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_FALSE(must(writing->stats()).writable);
  EXPECT_EQ(world.ask(*writing), world.expected());
  EXPECT_EQ(packs_on_disk(dir / "index"), world.packs().size() - 1);
  must(writing->flush());
  EXPECT_TRUE(must(writing->stats()).writable);
  EXPECT_EQ(packs_on_disk(dir / "index"), world.packs().size());
}

TEST(IndexDoubtTest, OnlyWhatSaysThatRowsAreWrongIsDamage) {
  using rocksdb::Status;
  const auto code = [](const Status& status) { return error_of(status).code(); };
  EXPECT_EQ(code(Status::Corruption("a checksum")), ErrorCode::kCorrupt);
  EXPECT_EQ(code(Status::PathNotFound("a file")), ErrorCode::kCorrupt);
  EXPECT_EQ(code(Status::InvalidArgument("column families")), ErrorCode::kCorrupt);
  EXPECT_EQ(code(Status::NotSupported("a compression")), ErrorCode::kCorrupt);
  EXPECT_EQ(code(Status::IOError("EIO, EMFILE, ENFILE, EACCES")), ErrorCode::kIo);
  EXPECT_EQ(code(Status::Incomplete()), ErrorCode::kIo);
  EXPECT_EQ(code(Status::ShutdownInProgress()), ErrorCode::kIo);
  EXPECT_EQ(code(Status::NoSpace("ENOSPC")), ErrorCode::kExhausted);
  EXPECT_EQ(code(Status::MemoryLimit("memory")), ErrorCode::kExhausted);
  EXPECT_EQ(code(Status::TimedOut("a lock")), ErrorCode::kBusy);
  EXPECT_EQ(code(Status::TryAgain("again")), ErrorCode::kBusy);
}

TEST(IndexDoubtTest, AnIndexThatThisUserMayNotReadIsInMemory) {
  if (::geteuid() != 0) GTEST_SKIP() << "becoming another user needs root";
  const TempDir dir;
  World world(dir / "store", 45);
  world.publish_some(6);
  must(must(Index::open(dir / "index", world.objects()))->catch_up());
  const std::string stamp = stamp_of(dir / "index");
  using std::filesystem::perms;
  std::filesystem::permissions(dir.path(), perms::all);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir / "store"))
    std::filesystem::permissions(entry.path(), perms::all);
  std::filesystem::permissions(dir / "store", perms::all);
  std::filesystem::permissions(dir / "index", perms::owner_all);
  ASSERT_EQ(::seteuid(65534), 0);
  {
    const auto index = must(Index::open(dir / "index", world.objects()));
    must(index->catch_up());
    EXPECT_EQ(world.ask(*index), world.expected());
    EXPECT_FALSE(must(index->stats()).writable);
  }
  ASSERT_EQ(::seteuid(0), 0);
  EXPECT_EQ(stamp_of(dir / "index"), stamp);
}

}  // namespace
}  // namespace ashlar
