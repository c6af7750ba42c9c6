// Tests of the figures of analyze against a plain study that keeps every chunk whole and compresses it at
// once.
#include "analyze/analyze.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zstd.h>

#include <filesystem>
#include <set>
#include <string>

#include "analyze/grain_study.h"
#include "analyze/sampled_set.h"
#include "base/random.h"
#include "base/unique_fd.h"

namespace ashlar {
namespace {

namespace fs = std::filesystem;

class Analyze : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "ashlar-analyze-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, ByteSpan bytes) {
    const std::string path = (folder_ / name).string();
    const UniqueFd fd(::open(path.c_str(), O_CREAT | O_WRONLY, 0600));
    EXPECT_EQ(::write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    return path;
  }

  static AnalyzeReport run(const std::vector<std::string>& paths, const AnalyzeOptions& options = {}) {
    std::vector<std::unique_ptr<Source>> sources;
    for (const std::string& path : paths) sources.push_back(open_source(path, {}).take());
    AnalyzeProgress progress;
    auto report = analyze(sources, options, progress, {});
    EXPECT_TRUE(report.ok()) << report.error().text();
    EXPECT_EQ(progress.done_bytes, progress.total_bytes);
    return report.take();
  }

  fs::path folder_;
};

// Makes an image of blocks from a small pool, so that they repeat; they are like text, so that they compress.
// A quarter of it is zeros, in ranges long enough to empty whole chunks of every grain but the largest.
ByteVector random_image(Prng& prng, std::uint64_t bytes) {
  ByteVector image(bytes);
  for (std::uint64_t at = 0; at < bytes;) {
    const std::uint64_t stretch = (1 + prng.below(80)) * kBlockBytes;
    const bool zeros = prng.below(4) == 0;
    for (const std::uint64_t end = std::min(bytes, at + stretch); at < end; at += kBlockBytes) {
      if (zeros) continue;
      Prng block(prng.below(700));
      for (std::uint64_t i = at; i < std::min(bytes, at + kBlockBytes); ++i)
        image[i] = static_cast<std::byte>('a' + block.below(5));
    }
  }
  return image;
}

// Returns the non-zero chunks of the image, each as one string; the last block is padded with zeros.
std::vector<std::string> chunks_of(const ByteVector& image, std::uint64_t grain) {
  ByteVector padded = image;
  padded.resize(blocks_covering(ByteCount{image.size()}).value * kBlockBytes);
  std::vector<std::string> chunks;
  for (std::uint64_t at = 0; at < padded.size(); at += grain) {
    const ByteSpan chunk = ByteSpan(padded).subspan(at, std::min<std::uint64_t>(grain, padded.size() - at));
    if (!is_zero(chunk)) chunks.emplace_back(as_text(chunk));
  }
  return chunks;
}

std::uint64_t compressed(const std::string& chunk) {
  std::string out(ZSTD_compressBound(chunk.size()), '\0');
  return std::min(ZSTD_compress(out.data(), out.size(), chunk.data(), chunk.size(), 1), chunk.size());
}

TEST_F(Analyze, EveryGrainCountsWhatAPlainStudyCounts) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Prng prng(seed);
    std::vector<ByteVector> images;
    std::vector<std::string> paths;
    for (const std::uint64_t extra : {0U, 1000U, 5000U}) {
      images.push_back(random_image(prng, (9 << 20) + extra));
      paths.push_back(write(std::to_string(seed) + "-" + std::to_string(extra), images.back()));
    }
    const AnalyzeReport report = run(paths);
    ASSERT_EQ(report.rows.size(), 6U);
    for (std::size_t row = 0; row < 5; ++row) {
      std::set<std::string> met;
      for (std::size_t i = 0; i < images.size(); ++i) {
        std::uint64_t stored = 0;
        for (const std::string& chunk : chunks_of(images[i], report.rows[row].grain.value))
          if (met.insert(chunk).second) stored += compressed(chunk);
        EXPECT_EQ(report.rows[row].added[i].value, stored) << report.rows[row].name << ", image " << i;
      }
      EXPECT_EQ(report.rows[row].sample, 1U);
    }
  }
}

TEST_F(Analyze, TheEnginesRowIsNewBlocksInFramesPlusLittle) {
  Prng prng(7);
  const ByteVector image = random_image(prng, 11 << 20);
  const AnalyzeReport report = run({write("a", image), write("again", image)});
  std::set<std::string> met;
  std::string arrived;
  for (const std::string& block : chunks_of(image, kBlockBytes))
    if (met.insert(block).second) arrived += block;
  std::uint64_t stored = arrived.size() / kBlockBytes * 32;
  for (std::size_t at = 0; at < arrived.size(); at += kFrameBytes)
    stored += 16 + compressed(arrived.substr(at, kFrameBytes));

  const GrainRow& row = report.rows[kEngineRow];
  EXPECT_EQ(row.name, "ashlar");
  EXPECT_EQ(row.added_unique[0].value, arrived.size());
  EXPECT_GE(row.added[0].value, stored);
  EXPECT_LE(row.added[0].value, stored + 3 * 8192) << "three leaves";
  EXPECT_EQ(row.added_unique[1].value, 0U);
  EXPECT_EQ(row.added[1].value, 0U) << "an image that is there already adds nothing, not even leaves";
  EXPECT_EQ(row.sum().value, row.added[0].value);
}

