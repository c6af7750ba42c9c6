#include "analyze/analyze.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>

#include "analyze/grain_study.h"
#include "base/threads.h"

namespace ashlar {
namespace {

// The runs of a source: those of its leaves that hold data, from front to back.
class LeafPlan {
 public:
  LeafPlan(Source& source, ByteCount size, AnalyzeProgress& progress, std::stop_token stop)
      : source_(source), size_(size.value), progress_(progress), stop_(std::move(stop)) {}

  Result<std::optional<RunRequest>> next() {
    const std::uint64_t before = at_;
    const bool found = TRY(skip_to_data());
    const std::uint64_t bytes = found ? std::min(kLeafBytes, size_ - at_) : 0;
    const RunRequest request{ordinal_, ByteOffset{at_}, ByteCount{bytes}};
    at_ += bytes;
    progress_.done_bytes += at_ - before;
    progress_.read_bytes += bytes;
    if (!found) return std::optional<RunRequest>();
    ++ordinal_;
    return std::optional(request);
  }

 private:
  Result<bool> skip_to_data() {
    std::uint64_t offset = at_;
    while (offset < size_) {
      if (stop_.stop_requested()) return cancelled();
      const SourceExtent extent = TRY(source_.next_extent(ByteOffset{offset}));
      if (extent.state == SourceState::kData) {
        at_ = std::max(at_, offset / kLeafBytes * kLeafBytes);
        return true;
      }
      offset = extent.offset.value + extent.bytes.value;
    }
    at_ = size_;
    return false;
  }

  Source& source_;
  std::uint64_t size_;
  AnalyzeProgress& progress_;
  std::stop_token stop_;
  std::uint64_t at_ = 0;  // a multiple of the leaf size, or the end
  std::uint64_t ordinal_ = 0;
};

// Studies one source with several threads. Runs arrive in any order and are decided in the order of the
// source: the thread that brings a missing run also decides those that waited for it. All threads compress.
class SourceStudy {
 public:
  SourceStudy(GrainStudy& study, RunReader& reader) : study_(study), reader_(reader) {}

  Status run(unsigned threads) {
    {
      std::vector<std::jthread> workers;
      for (unsigned i = 0; i < threads; ++i) workers.push_back(start_thread([this] { keep(work()); }));
    }
    const std::lock_guard lock(mutex_);
    if (failure_) return std::move(*failure_);
    return {};
  }

 private:
  struct HashedRun {
    Run run;
    BlockHashes hashes;
  };

  Status work() {
    ChunkCompressor compressor;
    for (;;) {
      if (std::optional<DecidedRun> decided = take_decided()) {
        TRY(study_.compress(*decided, compressor));
        continue;
      }
      if (has_failed()) return {};
      std::optional<Run> run = TRY(reader_.next());
      if (!run) return {};
      TRY(refuse_unreadable(*run));
      BlockHashes hashes = hash_run(run->bytes);
      arrive(HashedRun{std::move(*run), std::move(hashes)});
    }
  }

  static Status refuse_unreadable(const Run& run) {
    if (run.unreadable.empty()) return {};
    const BlockRange bad = run.unreadable.front();
    return Error(ErrorCode::kIo, fmt::format("{} bytes at offset {} can't be read: the medium lost them",
                                             byte_count(bad.count).value, byte_offset(bad.first).value));
  }

  std::optional<DecidedRun> take_decided() {
    const std::lock_guard lock(mutex_);
    if (decided_.empty() || failure_) return std::nullopt;
    std::optional<DecidedRun> first(std::move(decided_.front()));
    decided_.pop_front();
    return first;
  }

  void arrive(HashedRun hashed) {
    const std::lock_guard lock(mutex_);
    if (failure_) return;
    const std::uint64_t ordinal = hashed.run.ordinal;
    waiting_.emplace(ordinal, std::move(hashed));
    for (auto next = waiting_.find(turn_); next != waiting_.end(); next = waiting_.find(++turn_)) {
      decided_.push_back(study_.decide(std::move(next->second.run), next->second.hashes));
      waiting_.erase(next);
    }
  }

  bool has_failed() {
    const std::lock_guard lock(mutex_);
    return failure_.has_value();
  }

  void keep(Status status) {
    const std::lock_guard lock(mutex_);
    if (status.ok() || failure_) return;
    failure_ = status.take_error();
    waiting_.clear();  // returns their buffers, so that a thread that waits for one wakes up
    decided_.clear();
  }

  GrainStudy& study_;
  RunReader& reader_;
  std::mutex mutex_;
  std::map<std::uint64_t, HashedRun> waiting_;
  std::deque<DecidedRun> decided_;
  std::uint64_t turn_ = 0;
  std::optional<Error> failure_;
};

Status study_source(GrainStudy& study, Source& source, ByteCount size, unsigned threads,
                    AnalyzeProgress& progress, const std::stop_token& stop) {
  study.begin_source();
  LeafPlan plan(source, size, progress, stop);
  const std::unique_ptr<RunReader> reader = TRY(source.read([&plan] { return plan.next(); }));
  SourceStudy one(study, *reader);
  TRY(one.run(threads));
  ChunkCompressor compressor;
  return study.compress(study.end_source(), compressor);
}

}  // namespace

ByteCount GrainRow::sum() const { return std::accumulate(added.begin(), added.end(), ByteCount{}); }

Result<AnalyzeReport> analyze(std::span<const std::unique_ptr<Source>> sources, const AnalyzeOptions& options,
                              AnalyzeProgress& progress, std::stop_token stop) {
  AnalyzeReport report;
  for (const auto& source : sources) {
    const std::optional<ByteCount> size = source->size();
    if (!size) return invalid(source->name() + ": a stream can't be analyzed; save it to a file first");
    report.sources.push_back({source->name(), *size, {}});
    progress.total_bytes += size->value;
  }
  const unsigned threads =
      options.threads != 0 ? options.threads : std::max(1U, std::thread::hardware_concurrency());
  GrainStudy study(options.max_set_slots);
  for (std::size_t i = 0; i < sources.size(); ++i) {
    TRY(study_source(study, *sources[i], report.sources[i].size, threads, progress, stop)
            .with_context(sources[i]->name()));
  }
  const std::vector<std::uint64_t> data = study.data_bytes();
  for (std::size_t i = 0; i < sources.size(); ++i) report.sources[i].data_bytes = ByteCount{data[i]};
  report.rows = study.rows();
  return report;
}

}  // namespace ashlar
