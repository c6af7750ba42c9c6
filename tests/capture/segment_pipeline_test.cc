// Tests of the segment pipeline: segments lie in packs in the order in which they were sealed, the first
// error ends it, and the number of segments in it is bounded.
#include "capture/segment_pipeline.h"

#include <gtest/gtest.h>

#include <chrono>

#include "support/forwarding_objects.h"
#include "support/store_rig.h"

namespace ashlar {
namespace {

// A store whose new objects wait at a gate before each append, or fail at the append number `fails_at`.
class GatedObjects : public ForwardingObjects {
 public:
  using ForwardingObjects::ForwardingObjects;

  Result<std::unique_ptr<ObjectWriter>> create(std::string_view key) override {
    return std::unique_ptr<ObjectWriter>(
        std::make_unique<Writer>(*this, TRY(ForwardingObjects::create(key))));
  }
  void close_gate() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  void open_gate() {
    const std::lock_guard lock(mutex_);
    closed_ = false;
    opened_.notify_all();
  }
  std::atomic<int> appends{0};
  int fails_at = -1;

 private:
  class Writer : public ObjectWriter {
   public:
    Writer(GatedObjects& objects, std::unique_ptr<ObjectWriter> inner)
        : objects_(objects), inner_(std::move(inner)) {}
    Status append(ByteSpan bytes) override {
      std::unique_lock lock(objects_.mutex_);
      objects_.opened_.wait(lock, [&] { return !objects_.closed_; });
      if (objects_.appends++ == objects_.fails_at) return Error(ErrorCode::kExhausted, "the disk is full");
      return inner_->append(bytes);
    }
    Status finish() override { return inner_->finish(); }

   private:
    GatedObjects& objects_;
    std::unique_ptr<ObjectWriter> inner_;
  };

  std::mutex mutex_;
  std::condition_variable opened_;
  bool closed_ = false;
};

class Pipelined : public testing::Test {
 protected:
  void SetUp() override {
    errors_.on_failure([this] { pipeline_->cancel(); });
    pipeline_ = std::make_unique<SegmentPipeline>(appender_, 16, 1, 4, errors_, stored_bytes_);
  }
  // Returns a segment of a few blocks; every third takes longer to compress than the others.
  static SealedSegment segment(std::uint64_t ordinal) {
    return sealed_segment(seeds_from(1000 * ordinal, ordinal % 3 == 0 ? 200 : 2), ordinal);
  }

  StoreRig store_;
  GatedObjects objects_{store_.objects()};
  PackAppender appender_{objects_, store_.index(), StoreRig::id(), StoreRig::session()};
  FirstError errors_;
  std::atomic<std::uint64_t> stored_bytes_{0};
  std::unique_ptr<SegmentPipeline> pipeline_;
};

TEST_F(Pipelined, SegmentsLieInTheOrderInWhichTheyWereSealed) {
  std::vector<SegmentId> pushed;
  for (std::uint64_t i = 0; i < 40; ++i) {
    SealedSegment next = segment(i);
    pushed.push_back(next.id);
    expect_ok(pipeline_->push(std::move(next)));
  }
  expect_ok(pipeline_->flush());
  std::vector<SegmentId> stored;
  for (const SegmentEntry& entry : expect_ok(store_.index().pack_segments(store_.place_of(pushed[0]).pack)))
    stored.push_back(entry.id);
  EXPECT_EQ(stored, pushed);
  EXPECT_EQ(stored_bytes_, appender_.stored_bytes());
  EXPECT_GT(stored_bytes_, 0U);
}

TEST_F(Pipelined, AFlushPublishesWhatWasPushedAndAnEmptyOneReturns) {
  expect_ok(pipeline_->flush());
  for (std::uint64_t round = 0; round < 5; ++round) {
    SealedSegment next = segment(round);
    const SegmentId id = next.id;
    expect_ok(pipeline_->push(std::move(next)));
    expect_ok(pipeline_->flush());
    const auto place = expect_ok(store_.index().find_segment(id));
    ASSERT_TRUE(place) << "round " << round;
    std::vector<std::byte> blocks(200 * kBlockBytes);
    const auto located = expect_ok(store_.segments().locate(id));
    const std::size_t count = located->directory.blocks.size();
    expect_ok(store_.segments().read(*located, 0, count, MutableByteSpan(blocks).first(count * kBlockBytes)));
    EXPECT_TRUE(bytes_equal(ByteSpan(blocks).first(kBlockBytes), block_of(1000 * round)));
    expect_ok(pipeline_->flush());
  }
}

TEST_F(Pipelined, TheNumberOfSegmentsInItIsBounded) {
  objects_.close_gate();
  std::atomic<std::uint64_t> pushed{0};
  std::jthread pusher([&] {
    for (std::uint64_t i = 0; i < 30; ++i) {
      expect_ok(pipeline_->push(segment(i)));
      ++pushed;
    }
  });
  while (pushed < SegmentPipeline::kInFlight) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(pushed, SegmentPipeline::kInFlight);
  objects_.open_gate();
  pusher.join();
  EXPECT_EQ(pushed, 30U);
}

TEST_F(Pipelined, TheFirstErrorWinsAndEndsEveryCall) {
  objects_.fails_at = 4;
  Status pushed;
  for (std::uint64_t i = 0; pushed.ok() && i < 100; ++i) pushed = pipeline_->push(segment(i));
  ASSERT_FALSE(pushed.ok());
  EXPECT_EQ(pushed.error().code(), ErrorCode::kCancelled);
  const Status flushed = pipeline_->flush();
  ASSERT_FALSE(flushed.ok());
  EXPECT_EQ(flushed.error().code(), ErrorCode::kCancelled);
  pipeline_.reset();
  const Status first = errors_.take();
  ASSERT_FALSE(first.ok());
  EXPECT_EQ(first.error().text(), "the disk is full");
  EXPECT_TRUE(expect_ok(list_packs(store_.objects(), PackKind::kData)).empty());
}

TEST_F(Pipelined, AFlushThatWaitsIsWokenByTheError) {
  objects_.close_gate();
  objects_.fails_at = 0;
  expect_ok(pipeline_->push(segment(0)));
  std::jthread failing([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    objects_.open_gate();
  });
  EXPECT_FALSE(pipeline_->flush().ok());
}

TEST_F(Pipelined, ACancelledPipelinePublishesNothing) {
  objects_.close_gate();
  expect_ok(pipeline_->push(segment(0)));
  pipeline_->cancel();
  EXPECT_FALSE(pipeline_->push(segment(1)).ok());
  EXPECT_FALSE(pipeline_->flush().ok());
  objects_.open_gate();
  pipeline_.reset();
  EXPECT_TRUE(expect_ok(list_packs(store_.objects(), PackKind::kData)).empty());
}

}  // namespace
}  // namespace ashlar
