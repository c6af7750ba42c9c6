// Tests of the server with real clients.
#include <gtest/gtest.h>

#include "serve/nbd_server.h"
#include "server_rig.h"
#include "support/nbd_peer.h"

namespace ashlar {
namespace {

class ServerTest : public testing::Test {
 protected:
  static constexpr std::uint64_t kBytes = 64 * kMiB;

  void start(NbdLimits limits = {}) { server_ = must_start(exports_, UnixAddress{socket()}, limits); }
  std::string socket() const { return directory_ / "sock"; }
  std::string uri(const std::string& name = "") const {
    return "nbd+unix:///" + name + "?socket=" + socket();
  }

  const TemporaryDirectory directory_;
  MemoryExports exports_;
  std::shared_ptr<MemoryExport> disk_ = [this] {
    auto disk = std::make_shared<MemoryExport>(kBytes);
    exports_.add("", disk);
    return disk;
  }();
  std::unique_ptr<NbdServer> server_;
};

TEST_F(ServerTest, WhatIsWrittenIsReadBack) {
  start();
  NbdClient client(uri());
  const ByteVector bytes = random_bytes(300'000, 1);
  ASSERT_TRUE(client.write(12'345, bytes));
  EXPECT_EQ(client.read(12'345, bytes.size()), bytes);
  EXPECT_EQ(client.read(12'000, 345), ByteVector(345));
  ASSERT_TRUE(client.zero(20'000, 50'000));
  ByteVector expected = bytes;
  std::fill_n(expected.begin() + 20'000 - 12'345, 50'000, std::byte{0});
  EXPECT_EQ(client.read(12'345, bytes.size()), expected);
  ASSERT_TRUE(client.trim(0, kMiB));
  EXPECT_EQ(client.read(0, kMiB), ByteVector(kMiB));
}

TEST_F(ServerTest, ASocketThatIsGivenByARelativePathIsAnnouncedByItsAbsolutePath) {
  const std::string relative = std::filesystem::relative(socket()).native();
  ASSERT_FALSE(relative.starts_with('/'));
  server_ = must_start(exports_, UnixAddress{relative});
  const std::string start = "nbd+unix:///?socket=/";
  ASSERT_TRUE(server_->address().starts_with(start)) << server_->address();
  const std::string announced = server_->address().substr(start.size() - 1);
  EXPECT_EQ(std::filesystem::canonical(announced), std::filesystem::canonical(socket()));
  EXPECT_EQ(NbdClient(uri()).read(0, 10), ByteVector(10));
}

TEST_F(ServerTest, EverySizeOfAWriteArrivesWhole) {
  start();
  NbdClient client(uri());
  // The sizes lie around those at which a payload changes from the input buffer to a buffer of its own.
  for (const std::size_t size : {1UL, 4095UL, 4096UL, 16'383UL, 16'384UL, 16'385UL, 69'631UL, 69'632UL,
                                 100'000UL, 1UL << 20U, (1UL << 20U) + 1, 32UL << 20U}) {
    const ByteVector bytes = random_bytes(size, size);
    ASSERT_TRUE(client.write(77, bytes)) << size;
    ASSERT_TRUE(client.read(77, size) == bytes) << size;
  }
}

// A client that lost its connection repeats the writes that were not answered, and goes on with newer ones.
// An old write must not be done after these: so a new connection waits for the writes of earlier connections.
TEST_F(ServerTest, AConnectionWaitsForTheWritesOfThoseBefore) {
  start();
  disk_->hold(0, 4096);
  {
    const UniqueFd cut_off = connected_unix_socket(socket());
    ByteVector all = nbd_client_flags();
    for (const ByteVector& part :
         {nbd_option(nbd::Option::kGo, nbd_info_data("")), nbd_request(nbd::Command::kWrite, 1, 0, 4096),
          ByteVector(4096, std::byte{1})}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    ASSERT_EQ(::send(cut_off.get(), all.data(), all.size(), MSG_NOSIGNAL), static_cast<ssize_t>(all.size()));
    ASSERT_TRUE(eventually([this] { return disk_->waiting() == 1; }));
  }
  NbdClient client(uri());
  const ByteVector newer(4096, std::byte{2});
  const std::int64_t cookie =
      nbd_aio_pwrite(client.handle(), newer.data(), newer.size(), 8192, NBD_NULL_COMPLETION, 0);
  ASSERT_GT(cookie, 0);
  client.send_all();
  EXPECT_EQ(nbd_poll(client.handle(), 500), 0) << "it is answered before the old one is done";
  disk_->release();
  client.finish_reads();
  EXPECT_EQ(client.read(0, 4096), ByteVector(4096, std::byte{1}));
  EXPECT_EQ(client.read(8192, 4096), newer);
}

// Writes that the server had not read when their client was cut off are dropped: the client may have repeated
// them on its next connection.
TEST_F(ServerTest, WhatAClientThatIsGoneHadNotGotThroughIsNotDone) {
  NbdLimits limits;
  limits.outstanding_requests = 1;
  start(limits);
  disk_->hold(0, 4096);
  {
    const UniqueFd cut_off = connected_unix_socket(socket());
    ByteVector all = nbd_client_flags();
    for (const ByteVector& part :
         {nbd_option(nbd::Option::kGo, nbd_info_data("")), nbd_request(nbd::Command::kRead, 1, 0, 4096),
          nbd_request(nbd::Command::kWrite, 2, 8192, 4096), ByteVector(4096, std::byte{1})}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    ASSERT_EQ(::send(cut_off.get(), all.data(), all.size(), MSG_NOSIGNAL), static_cast<ssize_t>(all.size()));
    ASSERT_TRUE(eventually([this] { return disk_->waiting() == 1; }));
  }
  NbdClient client(uri());
  const ByteVector newer(4096, std::byte{2});
  ASSERT_TRUE(client.write(8192, newer));
  disk_->release();
  ASSERT_TRUE(eventually([this] { return server_->counters().connections_open == 1; }));
  EXPECT_EQ(client.read(8192, 4096), newer);
}

TEST_F(ServerTest, FuaAndFlushReachTheExport) {
  start();
  NbdClient client(uri());
  ASSERT_TRUE(client.write(0, random_bytes(4096, 1), LIBNBD_CMD_FLAG_FUA));
  EXPECT_EQ(disk_->flushes(), 1U);
  ASSERT_EQ(nbd_flush(client.handle(), 0), 0);
  EXPECT_EQ(disk_->flushes(), 2U);
  ASSERT_EQ(nbd_cache(client.handle(), 4096, 0, 0), 0);
  EXPECT_EQ(disk_->prefetches(), 1U);
}

TEST_F(ServerTest, AWriteOnOneConnectionIsReadOnAnother) {
  start();
  NbdClient one(uri());
  NbdClient two(uri());
  EXPECT_EQ(nbd_can_multi_conn(one.handle()), 1);
  const ByteVector bytes = random_bytes(4096, 3);
  ASSERT_TRUE(one.write(8192, bytes));
  ASSERT_EQ(nbd_flush(two.handle(), 0), 0);
  EXPECT_EQ(two.read(8192, 4096), bytes);
}

TEST_F(ServerTest, ErrorsKeepTheirKind) {
  disk_->fail(0, 4096, ErrorCode::kIo);
  disk_->fail(4096, 4096, ErrorCode::kExhausted);
  disk_->fail(8192, 4096, ErrorCode::kBusy);
  start();
  NbdClient client(uri());
  const ByteVector block = random_bytes(4096, 1);
  EXPECT_FALSE(client.write(0, block));
  EXPECT_EQ(nbd_get_errno(), EIO);
  EXPECT_FALSE(client.write(4096, block));
  EXPECT_EQ(nbd_get_errno(), ENOSPC);
  EXPECT_FALSE(client.write(8192, block));
  EXPECT_EQ(nbd_get_errno(), ESHUTDOWN);
  EXPECT_FALSE(client.write(0, block, LIBNBD_CMD_FLAG_FUA));
  EXPECT_EQ(disk_->flushes(), 0U) << "a write that failed needs no flush";
  ByteVector out(4096);
  EXPECT_EQ(nbd_pread(client.handle(), out.data(), out.size(), 0, 0), -1);
  EXPECT_EQ(nbd_get_errno(), EIO);
  EXPECT_TRUE(client.write(12'288, block)) << "the connection goes on";
}

TEST_F(ServerTest, FastZeroIsRefusedWhereItWouldBeSlow) {
  start();
  NbdClient client(uri());
  EXPECT_EQ(nbd_zero(client.handle(), 4096, 4096, LIBNBD_CMD_FLAG_FAST_ZERO), 0);
  EXPECT_EQ(nbd_zero(client.handle(), 4096, 100, LIBNBD_CMD_FLAG_FAST_ZERO), -1);
  EXPECT_EQ(nbd_get_errno(), ENOTSUP);
}

TEST_F(ServerTest, BlockStatusTellsHolesAndDirtyBlocks) {
  start();
  NbdClient client(uri(), {"base:allocation", "ashlar:dirty"});
  ASSERT_TRUE(client.write(kMiB, random_bytes(kMiB, 1)));
  ASSERT_TRUE(client.trim(kMiB, 65'536));
  using Pieces = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
  EXPECT_EQ(client.status("base:allocation", 0, 4 * kMiB),
            (Pieces{{kMiB + 65'536, 3}, {kMiB - 65'536, 0}, {2 * kMiB, 3}}));
  EXPECT_EQ(client.status("ashlar:dirty", 0, 4 * kMiB), (Pieces{{kMiB, 0}, {kMiB, 1}, {2 * kMiB, 0}}));
  EXPECT_EQ(client.status("ashlar:dirty", 0, 4 * kMiB, LIBNBD_CMD_FLAG_REQ_ONE), (Pieces{{kMiB, 0}}));
}

TEST_F(ServerTest, ReadOnlyExportsRefuseChanges) {
  exports_.add("frozen", std::make_shared<MemoryExport>(kMiB, true));
  start();
  NbdClient client(uri("frozen"));
  EXPECT_EQ(nbd_is_read_only(client.handle()), 1);
  nbd_set_strict_mode(client.handle(), 0);
  EXPECT_FALSE(client.write(0, random_bytes(100'000, 1)));
  EXPECT_EQ(nbd_get_errno(), EPERM);
  EXPECT_FALSE(client.trim(0, 4096));
  EXPECT_EQ(client.read(0, 4096), ByteVector(4096)) << "the refused payload was skipped";
}

TEST_F(ServerTest, AHitIsNotBehindMisses) {
  disk_->hold(32 * kMiB, 16 * kMiB);
  start();
  NbdClient client(uri());
  const ByteVector hit = random_bytes(4096, 1);
  ASSERT_TRUE(client.write(0, hit));
  std::vector<ByteVector> misses(48, ByteVector(4096, std::byte{1}));
  for (std::size_t i = 0; i < misses.size(); ++i) client.start_read(32 * kMiB + i * 4096, misses[i]);
  client.send_all();
  while (disk_->waiting() < misses.size()) std::this_thread::yield();
  EXPECT_EQ(client.read(0, 4096), hit) << "on the same connection";
  EXPECT_EQ(NbdClient(uri()).read(0, 4096), hit) << "on another";
  EXPECT_EQ(disk_->waiting(), misses.size());
  disk_->release();
  client.finish_reads();
  for (const ByteVector& miss : misses) EXPECT_EQ(miss, ByteVector(4096));
}

TEST_F(ServerTest, RequestsAtDepthStayApart) {
  disk_->hold(8 * kMiB, 8 * kMiB);
  disk_->release();  // after this a second thread completes half of the disk's operations
  start();
  NbdClient client(uri());
  const ByteVector image = random_bytes(16 * kMiB, 7);
  ASSERT_TRUE(client.write(0, image));
  Prng random(11);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::pair<std::uint64_t, ByteVector>> reads;
    for (int i = 0; i < 64; ++i)
      reads.emplace_back(random.below(15 * kMiB), ByteVector(1 + random.below(65'536)));
    for (auto& [offset, out] : reads) client.start_read(offset, out);
    client.finish_reads();
    for (const auto& [offset, out] : reads) {
      ASSERT_TRUE(std::equal(out.begin(), out.end(), image.begin() + static_cast<std::ptrdiff_t>(offset)));
    }
  }
}

TEST_F(ServerTest, LargeReadsPastTheOutstandingLimitAllArrive) {
  NbdLimits limits;
  limits.outstanding_bytes = kMiB;
  limits.outstanding_requests = 4;
  start(limits);
  NbdClient client(uri());
  const ByteVector image = random_bytes(32 * kMiB, 7);
  ASSERT_TRUE(client.write(0, image));
  std::vector<ByteVector> parts(16, ByteVector(2 * kMiB));
  for (std::size_t i = 0; i < parts.size(); ++i) client.start_read(i * 2 * kMiB, parts[i]);
  client.finish_reads();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    ASSERT_TRUE(std::equal(parts[i].begin(), parts[i].end(),
                           image.begin() + static_cast<std::ptrdiff_t>(i * 2 * kMiB)));
  }
}

TEST_F(ServerTest, AnyFreePortOfTheLoopback) {
  server_ = must_start(exports_, TcpAddress{"127.0.0.1", 0});
  EXPECT_TRUE(server_->address().starts_with("nbd://127.0.0.1:")) << server_->address();
  NbdClient client(server_->address());
  const ByteVector bytes = random_bytes(5 * kMiB, 1);
  ASSERT_TRUE(client.write(0, bytes));
  EXPECT_TRUE(client.read(0, bytes.size()) == bytes);
}

TEST_F(ServerTest, TheSocketIsTheOwnersAlone) {
  const mode_t before = ::umask(0);
  start();
  ::umask(before);
  struct stat about {};
  ASSERT_EQ(::stat(socket().c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
  Result<std::unique_ptr<NbdServer>> second = NbdServer::start(exports_, UnixAddress{socket()});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), ErrorCode::kBusy);
  EXPECT_EQ(NbdClient(uri()).read(0, 10), ByteVector(10)) << "the first one still answers";
  server_.reset();
  EXPECT_FALSE(std::filesystem::exists(socket()));
}

TEST_F(ServerTest, AStaleSocketIsReplacedAndAFileIsNot) {
  {
    const UniqueFd left(bound_unix_socket(socket()));
    ASSERT_TRUE(left.valid());
  }
  ASSERT_TRUE(std::filesystem::exists(socket()));
  start();
  EXPECT_EQ(NbdClient(uri()).read(0, 10), ByteVector(10));
  const std::string file = directory_ / "file";
  std::ofstream(file) << "precious";
  EXPECT_FALSE(NbdServer::start(exports_, UnixAddress{file}).ok());
  EXPECT_TRUE(std::filesystem::is_regular_file(file));
}

TEST_F(ServerTest, AnInheritedSocketIsServedAndLeftInPlace) {
  UniqueFd fd(bound_unix_socket(socket()));
  ASSERT_EQ(::listen(fd.get(), 5), 0);
  server_ = must_start(exports_, InheritedSocket{std::move(fd)});
  EXPECT_EQ(server_->address(), "nbd+unix:///?socket=" + socket());
  EXPECT_EQ(NbdClient(uri()).read(0, 10), ByteVector(10));
  server_.reset();
  EXPECT_TRUE(std::filesystem::exists(socket()));
  EXPECT_FALSE(NbdServer::start(exports_, InheritedSocket{UniqueFd(::open("/dev/null", O_RDONLY))}).ok());
}

}  // namespace
}  // namespace ashlar
