// Tests of clients that are slow, many, silent or gone, and of a server that is stopped while they are
// connected.
#include <gtest/gtest.h>

#include "server_rig.h"
#include "support/nbd_peer.h"

namespace ashlar {
namespace {

using namespace std::chrono_literals;

class HostileTest : public testing::Test {
 protected:
  HostileTest() { exports_.add("", disk_); }
  void start(NbdLimits limits = {}) { server_ = must_start(exports_, UnixAddress{socket()}, limits); }
  std::string socket() const { return directory_ / "sock"; }
  std::string uri() const { return "nbd+unix:///?socket=" + socket(); }

  // Returns a raw connection in the transmission phase.
  UniqueFd enter() const {
    UniqueFd fd = connected_unix_socket(socket());
    send_all(fd, nbd_client_flags());
    send_all(fd, nbd_option(nbd::Option::kGo, nbd_info_data("")));
    // MSG_WAITALL does not help: it may stop between two messages of a unix socket.
    ByteVector answer(18 + 20 + 12 + 20 + 14 + 20);
    std::size_t have = 0;
    for (ssize_t got = 1; got > 0 && have < answer.size();
         have += static_cast<std::size_t>(std::max(got, ssize_t{0})))
      got = ::recv(fd.get(), answer.data() + have, answer.size() - have, 0);
    EXPECT_EQ(have, answer.size());
    return fd;
  }
  static void send_all(const UniqueFd& fd, const ByteVector& bytes) {
    // A socket with a time limit takes a part when its buffer is full.
    for (ByteSpan rest = bytes; !rest.empty();) {
      const ssize_t sent = ::send(fd.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
      ASSERT_GT(sent, 0);
      rest = rest.subspan(static_cast<std::size_t>(sent));
    }
  }

  const TemporaryDirectory directory_;
  std::shared_ptr<MemoryExport> disk_ = std::make_shared<MemoryExport>(64 * kMiB);
  MemoryExports exports_;
  std::unique_ptr<NbdServer> server_;
};

TEST_F(HostileTest, AThousandIdleConnections) {
  if (!allow_open_files(1500)) GTEST_SKIP() << "needs 1500 open files";
  start();
  NbdClient before(uri());
  const std::size_t memory = resident_bytes();
  std::vector<UniqueFd> idle;
  for (int i = 0; i < 1000; ++i) idle.push_back(connected_unix_socket(socket()));
  EXPECT_TRUE(eventually([&] {
    return server_->counters().connections_refused + server_->counters().connections_accepted == 1001;
  }));
  EXPECT_EQ(server_->counters().connections_open, 128U);
  EXPECT_LT(resident_bytes(), memory + 32 * kMiB);
  EXPECT_EQ(before.read(0, 4096), ByteVector(4096)) << "who is in stays in";
  EXPECT_TRUE(read_to_end(idle.back().get()).empty()) << "who is too many is let go at once";
  idle.clear();
  EXPECT_TRUE(eventually([&] { return server_->counters().connections_open == 1; }));
  EXPECT_EQ(NbdClient(uri()).read(0, 10), ByteVector(10)) << "there is room again";
}

TEST_F(HostileTest, AHandshakeThatTakesTooLongIsEnded) {
  NbdLimits limits;
  limits.handshake_seconds = 0.2;
  start(limits);
  NbdClient good(uri());
  const UniqueFd silent = connected_unix_socket(socket());
  const UniqueFd slow = connected_unix_socket(socket());
  const ByteVector flags = nbd_client_flags();
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(::send(slow.get(), flags.data() + i, 1, MSG_NOSIGNAL), 1);
    std::this_thread::sleep_for(50ms);
  }
  EXPECT_EQ(read_to_end(silent.get()).size(), 18U) << "the greeting, and then the end";
  EXPECT_EQ(read_to_end(slow.get()).size(), 18U);
  EXPECT_EQ(server_->counters().handshakes_timed_out, 2U);
  std::this_thread::sleep_for(300ms);
  EXPECT_EQ(good.read(0, 10), ByteVector(10)) << "after the handshake a client may be as slow as it likes";
}

TEST_F(HostileTest, AClientThatVanishesLeavesNothingBehind) {
  disk_->hold(0, kMiB);
  start();
  for (int round = 0; round < 10; ++round) {
    const UniqueFd fd = enter();
    for (std::uint64_t i = 0; i < 16; ++i) send_all(fd, nbd_request(nbd::Command::kRead, i, i * 4096, 4096));
    ByteVector half = nbd_request(nbd::Command::kWrite, 99, 0, kMiB);
    half.resize(half.size() + 300'000);
    send_all(fd, half);
    EXPECT_TRUE(eventually([&] { return disk_->waiting() == 16U * static_cast<unsigned>(round + 1); }));
  }
  EXPECT_TRUE(eventually([&] { return server_->counters().reads == 160; }));
  EXPECT_EQ(server_->counters().connections_open, 10U) << "their requests are in the export";
  disk_->release();
  EXPECT_TRUE(eventually([&] { return server_->counters().connections_open == 0; }));
  EXPECT_EQ(NbdClient(uri()).read(0, 10), ByteVector(10));
}

TEST_F(HostileTest, AClientThatTakesNoRepliesIsHeldAtTheLimit) {
  NbdLimits limits;
  limits.outstanding_bytes = 4 * kMiB;
  start(limits);
  NbdClient good(uri());
  ASSERT_TRUE(good.write(0, random_bytes(kMiB, 1)));
  const std::size_t memory = resident_bytes();
  const UniqueFd greedy = enter();
  for (std::uint64_t i = 0; i < 200; ++i) send_all(greedy, nbd_request(nbd::Command::kRead, i, 0, kMiB));
  EXPECT_TRUE(eventually([&] { return server_->counters().reads >= 4; }));
  std::this_thread::sleep_for(200ms);
  EXPECT_LE(server_->counters().reads, 10U);
  EXPECT_LT(resident_bytes(), memory + 32 * kMiB);
  EXPECT_TRUE(good.read(0, kMiB) == random_bytes(kMiB, 1));
}

TEST_F(HostileTest, AHalfClosedClientStillGetsItsAnswers) {
  disk_->hold(0, kMiB);
  start();
  const UniqueFd fd = enter();
  for (std::uint64_t i = 0; i < 4; ++i) send_all(fd, nbd_request(nbd::Command::kRead, i, 0, 4096));
  ::shutdown(fd.get(), SHUT_WR);
  EXPECT_TRUE(eventually([&] { return disk_->waiting() == 4; }));
  disk_->release();
  EXPECT_EQ(read_to_end(fd.get()).size(), 4U * (16 + 4096));
}

TEST_F(HostileTest, StopAnswersWhatIsInFlightAndNothingElse) {
  disk_->hold(0, kMiB);
  start();
  const UniqueFd fd = enter();
  const UniqueFd handshaking = connected_unix_socket(socket());
  for (std::uint64_t i = 0; i < 8; ++i) send_all(fd, nbd_request(nbd::Command::kRead, i, i * 4096, 4096));
  EXPECT_TRUE(eventually([&] { return disk_->waiting() == 8; }));
  std::thread stopping([&] { server_->stop(); });
  EXPECT_EQ(read_to_end(handshaking.get()).size(), 18U);
  EXPECT_TRUE(eventually([&] { return server_->counters().connections_open == 1; }));
  disk_->release();
  EXPECT_EQ(read_to_end(fd.get()).size(), 8U * (16 + 4096));
  stopping.join();
  EXPECT_EQ(server_->counters().connections_open, 0U);
  server_->stop();
}

TEST_F(HostileTest, StopDoesNotWaitForEverForAClientThatTakesNothing) {
  NbdLimits limits;
  limits.drain_seconds = 0.3;
  start(limits);
  ASSERT_TRUE(NbdClient(uri()).write(0, random_bytes(8 * kMiB, 1)));
  const UniqueFd greedy = enter();
  send_all(greedy, nbd_request(nbd::Command::kRead, 1, 0, 8 * kMiB));
  EXPECT_TRUE(eventually([&] { return server_->counters().bytes_read == 8 * kMiB; }));
  const auto begin = std::chrono::steady_clock::now();
  server_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 8s);
}

TEST_F(HostileTest, StopIsHeardAtAnyMoment) {
  for (int i = 0; i < 300; ++i) {
    start();
    if (i % 3 == 1) std::this_thread::sleep_for(std::chrono::microseconds(i));
    std::optional<NbdClient> client;
    if (i % 3 == 2) {
      client.emplace(uri());
      EXPECT_EQ(client->read(0, 10), ByteVector(10));
    }
    server_->stop();
    EXPECT_TRUE(eventually([&] { return server_->counters().connections_open == 0; })) << "round " << i;
    server_.reset();
  }
}

TEST_F(HostileTest, StoppingAndStartingUnderClientsThatReconnect) {
  std::atomic<bool> ending = false;
  std::atomic<int> answered = 0;
  disk_->hold(kMiB, kMiB);
  disk_->release();
  start();
  std::vector<std::thread> clients;
  for (int c = 0; c < 4; ++c) {
    clients.emplace_back([&, c] {
      ByteVector out(64 * 1024);
      while (!ending) {
        nbd_handle* handle = nbd_create();
        bool good = nbd_connect_uri(handle, uri().c_str()) == 0;
        for (unsigned i = 0; good && !ending; ++i) {
          good = nbd_pread(handle, out.data(), out.size(), (i % 32) * out.size() + static_cast<unsigned>(c),
                           0) == 0;
          if (good) ++answered;
        }
        nbd_close(handle);
      }
    });
  }
  for (int round = 0; round < 10; ++round) {
    const int before = answered;
    EXPECT_TRUE(eventually([&] { return answered > before + 20; })) << "round " << round;
    server_.reset();
    start();
  }
  ending = true;
  for (std::thread& client : clients) client.join();
}

// Random bytes, alone and after a valid handshake, end their connections; the server keeps running.
TEST_F(HostileTest, NoiseEndsConnectionsAndNotTheServer) {
  NbdLimits limits;
  limits.handshake_seconds = 1;
  start(limits);
  const std::uint64_t seed = random_u64();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  Prng random(seed);
  for (int round = 0; round < 300; ++round) {
    const UniqueFd fd = round % 2 == 0 ? connected_unix_socket(socket()) : enter();
    ByteVector noise = random_bytes(1 + random.below(5000), random.next());
    if (round % 4 == 1) {
      const ByteVector head =
          nbd_request(nbd::Command{static_cast<std::uint16_t>(random.below(9))}, 1, random.below(64 * kMiB),
                      static_cast<std::uint32_t>(random.below(9000)));
      std::copy_n(head.begin(), std::min(head.size(), noise.size()), noise.begin());
    }
    ::send(fd.get(), noise.data(), noise.size(), MSG_NOSIGNAL);
  }
  EXPECT_TRUE(eventually([&] { return server_->counters().connections_open == 0; }));
  EXPECT_EQ(NbdClient(uri()).read(0, 10).size(), 10U);
}

}  // namespace
}  // namespace ashlar
