// Tests of the memory that all connections of a server share.
#include <gtest/gtest.h>

#include "server_rig.h"
#include "support/nbd_peer.h"

namespace ashlar {
namespace {

constexpr std::uint32_t kHuge = 32U << 20U;

class BudgetTest : public testing::Test {
 protected:
  BudgetTest() { exports_.add("", disk_); }
  void start(NbdLimits limits) { server_ = must_start(exports_, UnixAddress{socket()}, limits, nullptr, 3); }
  std::string socket() const { return directory_ / "sock"; }
  std::string uri() const { return "nbd+unix:///?socket=" + socket(); }

  // Returns a raw connection that enters the transmission phase, sends these requests, and then neither sends
  // nor reads.
  UniqueFd mute(std::initializer_list<ByteVector> requests) const {
    UniqueFd fd = connected_unix_socket(socket());
    ByteVector all = nbd_client_flags();
    const auto add = [&all](const ByteVector& more) { all.insert(all.end(), more.begin(), more.end()); };
    add(nbd_option(nbd::Option::kGo, nbd_info_data("")));
    for (const ByteVector& request : requests) add(request);
    EXPECT_EQ(::send(fd.get(), all.data(), all.size(), MSG_NOSIGNAL), static_cast<ssize_t>(all.size()));
    return fd;
  }
  // Returns a raw connection that asks for 64 MiB and reads none of it.
  UniqueFd greedy() const {
    return mute(
        {nbd_request(nbd::Command::kRead, 1, 0, kHuge), nbd_request(nbd::Command::kRead, 2, 0, kHuge)});
  }
  UniqueFd announcing_a_write() const { return mute({nbd_request(nbd::Command::kWrite, 1, 0, kHuge)}); }

  const TemporaryDirectory directory_;
  std::shared_ptr<MemoryExport> disk_ = std::make_shared<MemoryExport>(64 * kMiB);
  MemoryExports exports_;
  std::unique_ptr<NbdServer> server_;
};

TEST_F(BudgetTest, ManyClientsThatTakeNothingStayWithinIt) {
  NbdLimits limits;
  limits.server_bytes = 128 * kMiB;
  limits.connections = 64;  // the share of each is 1 MiB
  start(limits);
  const std::size_t memory = resident_bytes();
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 40; ++i) clients.push_back(greedy());
  EXPECT_TRUE(eventually([&] { return server_->counters().requests_delayed >= 36; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  // The replies hold at most the common half (64 MiB) and one request more; each connection has 73 KiB of
  // input besides.
  EXPECT_LT(resident_bytes(), memory + 128 * kMiB);

  NbdClient good(uri());
  const ByteVector bytes = random_bytes(kMiB / 2, 1);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(good.write(0, bytes)) << "what fits into a share is not held up";
    ASSERT_TRUE(good.read(0, bytes.size()) == bytes);
  }
  ByteVector large(kHuge);
  good.start_read(0, large);
  good.send_all();
  clients.clear();
  good.finish_reads();
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), large.begin())) << "and the rest when its turn comes";
  EXPECT_TRUE(eventually([&] { return server_->counters().connections_open == 1; }));
}

TEST_F(BudgetTest, WhoHoldsMemoryAndDoesNothingGoesWhenOthersWaitForIt) {
  NbdLimits limits;
  limits.server_bytes = 192 * kMiB;  // the common half (96 MiB) is what these two clients hold
  limits.connections = 64;
  limits.stall_seconds = 0.3;
  start(limits);
  std::vector<UniqueFd> clients;
  clients.push_back(greedy());
  clients.push_back(announcing_a_write());
  const auto counts = [this] { return server_->counters(); };
  EXPECT_TRUE(eventually([&] { return counts().reads == 2 && counts().writes == 1; }));
  NbdClient idle(uri());  // holds no memory
  std::this_thread::sleep_for(std::chrono::seconds(1));
  EXPECT_EQ(counts().connections_open, 3U) << "while nobody waits";

  NbdClient good(uri());
  ByteVector large(kHuge);
  good.start_read(0, large);
  good.finish_reads();
  // The two stalled clients belong to different loops: the second is closed only if closing the first did not
  // free enough in time.
  EXPECT_GE(counts().stalled_connections_closed, 1U);
  EXPECT_EQ(counts().connections_open, 4U - counts().stalled_connections_closed);
  ByteVector small(4096);
  EXPECT_TRUE(idle.write(0, small));
}

