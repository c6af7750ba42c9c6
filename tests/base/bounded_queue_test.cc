#include "base/bounded_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace ashlar {
namespace {

TEST(BoundedQueue, KeepsTheOrderAndDrainsAfterClose) {
  BoundedQueue<int> queue(3);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(queue.push(i));
  queue.close();
  EXPECT_FALSE(queue.push(3));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(queue.pop(), i);
  EXPECT_EQ(queue.pop(), std::nullopt);
}

TEST(BoundedQueue, CancelDropsWhatIsQueued) {
  BoundedQueue<std::unique_ptr<int>> queue(3);
  EXPECT_TRUE(queue.push(std::make_unique<int>(1)));
  queue.cancel();
  EXPECT_FALSE(queue.push(std::make_unique<int>(2)));
  EXPECT_EQ(queue.pop(), std::nullopt);
}

TEST(BoundedQueue, NeverHoldsMoreThanItsCapacity) {
  constexpr int kItems = 20'000;
  BoundedQueue<int> queue(4);
  std::atomic<int> pushed{0};
  std::atomic<int> popped{0};
  std::atomic<long> sum{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&, t] {
        for (int i = t; i < kItems; i += 2) {
          ASSERT_TRUE(queue.push(i));
          // At most four items are queued; each of two popping threads may hold one that it has not counted
          // yet, and each of two pushing threads may have pushed one.
          EXPECT_LE(pushed.fetch_add(1) + 1 - popped.load(), 4 + 2 + 2);
        }
      });
      threads.emplace_back([&] {
        while (const auto item = queue.pop()) {
          sum += *item;
          if (popped.fetch_add(1) + 1 == kItems) queue.close();
        }
      });
    }
  }
  EXPECT_EQ(popped.load(), kItems);
  EXPECT_EQ(sum.load(), static_cast<long>(kItems) * (kItems - 1) / 2);
}

TEST(BoundedQueue, CloseAndCancelWakeWhoWaits) {
  for (const bool cancel : {false, true}) {
    BoundedQueue<int> full(1);
    BoundedQueue<int> empty(1);
    ASSERT_TRUE(full.push(1));
    std::atomic<int> refused{0};
    std::jthread pusher([&] { refused += full.push(2) ? 0 : 1; });
    std::jthread popper([&] { refused += empty.pop() ? 0 : 1; });
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    cancel ? full.cancel() : full.close();
    cancel ? empty.cancel() : empty.close();
    pusher.join();
    popper.join();
    EXPECT_EQ(refused.load(), 2);
  }
}

}  // namespace
}  // namespace ashlar
