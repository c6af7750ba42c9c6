// Tests of connections of one server on several loops.
#include <gtest/gtest.h>

#include "server_rig.h"

namespace ashlar {
namespace {

// A device with a write cache: a write is in the cache when it is answered, and on the medium when a flush
// that was sent later is answered. Threads of the device complete both after 200 µs.
class CachedExport : public Export {
 public:
  static constexpr std::uint64_t kBlocks = 64;

  ~CachedExport() override {
    for (std::thread& thread : threads_) thread.join();
  }
  ByteCount size() const override { return ByteCount{kBlocks * 4096}; }
  bool read_only() const override { return false; }
  void read(ByteOffset offset, MutableByteSpan out, Done done) override {
    {
      const std::lock_guard lock(mutex_);
      std::memset(out.data(), static_cast<int>(medium_[offset.value / 4096]), out.size());
    }
    done({});
  }
  void write(ByteOffset offset, ByteSpan bytes, Done done) override {
    later([this, offset, value = static_cast<unsigned>(bytes[0]), done] {
      {
        const std::lock_guard lock(mutex_);
        cached_[offset.value / 4096] = value;
      }
      done({});
    });
  }
  void flush(Done done) override {
    later([this, done] {
      {
        const std::lock_guard lock(mutex_);
        medium_ = cached_;
      }
      done({});
    });
  }
  void write_zeroes(ByteOffset, ByteCount, bool, Done done) override { done({}); }
  void trim(ByteOffset, ByteCount, Done done) override { done({}); }
  void prefetch(ByteOffset, ByteCount, Done done) override { done({}); }
  void extents(ByteOffset, ByteCount bytes, std::size_t, std::vector<ExportExtent>& out, Done done) override {
    out = {{bytes}};
    done({});
  }

 private:
  void later(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    threads_.emplace_back([work] {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      work();
    });
  }
  std::mutex mutex_;
  std::array<unsigned, kBlocks> cached_{};
  std::array<unsigned, kBlocks> medium_{};
  std::vector<std::thread> threads_;
};

class LoopsTest : public testing::Test {
 protected:
  void start(unsigned loops, NbdLimits limits = {}) {
    server_ = must_start(exports_, UnixAddress{directory_ / "sock"}, limits, nullptr, loops);
  }
  std::string uri() const { return "nbd+unix:///?socket=" + (directory_ / "sock"); }

  const TemporaryDirectory directory_;
  MemoryExports exports_;
  std::unique_ptr<NbdServer> server_;
};

TEST_F(LoopsTest, AFlushCoversWhatWasAnsweredOnOtherLoops) {
  exports_.add("", std::make_shared<CachedExport>());
  start(4);
  std::vector<std::unique_ptr<NbdClient>> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(std::make_unique<NbdClient>(uri()));
  for (unsigned round = 0; round < 100; ++round) {
    const std::uint64_t at = round % CachedExport::kBlocks * 4096;
    const ByteVector bytes(4096, std::byte(round + 1));
    ASSERT_TRUE(clients[round % 4]->write(at, bytes));
    ASSERT_EQ(nbd_flush(clients[(round + 1) % 4]->handle(), 0), 0);
    ASSERT_EQ(clients[(round + 2) % 4]->read(at, 4096), bytes) << round;
  }
}

TEST_F(LoopsTest, CountersAreSumsOverTheLoops) {
  exports_.add("", std::make_shared<MemoryExport>(64 * kMiB));
  start(3);
  EXPECT_EQ(server_->loops(), 3U);
  std::vector<std::thread> threads;
  std::atomic<bool> ending = false;
  std::thread reader([&] {
    for (std::uint64_t before = 0; !ending;) {
      const std::uint64_t now = server_->counters().reads;
      EXPECT_GE(now, before);
      before = now;
    }
  });
  for (unsigned c = 0; c < 6; ++c) {
    threads.emplace_back([&, c] {
      NbdClient client(uri());
      for (unsigned i = 0; i < 500; ++i) {
        EXPECT_TRUE(client.write(c * kMiB, random_bytes(4096, c)));
        EXPECT_EQ(client.read(c * kMiB, 4096), random_bytes(4096, c));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ending = true;
  reader.join();
  EXPECT_TRUE(eventually([&] { return server_->counters().connections_open == 0; }));
  const NbdCounts counts = server_->counters();
  EXPECT_EQ(counts.reads, 3000U);
  EXPECT_EQ(counts.writes, 3000U);
  EXPECT_EQ(counts.bytes_read, 3000U * 4096);
  EXPECT_EQ(counts.bytes_written, 3000U * 4096);
  EXPECT_EQ(counts.connections_accepted, 6U);
}

TEST_F(LoopsTest, TheLimitOfConnectionsIsThatOfTheServer) {
  exports_.add("", std::make_shared<MemoryExport>(kMiB));
  NbdLimits limits;
  limits.connections = 5;
  start(4, limits);
  std::vector<std::unique_ptr<NbdClient>> clients;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 5; ++i) clients.push_back(std::make_unique<NbdClient>(uri()));
    const UniqueFd sixth = connected_unix_socket(directory_ / "sock");
    EXPECT_TRUE(read_to_end(sixth.get()).empty());
    clients.clear();
    EXPECT_TRUE(eventually([&] { return server_->counters().connections_open == 0; }));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(server_->counters().connections_refused, 3U);
}

// Each loop has a named thread; the voluntary context switches of these threads show that both loops did
// work.
TEST_F(LoopsTest, ConnectionsAreSpread) {
  exports_.add("", std::make_shared<MemoryExport>(kMiB));
  start(2);
  std::vector<std::unique_ptr<NbdClient>> clients;
  for (int i = 0; i < 8; ++i) clients.push_back(std::make_unique<NbdClient>(uri()));
  for (int i = 0; i < 3000; ++i) clients[static_cast<std::size_t>(i) % 8]->read(0, 4096);
  std::map<std::string, std::uint64_t> switches;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::string line;
    std::getline(std::ifstream(task.path() / "comm"), name);
    std::ifstream status(task.path() / "status");
    while (std::getline(status, line)) {
      if (line.starts_with("voluntary_ctxt_switches:")) switches[name] = std::stoull(line.substr(24));
    }
  }
  EXPECT_GT(switches["nbd-loop-0"], 300U);
  EXPECT_GT(switches["nbd-loop-1"], 300U);
}

}  // namespace
}  // namespace ashlar