// A client that takes its replies slowly but steadily stays; a client that sends one byte of its payload from
// time to time is closed.
TEST_F(BudgetTest, WhoMovesWhatItHoldsStaysAndWhoDripsGoes) {
  NbdLimits limits;
  limits.server_bytes = 192 * kMiB;
  limits.connections = 64;
  limits.stall_seconds = 2.5;
  start(limits);
  const UniqueFd steady = greedy();
  const UniqueFd dripping = announcing_a_write();
  EXPECT_TRUE(eventually([&] { return server_->counters().reads == 2 && server_->counters().writes == 1; }));
  ByteVector large(kHuge);
  NbdClient waiting(uri());
  waiting.start_read(0, large);
  waiting.send_all();
  EXPECT_TRUE(eventually([&] { return server_->counters().requests_delayed == 1; }));
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(9);
  std::vector<std::byte> part(64U << 10U);
  std::size_t got = 0;
  while (server_->counters().stalled_connections_closed == 0 && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    const ssize_t size = ::recv(steady.get(), part.data(), part.size(), 0);
    ASSERT_GT(size, 0) << "the steady one was closed";
    got += static_cast<std::size_t>(size);
    (void)::send(dripping.get(), part.data(), 1, MSG_NOSIGNAL);
  }
  EXPECT_EQ(server_->counters().stalled_connections_closed, 1U);
  waiting.finish_reads();
  EXPECT_GT(::recv(steady.get(), part.data(), part.size(), 0), 0);
  while (::send(dripping.get(), part.data(), 1, MSG_NOSIGNAL) > 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_GT(got, kMiB / 2);
}

TEST_F(BudgetTest, ClientsOnAllLoopsThatTakeTheirRepliesAllGetThem) {
  NbdLimits limits;
  limits.server_bytes = 8 * kMiB;
  start(limits);
  const ByteVector image = random_bytes(64 * kMiB, 1);
  {
    NbdClient writer(uri());
    for (std::uint64_t at = 0; at < image.size(); at += 8 * kMiB)
      ASSERT_TRUE(writer.write(at, ByteVector(image.begin() + static_cast<std::ptrdiff_t>(at),
                                              image.begin() + static_cast<std::ptrdiff_t>(at + 8 * kMiB))));
  }
  std::vector<std::thread> threads;
  for (unsigned c = 0; c < 8; ++c) {
    threads.emplace_back([&, c] {
      NbdClient client(uri());
      Prng random(c);
      for (int round = 0; round < 5; ++round) {
        std::vector<std::pair<std::uint64_t, ByteVector>> reads;
        for (int i = 0; i < 16; ++i)
          reads.emplace_back(random.below(60 * kMiB), ByteVector(1 + random.below(2 * kMiB)));
        for (auto& [offset, out] : reads) client.start_read(offset, out);
        client.finish_reads();
        for (const auto& [offset, out] : reads)
          EXPECT_TRUE(
              std::equal(out.begin(), out.end(), image.begin() + static_cast<std::ptrdiff_t>(offset)));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(server_->counters().requests_delayed, 0U);
}

TEST_F(BudgetTest, StoppingWithClientsThatWaitEnds) {
  NbdLimits limits;
  limits.server_bytes = 8 * kMiB;
  limits.drain_seconds = 0.3;
  start(limits);
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 10; ++i) clients.push_back(greedy());
  EXPECT_TRUE(eventually([&] { return server_->counters().requests_delayed >= 9; }));
  server_->stop();
  EXPECT_EQ(server_->counters().connections_open, 0U);
}

// The budget by itself, without threads: waiting requests are served in the order of asking, and a cancelled
// one does not block the rest.
TEST_F(BudgetTest, TurnsComeInTheOrderOfAsking) {
  NbdLimits limits;
  limits.server_bytes = 2000;
  NbdBudget budget(limits);
  const auto completions = std::make_shared<NbdCompletions>([] {});
  completions->adopt();
  std::array<NbdRequest, 4> requests;
  ASSERT_TRUE(budget.take(&requests[0], 5000, completions)) << "one may go over";
  for (std::size_t i = 1; i < 4; ++i) EXPECT_FALSE(budget.take(&requests[i], 600, completions));
  EXPECT_TRUE(budget.cancel(&requests[1]));
  EXPECT_FALSE(budget.cancel(&requests[0]));
  std::vector<NbdRequest*> served;
  budget.give_back(5000);
  completions->take(served);
  EXPECT_EQ(served, (std::vector<NbdRequest*>{&requests[2], &requests[3]})) << "600 of 1000, and one over";
  EXPECT_EQ(budget.common_used(), 1200U);
  budget.give_back(1200);
  EXPECT_EQ(budget.common_used(), 0U);
}

TEST_F(BudgetTest, AWriteThatWaitsTakesItsPayloadAfterwards) {
  NbdLimits limits;
  limits.server_bytes = 16384;
  limits.connections = 1;  // 8 KiB of its own, 8 KiB in common
  NbdPeer peer(exports_, limits);
  peer.enter(false);
  ASSERT_TRUE(peer.budget().take(nullptr, 8192, nullptr));
  ByteVector bytes = nbd_request(nbd::Command::kWrite, 1, 0, 20'000);
  bytes.resize(bytes.size() + 20'000, std::byte{7});
  const ByteVector next = nbd_request(nbd::Command::kRead, 2, 0, 4096);
  bytes.insert(bytes.end(), next.begin(), next.end());
  peer.feed(bytes);
  EXPECT_EQ(peer.budget().waiting(), 1U);
  EXPECT_EQ(peer.received_bytes(), 0U) << "what comes behind it waits, too";
  peer.budget().give_back(8192);
  peer.finish();
  EXPECT_EQ(peer.received_bytes(), 16U + 16 + 4096);
  EXPECT_EQ(peer.take_received().back(), std::byte{7});
  EXPECT_EQ(peer.budget().common_used(), 0U);
}

}  // namespace
}  // namespace ashlar