TEST_F(Analyze, ThreadsDoNotChangeTheFigures) {
  Prng prng(11);
  const std::vector<std::string> paths = {write("a", random_image(prng, 30 << 20)),
                                          write("b", random_image(prng, 17 << 20))};
  const AnalyzeReport one = run(paths, {.threads = 1});
  const AnalyzeReport eight = run(paths, {.threads = 8});
  for (std::size_t row = 0; row < one.rows.size(); ++row) {
    EXPECT_EQ(one.rows[row].added, eight.rows[row].added) << one.rows[row].name;
    EXPECT_EQ(one.rows[row].added_unique, eight.rows[row].added_unique) << one.rows[row].name;
  }
}

TEST_F(Analyze, HolesAreFree) {
  const std::string path = write("sparse", ByteVector(kBlockBytes, std::byte{'x'}));
  ASSERT_EQ(::truncate(path.c_str(), off_t{1} << 42), 0) << "4 TiB";
  const AnalyzeReport report = run({path});
  EXPECT_EQ(report.sources[0].size.value, std::uint64_t{1} << 42U);
  EXPECT_EQ(report.sources[0].data_bytes.value, kBlockBytes);
  EXPECT_EQ(report.rows[0].added_unique[0].value, kBlockBytes);
}

TEST_F(Analyze, AnEmptyFileAddsNothing) {
  const AnalyzeReport report = run({write("empty", {})});
  for (const GrainRow& row : report.rows) EXPECT_EQ(row.sum().value, 0U) << row.name;
}

TEST_F(Analyze, PastTheBoundTheFiguresAreEstimates) {
  // The image is 12,288 distinct blocks, given twice; a set of 1024 slots holds 768, so a sample is taken.
  ByteVector image(48 << 20);
  Prng(5).fill(image);
  const std::vector<std::string> paths = {write("a", image), write("again", image)};
  const AnalyzeReport report = run(paths, {.max_set_slots = 1024});
  for (const std::size_t row : {std::size_t{0}, kEngineRow}) {
    EXPECT_GE(report.rows[row].sample, 16U);
    const double estimate = static_cast<double>(report.rows[row].added_unique[0].value);
    EXPECT_NEAR(estimate / static_cast<double>(image.size()), 1.0, 0.2) << report.rows[row].name;
    EXPECT_LT(report.rows[row].added_unique[1].value, image.size() / 100) << "the sample is found again";
  }
  EXPECT_EQ(report.rows[4].sample, 1U);
  EXPECT_EQ(report.rows[4].added_unique[0].value, image.size());
}

TEST_F(Analyze, AStoppedAnalysisSaysSo) {
  std::vector<std::unique_ptr<Source>> sources;
  sources.push_back(open_source(write("a", ByteVector(1 << 20, std::byte{1})), {}).take());
  AnalyzeProgress progress;
  std::stop_source stop;
  stop.request_stop();
  const auto report = analyze(sources, {}, progress, stop.get_token());
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code(), ErrorCode::kCancelled);
}

TEST(SampledSet, IsExactUntilItIsFull) {
  SampledSet set(1024);
  Prng prng(3);
  std::vector<std::uint64_t> hashes;
  for (int i = 0; i < 700; ++i) hashes.push_back(prng.next() | 1U);
  for (const std::uint64_t hash : hashes) EXPECT_EQ(set.insert(hash), SampledSet::Answer::kNew);
  for (const std::uint64_t hash : hashes) EXPECT_EQ(set.insert(hash), SampledSet::Answer::kKnown);
  EXPECT_EQ(set.sample(), 1U);
}

TEST(SampledSet, KeepsItsBoundAndItsSample) {
  SampledSet set(1024);
  Prng prng(4);
  std::vector<std::uint64_t> hashes;
  for (int i = 0; i < 100'000; ++i) hashes.push_back(prng.next() | 1U);
  for (const std::uint64_t hash : hashes) set.insert(hash);
  EXPECT_LT(set.size(), 768U);
  std::uint64_t known = 0;
  for (const std::uint64_t hash : hashes) {
    const SampledSet::Answer answer = set.insert(hash);
    EXPECT_NE(answer, SampledSet::Answer::kNew);
    if (answer == SampledSet::Answer::kKnown) ++known;
  }
  EXPECT_EQ(known, set.size());
  EXPECT_NEAR(static_cast<double>(known * set.sample()), 100'000.0, 20'000.0);
}

}  // namespace
}  // namespace ashlar
