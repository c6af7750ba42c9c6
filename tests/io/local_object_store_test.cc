// Tests of objects in a local directory: the contract, on a real and on a simulated disk, and what a crash
// leaves.
#include "io/local_object_store.h"

#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "io_asserts.h"
#include "simulated/simulated_file_system.h"
#include "support/failing_reads.h"
#include "support/temporary_directory.h"

namespace ashlar {
namespace {

struct PosixHost {
  TemporaryDirectory directory;
  FileSystem& files = posix_file_system();
  std::string root = directory.path();
};

struct SimulatedHost {
  SimulatedHost() {
    EXPECT_TRUE(simulated.make_directory("/store").ok() && simulated.sync_directory("/").ok());
  }
  SimulatedFileSystem simulated;
  FileSystem& files = simulated;
  std::string root = "/store";
};

std::string get(ObjectStore& objects, std::string_view key) {
  auto bytes = get_object(objects, key, 1 << 20);
  return bytes.ok() ? text_of(bytes.value()) : "(" + std::string(error_code_name(bytes.error().code())) + ")";
}

std::vector<std::string> keys_of(ObjectStore& objects, std::string_view prefix) {
  std::vector<std::string> keys;
  const Status listed = objects.list(prefix, [&](const ObjectInfo& info) -> Status {
    keys.push_back(info.key);
    return {};
  });
  EXPECT_TRUE(listed.ok()) << listed.error().text();
  return keys;
}

Status put(ObjectStore& objects, std::string_view key, std::string_view text) {
  auto writer = TRY(objects.create(key));
  TRY(writer->append(as_byte_span(text)));
  return writer->finish();
}

// Returns the names of unfinished files, without locks.
std::vector<std::string> incoming(FileSystem& files, const std::string& root) {
  std::vector<std::string> names;
  auto entries = files.list(root + "/incoming");
  if (!entries.ok()) return names;
  for (const DirectoryEntry& entry : entries.value()) {
    if (!entry.name.ends_with(".lock")) names.push_back(entry.name);
  }
  return names;
}

template <class Host>
class ObjectStoreContract : public ::testing::Test {
 protected:
  Host host_;
  LocalObjectStore objects_{host_.files, host_.root};
};

using Hosts = ::testing::Types<PosixHost, SimulatedHost>;
TYPED_TEST_SUITE(ObjectStoreContract, Hosts);

TYPED_TEST(ObjectStoreContract, AStreamedObjectAppearsWhole) {
  const ByteVector bytes = random_bytes(300'000, 5);
  auto writer = this->objects_.create("packs/1f/one.pack");
  ASSERT_DONE(writer);
  for (std::size_t at = 0; at < bytes.size(); at += 100'000) {
    ASSERT_DONE(writer.value()->append(ByteSpan(bytes).subspan(at, 100'000)));
  }
  EXPECT_FAILS(this->objects_.stat("packs/1f/one.pack"), ErrorCode::kNotFound);
  ASSERT_DONE(writer.value()->finish());
  EXPECT_FAILS(writer.value()->append(bytes), ErrorCode::kInvalid);
  EXPECT_FAILS(writer.value()->finish(), ErrorCode::kInvalid);
  writer.take().reset();
  EXPECT_TRUE(incoming(this->host_.files, this->host_.root).empty());

  EXPECT_EQ(this->objects_.stat("packs/1f/one.pack").take().size, bytes.size());
  for (const ReadMode mode : {ReadMode::kCached, ReadMode::kDirect}) {
    const auto reader = this->objects_.open("packs/1f/one.pack", mode).take();
    EXPECT_EQ(reader->size(), bytes.size());
    ByteVector out(1001);
    ASSERT_DONE(reader->read_at(77'777, out));
    EXPECT_TRUE(bytes_equal(out, ByteSpan(bytes).subspan(77'777, out.size())));
    ASSERT_DONE(reader->read_at(bytes.size() - out.size(), out));
    EXPECT_FAILS(reader->read_at(bytes.size() - out.size() + 1, out), ErrorCode::kCorrupt);
  }
  EXPECT_FAILS(get_object(this->objects_, "packs/1f/one.pack", bytes.size() - 1), ErrorCode::kCorrupt);
}

TYPED_TEST(ObjectStoreContract, AnUnfinishedObjectNeverWas) {
  {
    auto writer = this->objects_.create("packs/p").take();
    ASSERT_DONE(writer->append(as_byte_span("half")));
    EXPECT_EQ(incoming(this->host_.files, this->host_.root).size(), 1U);
  }
  EXPECT_TRUE(incoming(this->host_.files, this->host_.root).empty());
  EXPECT_TRUE(keys_of(this->objects_, "").empty());
}

TYPED_TEST(ObjectStoreContract, NothingIsEverPublishedOverAnObject) {
  ASSERT_DONE(this->objects_.put_if_absent("k", as_byte_span("first")));
  EXPECT_FAILS(this->objects_.put_if_absent("k", as_byte_span("second")), ErrorCode::kBusy);
  EXPECT_FAILS(put(this->objects_, "k", "third"), ErrorCode::kBusy);
  EXPECT_EQ(get(this->objects_, "k"), "first");
  EXPECT_TRUE(incoming(this->host_.files, this->host_.root).empty());
}

TYPED_TEST(ObjectStoreContract, ReplaceNeedsWhatWasThere) {
  EXPECT_FAILS(this->objects_.replace("k", as_byte_span("a"), as_byte_span("b")), ErrorCode::kNotFound);
  ASSERT_DONE(this->objects_.put_if_absent("k", as_byte_span("a")));
  ASSERT_DONE(this->objects_.replace("k", as_byte_span("a"), as_byte_span("longer")));
  EXPECT_FAILS(this->objects_.replace("k", as_byte_span("a"), as_byte_span("c")), ErrorCode::kBusy);
  EXPECT_FAILS(this->objects_.replace("k", as_byte_span("LONGER"), as_byte_span("c")), ErrorCode::kBusy);
  EXPECT_EQ(get(this->objects_, "k"), "longer");
  ASSERT_DONE(this->objects_.remove("k"));
  EXPECT_FAILS(this->objects_.replace("k", as_byte_span("longer"), as_byte_span("c")), ErrorCode::kNotFound);
  EXPECT_FAILS(this->objects_.remove("k"), ErrorCode::kNotFound);
  EXPECT_TRUE(incoming(this->host_.files, this->host_.root).empty());
}

TYPED_TEST(ObjectStoreContract, ListGoesThroughAFolderInOrderOfKeys) {
  for (const char* key : {"a/b", "a.b", "a-b", "a/b-c/d", "a/b.c", "z", "b/c/d/e"}) {
    ASSERT_DONE(this->objects_.put_if_absent(key, as_byte_span(key)));
  }
  std::vector<std::string> all = {"a/b", "a.b", "a-b", "a/b-c/d", "a/b.c", "z", "b/c/d/e"};
  std::sort(all.begin(), all.end());
  EXPECT_EQ(keys_of(this->objects_, ""), all);
  EXPECT_EQ(keys_of(this->objects_, "a/"), (std::vector<std::string>{"a/b", "a/b-c/d", "a/b.c"}));
  EXPECT_TRUE(keys_of(this->objects_, "none/").empty());
  EXPECT_FAILS(this->objects_.list("a", [](const ObjectInfo&) -> Status { return {}; }), ErrorCode::kInvalid);

  int visits = 0;
  EXPECT_FAILS(this->objects_.list("", [&](const ObjectInfo&) -> Status { return ++visits, cancelled(); }),
               ErrorCode::kCancelled);
  EXPECT_EQ(visits, 1);
}

TYPED_TEST(ObjectStoreContract, ObjectsCanBeRemovedWhileListed) {
  for (int i = 0; i < 20; ++i) {
    ASSERT_DONE(this->objects_.put_if_absent("d/" + std::to_string(i), as_byte_span("x")));
  }
  ASSERT_DONE(this->objects_.list("d/", [&](const ObjectInfo& info) -> Status {
    for (int i = 0; i < 20; ++i) {
      const std::string key = "d/" + std::to_string(i);
      if (key > info.key && i % 2 == 0) static_cast<void>(this->objects_.remove(key).ok());
    }
    return this->objects_.remove(info.key);
  }));
  EXPECT_TRUE(keys_of(this->objects_, "").empty());
}

TYPED_TEST(ObjectStoreContract, OnlyKeysOfPlainRelativePartsAreTaken) {
  const std::string long_part(256, 'a');
  std::string long_key = "a";
  while (long_key.size() <= 512) long_key += "/a";
  for (const std::string& key :
       {std::string(""), std::string("/etc/passwd"), std::string("a//b"), std::string("a/"),
        std::string(".."), std::string("a/../b"), std::string("./a"), std::string("a/./b"),
        std::string("a b"), std::string("a\\b"), std::string("a\0b", 3), std::string("\xc3\xa4"),
        std::string("a\n"), std::string("incoming/x"), std::string("incoming"), long_part, long_key}) {
    SCOPED_TRACE(key);
    EXPECT_FAILS(this->objects_.create(key), ErrorCode::kInvalid);
    EXPECT_FAILS(this->objects_.open(key, ReadMode::kCached), ErrorCode::kInvalid);
    EXPECT_FAILS(this->objects_.stat(key), ErrorCode::kInvalid);
    EXPECT_FAILS(this->objects_.remove(key), ErrorCode::kInvalid);
    EXPECT_FAILS(this->objects_.put_if_absent(key, {}), ErrorCode::kInvalid);
    EXPECT_FAILS(this->objects_.replace(key, {}, {}), ErrorCode::kInvalid);
  }
  for (const char* key : {"a", "...", "A-Z_0.9/.x/-", "x/incoming"}) {
    ASSERT_DONE(this->objects_.put_if_absent(key, {}));
    EXPECT_EQ(get(this->objects_, key), "");
  }
}

TYPED_TEST(ObjectStoreContract, AFolderIsNoObjectAndAnObjectNoFolder) {
  ASSERT_DONE(this->objects_.put_if_absent("a/b", as_byte_span("x")));
  for (const char* key : {"a", "a/b/c"}) {
    SCOPED_TRACE(key);
    EXPECT_FAILS(this->objects_.stat(key), ErrorCode::kNotFound);
    EXPECT_FAILS(this->objects_.open(key, ReadMode::kCached), ErrorCode::kNotFound);
    EXPECT_FALSE(this->objects_.remove(key).ok());
    EXPECT_FALSE(this->objects_.put_if_absent(key, {}).ok());
  }
  EXPECT_EQ(get(this->objects_, "a/b"), "x");
  ASSERT_DONE(this->objects_.remove("a/b"));
}

TYPED_TEST(ObjectStoreContract, OfManyWhoPutOneKeyOneWins) {
  for (int round = 0; round < 30; ++round) {
    const std::string key = "races/" + std::to_string(round);
    std::atomic<int> winners{0};
    std::string winner;
    {
      std::vector<std::jthread> threads;
      threads.reserve(4);
      for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
          // Two threads share a store, and two have a store of their own, as other processes would.
          LocalObjectStore own(this->host_.files, this->host_.root);
          ObjectStore& objects = t < 2 ? static_cast<ObjectStore&>(this->objects_) : own;
          const std::string text = "by " + std::to_string(t);
          const Status done = objects.put_if_absent(key, as_byte_span(text));
          if (!done.ok()) {
            EXPECT_EQ(done.error().code(), ErrorCode::kBusy) << done.error().text();
          } else if (winners.fetch_add(1) == 0) {
            winner = text;
          }
        });
      }
    }
    EXPECT_EQ(winners.load(), 1);
    EXPECT_EQ(get(this->objects_, key), winner);
  }
}

TYPED_TEST(ObjectStoreContract, ManyWhoReplaceLoseNoStep) {
  ASSERT_DONE(this->objects_.put_if_absent("count", as_byte_span("0")));
  const auto count_up = [&] {
    LocalObjectStore own(this->host_.files, this->host_.root);
    for (int done = 0; done < 25;) {
      const std::string seen = get(own, "count");
      const Status replaced =
          own.replace("count", as_byte_span(seen), as_byte_span(std::to_string(std::stoi(seen) + 1)));
      if (replaced.ok())
        ++done;
      else
        ASSERT_EQ(replaced.error().code(), ErrorCode::kBusy) << replaced.error().text();
    }
  };
  {
    const std::jthread a(count_up);
    const std::jthread b(count_up);
    const std::jthread c(count_up);
  }
  EXPECT_EQ(get(this->objects_, "count"), "75");
}

TYPED_TEST(ObjectStoreContract, ClearingLeavesLivingWritersAlone) {
  LocalObjectStore other(this->host_.files, this->host_.root);
  auto mine = this->objects_.create("mine").take();
  auto theirs = other.create("theirs").take();
  const std::string dead = this->host_.root + "/incoming/0123456789abcdef-7";
  ASSERT_DONE(this->host_.files.create(dead));
  const std::string foreign = this->host_.root + "/incoming/notes-of-somebody";
  ASSERT_DONE(this->host_.files.create(foreign));

  ASSERT_DONE(this->objects_.clear_incoming());
  EXPECT_FAILS(this->host_.files.file_size(dead), ErrorCode::kNotFound);
  ASSERT_DONE(this->host_.files.file_size(foreign));
  ASSERT_DONE(mine->append(as_byte_span("m")));
  ASSERT_DONE(mine->finish());
  ASSERT_DONE(theirs->append(as_byte_span("t")));
  ASSERT_DONE(theirs->finish());
  EXPECT_EQ(keys_of(this->objects_, ""), (std::vector<std::string>{"mine", "theirs"}));
}

TYPED_TEST(ObjectStoreContract, AWriterOutlivesItsStore) {
  std::unique_ptr<ObjectWriter> writer;
  {
    LocalObjectStore brief(this->host_.files, this->host_.root);
    writer = brief.create("k").take();
  }
  ASSERT_DONE(this->objects_.clear_incoming());
  ASSERT_DONE(writer->append(as_byte_span("x")));
  ASSERT_DONE(writer->finish());
  EXPECT_EQ(get(this->objects_, "k"), "x");
}

TYPED_TEST(ObjectStoreContract, WritersAndClearersRunTogether) {
  std::atomic<bool> stop{false};
  std::jthread clearer([&] {
    LocalObjectStore own(this->host_.files, this->host_.root);
    while (!stop) {
      const Status cleared = own.clear_incoming();
      EXPECT_TRUE(cleared.ok()) << cleared.error().text();
    }
  });
  const auto write_many = [&](const std::string& folder) {
    for (int i = 0; i < 60; ++i) {
      LocalObjectStore own(this->host_.files, this->host_.root);
      const Status done = put(own, folder + std::to_string(i), "x");
      EXPECT_TRUE(done.ok()) << done.error().text();
    }
  };
  {
    const std::jthread a([&] { write_many("a/"); });
    const std::jthread b([&] { write_many("b/"); });
  }
  stop = true;
  clearer.join();
  EXPECT_EQ(keys_of(this->objects_, "").size(), 120U);
}

TEST(LocalObjectStore, AKilledWriterLeavesAFileThatIsCleared) {
  PosixHost host;
  LocalObjectStore objects(host.files, host.root);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    LocalObjectStore own(host.files, host.root);
    auto writer = own.create("k");
    if (writer.ok() && writer.value()->append(as_byte_span("half")).ok()) ::_exit(0);
    ::_exit(1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_EQ(incoming(host.files, host.root).size(), 1U);
  ASSERT_DONE(objects.clear_incoming());
  EXPECT_TRUE(incoming(host.files, host.root).empty());
}

// The calls of flow() that were acknowledged. The flow uses every call that publishes or removes.
struct Acknowledged {
  bool streamed = false;
  bool put = false;
  bool replaced = false;
  bool removed = false;
};

Status flow(ObjectStore& objects, Acknowledged& done) {
  TRY(put(objects, "packs/aa/p", "streamed"));
  done.streamed = true;
  TRY(objects.put_if_absent("records/r", as_byte_span("one")));
  done.put = true;
  TRY(objects.replace("records/r", as_byte_span("one"), as_byte_span("two")));
  done.replaced = true;
  TRY(objects.remove("packs/aa/p"));
  done.removed = true;
  return {};
}

// Checks that the store holds whole objects only, and everything that was acknowledged.
void check_after(ObjectStore& objects, const Acknowledged& done) {
  const std::string pack = get(objects, "packs/aa/p");
  const std::string record = get(objects, "records/r");
  EXPECT_TRUE(pack == "streamed" || pack == "(not_found)") << pack;
  EXPECT_TRUE(record == "one" || record == "two" || record == "(not_found)") << record;
  // remove() was not started before replace() had returned.
  if (done.streamed && !done.replaced) {
    EXPECT_EQ(pack, "streamed");
  }
  if (done.put) {
    EXPECT_NE(record, "(not_found)");
  }
  if (done.replaced) {
    EXPECT_EQ(record, "two");
  }
  if (done.removed) {
    EXPECT_EQ(pack, "(not_found)");
  }
}

std::uint64_t count_flow_operations() {
  SimulatedHost host;
  LocalObjectStore objects(host.files, host.root);
  Acknowledged done;
  EXPECT_TRUE(flow(objects, done).ok());
  return host.simulated.operations();
}

TEST(LocalObjectStoreCrash, AtEveryOperationObjectsAreWholeAndWhatWasDoneStays) {
  const std::uint64_t total = count_flow_operations();
  ASSERT_GT(total, 20U);
  for (std::uint64_t number = 2; number <= total; ++number) {
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      SCOPED_TRACE(testing::Message() << "power lost before operation " << number << ", seed " << seed);
      SimulatedHost host;
      Acknowledged done;
      {
        LocalObjectStore objects(host.files, host.root);
        host.simulated.stop_at(number);
        EXPECT_EQ(flow(objects, done).ok(), number == total);
        host.simulated.stop_at(host.simulated.operations());
      }
      host.simulated.crash(seed);
      LocalObjectStore after(host.files, host.root);
      check_after(after, done);
      ASSERT_DONE(after.clear_incoming());
      EXPECT_TRUE(incoming(host.files, host.root).empty());
      check_after(after, done);
    }
  }
}

TEST(LocalObjectStoreCrash, AtEveryFailingOperationObjectsAreWholeAndTheStoreStaysUsable) {
  const std::uint64_t total = count_flow_operations();
  for (std::uint64_t number = 2; number < total; ++number) {
    for (const int error_number : {EIO, ENOSPC}) {
      SCOPED_TRACE(testing::Message() << "operation " << number << " fails with " << error_number);
      SimulatedHost host;
      LocalObjectStore objects(host.files, host.root);
      host.simulated.fail_operation(number, error_number);
      Acknowledged done;
      const Status result = flow(objects, done);
      if (!result.ok()) {
        EXPECT_EQ(result.error().error_number(), error_number) << result.error().text();
      }
      check_after(objects, done);
      ASSERT_DONE(objects.put_if_absent("later", as_byte_span("x")));
      host.simulated.crash(SimulatedFileSystem::kLoseUnsynced);
      LocalObjectStore after(host.files, host.root);
      check_after(after, done);
      EXPECT_EQ(get(after, "later"), "x");
    }
  }
}

// Another writer has linked its object, but not synced the folder yet: ensure_durable() has to make it
// durable before we rely on it.
TEST(LocalObjectStoreDurability, AnObjectOfAnotherWriterIsMadeDurableBeforeItIsBuiltUpon) {
  for (const bool ask : {false, true}) {
    SimulatedHost host;
    LocalObjectStore objects(host.files, host.root);
    ASSERT_TRUE(host.files.make_directory("/store/packs").ok());
    auto file = host.files.create("/store/packs/new");
    ASSERT_TRUE(file.ok() && file.value()->append(as_byte_span("pack")).ok() && file.value()->sync().ok());
    if (ask) {
      EXPECT_TRUE(objects.ensure_durable(std::vector<std::string>{"packs/new"}).ok());
    }
    host.simulated.crash(SimulatedFileSystem::kLoseUnsynced);
    LocalObjectStore after(host.files, host.root);
    EXPECT_EQ(after.stat("packs/new").ok(), ask);
  }
  SimulatedHost host;
  LocalObjectStore objects(host.files, host.root);
  EXPECT_EQ(objects.ensure_durable(std::vector<std::string>{"packs/none"}).error().code(),
            ErrorCode::kNotFound);
}

// A folder stands for what was removed from it as well.
TEST(LocalObjectStoreDurability, WhatAnotherProcessRemovedIsMadeDurable) {
  for (const bool ask : {false, true}) {
    SimulatedHost host;
    LocalObjectStore objects(host.files, host.root);
    ASSERT_TRUE(objects.put_if_absent("images/old", as_byte_span("x")).ok());
    ASSERT_TRUE(objects.remove("images/old", Lasts::kWhilePowered).ok());
    if (ask) {
      EXPECT_TRUE(objects.ensure_durable(std::vector<std::string>{"images/", "volumes/"}).ok());
    }
    host.simulated.crash(SimulatedFileSystem::kLoseUnsynced);
    EXPECT_EQ(LocalObjectStore(host.files, host.root).stat("images/old").ok(), !ask);
  }
}

// A file system that can't look at one file.
class UnlookedFile : public FailingReads {
 public:
  UnlookedFile(FileSystem& inner, std::string name) : FailingReads(inner, -1, 0), name_(std::move(name)) {}
  Result<std::uint64_t> file_size(const std::string& path) override {
    if (path.ends_with(name_)) return Error::from_errno(EIO, "stat " + path);
    return FailingReads::file_size(path);
  }

 private:
  const std::string name_;
};

TEST(LocalObjectStoreLists, AnObjectThatCanNotBeLookedAtHidesNoOther) {
  SimulatedHost host;
  LocalObjectStore sound(host.files, host.root);
  for (const char* key : {"f/a", "f/b", "f/c"}) EXPECT_TRUE(put(sound, key, "text").ok());
  UnlookedFile files(host.files, "/b");
  LocalObjectStore objects(files, host.root);
  std::vector<std::pair<std::string, std::uint64_t>> seen;
  ASSERT_TRUE(objects
                  .list("f/",
                        [&](const ObjectInfo& info) -> Status {
                          seen.emplace_back(info.key, info.size);
                          return {};
                        })
                  .ok());
  const std::vector<std::pair<std::string, std::uint64_t>> expected = {
      {"f/a", 4}, {"f/b", kUnknownSize}, {"f/c", 4}};
  EXPECT_EQ(seen, expected);
}

}  // namespace
}  // namespace ashlar
