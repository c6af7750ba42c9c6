// MemoryExport: a sparse export in memory. A test can make parts of it slow (a thread of the export completes
// their operations when the test lets it) or bad (their operations fail).
#pragma once

#include <algorithm>
#include <array>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "serve/export.h"

namespace ashlar {

class MemoryExport : public Export {
 public:
  explicit MemoryExport(std::uint64_t bytes, bool is_read_only = false)
      : size_(bytes), read_only_(is_read_only) {}
  ~MemoryExport() override {
    release();
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  // Makes operations that touch the range wait until release().
  void hold(std::uint64_t offset, std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    slow_.push_back({offset, offset + bytes});
    holding_ = true;
    if (!thread_.joinable()) thread_ = std::thread([this] { complete_slow(); });
  }
  // Lets the export's thread complete what waits, and what comes later, without delay.
  void release() {
    const std::lock_guard lock(mutex_);
    holding_ = false;
    changed_.notify_all();
  }
  // Makes operations that touch the range fail with `code`.
  void fail(std::uint64_t offset, std::uint64_t bytes, ErrorCode code) {
    const std::lock_guard lock(mutex_);
    bad_.emplace_back(Range{offset, offset + bytes}, code);
  }
  std::size_t waiting() {
    const std::lock_guard lock(mutex_);
    return jobs_.size();
  }
  std::size_t flushes() {
    const std::lock_guard lock(mutex_);
    return flushes_;
  }
  std::size_t prefetches() {
    const std::lock_guard lock(mutex_);
    return prefetches_;
  }

  ByteCount size() const override { return ByteCount{size_}; }
  bool read_only() const override { return read_only_; }

  void read(ByteOffset offset, MutableByteSpan out, Done done) override {
    run(offset.value, out.size(), std::move(done), [this, offset, out] { copy_out(offset.value, out); });
  }
  void write(ByteOffset offset, ByteSpan bytes, Done done) override {
    run(offset.value, bytes.size(), std::move(done), [this, offset, bytes] { copy_in(offset.value, bytes); });
  }
  void write_zeroes(ByteOffset offset, ByteCount bytes, bool may_unmap, Done done) override {
    run(offset.value, bytes.value, std::move(done),
        [this, offset, bytes, may_unmap] { zero(offset.value, bytes.value, may_unmap); });
  }
  void trim(ByteOffset offset, ByteCount bytes, Done done) override {
    write_zeroes(offset, bytes, true, std::move(done));
  }
  void flush(Done done) override {
    {
      const std::lock_guard lock(mutex_);
      ++flushes_;
    }
    done({});
  }
  void prefetch(ByteOffset offset, ByteCount bytes, Done done) override {
    run(offset.value, bytes.value, std::move(done), [this] { ++prefetches_; });
  }

  void extents(ByteOffset offset, ByteCount bytes, std::size_t most, std::vector<ExportExtent>& out,
               Done done) override {
    run(offset.value, bytes.value, std::move(done),
        [this, offset, bytes, most, &out] { out = list_extents(offset, bytes, most); });
  }

 private:
  using Block = std::array<std::byte, kBlockBytes>;
  std::vector<ExportExtent> list_extents(ByteOffset offset, ByteCount bytes, std::size_t most) const {
    std::vector<ExportExtent> found;
    const std::uint64_t end = offset.value + bytes.value;
    for (std::uint64_t at = offset.value; at < end && found.size() < most;) {
      const std::uint64_t block = at / kBlockBytes;
      const auto held = blocks_.find(block);
      std::uint64_t next = (block + 1) * kBlockBytes;
      if (held == blocks_.end() && !dirty_.contains(block)) next = next_known(block) * kBlockBytes;
      next = std::min(next, end);
      const bool hole = held == blocks_.end();
      found.push_back({ByteCount{next - at}, hole, hole, dirty_.contains(block)});
      at = next;
    }
    return found;
  }

  struct Range {
    std::uint64_t begin;
    std::uint64_t end;
    bool touches(std::uint64_t offset, std::uint64_t bytes) const {
      return begin < offset + bytes && offset < end;
    }
  };

  std::uint64_t next_known(std::uint64_t block) const {
    const auto held = blocks_.upper_bound(block);
    const auto dirty = dirty_.upper_bound(block);
    const std::uint64_t end = blocks_covering(size()).value;
    return std::min(held == blocks_.end() ? end : held->first, dirty == dirty_.end() ? end : *dirty);
  }

  const ErrorCode* failure(std::uint64_t offset, std::uint64_t bytes) const {
    for (const auto& [range, code] : bad_) {
      if (range.touches(offset, bytes)) return &code;
    }
    return nullptr;
  }

  template <class Work>
  void run(std::uint64_t offset, std::uint64_t bytes, Done done, Work work) {
    std::unique_lock lock(mutex_);
    const auto attempt = [this, offset, bytes, work]() -> Status {
      if (const ErrorCode* code = failure(offset, bytes)) return Error(*code, "a bad range");
      work();
      return {};
    };
    const bool slow =
        std::any_of(slow_.begin(), slow_.end(), [&](const Range& r) { return r.touches(offset, bytes); });
    if (slow) {
      jobs_.push_back({attempt, std::move(done)});
      changed_.notify_all();
      return;
    }
    Status status = attempt();
    lock.unlock();
    done(std::move(status));
  }

  struct Job {
    std::function<Status()> attempt;
    Done done;
  };

  void complete_slow() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return ending_ || (!holding_ && !jobs_.empty()); });
      if (jobs_.empty()) return;
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      Status status = job.attempt();
      lock.unlock();
      job.done(std::move(status));
      lock.lock();
    }
  }

  // Calls `part(block, first byte in it, bytes, bytes before)` for each block of a range.
  template <class Part>
  static void each_block(std::uint64_t offset, std::uint64_t bytes, Part part) {
    for (std::uint64_t done = 0; done < bytes;) {
      const std::uint64_t at = (offset + done) % kBlockBytes;
      const std::uint64_t size = std::min(kBlockBytes - at, bytes - done);
      part((offset + done) / kBlockBytes, at, size, done);
      done += size;
    }
  }

  void copy_out(std::uint64_t offset, MutableByteSpan out) {
    each_block(offset, out.size(), [&](auto block, auto at, auto size, auto done) {
      const auto held = blocks_.find(block);
      if (held == blocks_.end()) {
        std::memset(out.data() + done, 0, size);
      } else {
        std::memcpy(out.data() + done, held->second.data() + at, size);
      }
    });
  }
  void copy_in(std::uint64_t offset, ByteSpan bytes) {
    each_block(offset, bytes.size(), [&](auto block, auto at, auto size, auto done) {
      std::memcpy(blocks_[block].data() + at, bytes.data() + done, size);
      dirty_.insert(block);
    });
  }
  void zero(std::uint64_t offset, std::uint64_t bytes, bool may_unmap) {
    each_block(offset, bytes, [&](auto block, auto at, auto size, auto) {
      dirty_.insert(block);
      if (may_unmap && size == kBlockBytes) {
        blocks_.erase(block);
      } else if (blocks_.contains(block) || !may_unmap) {
        std::memset(blocks_[block].data() + at, 0, size);
      }
    });
  }

  const std::uint64_t size_;
  const bool read_only_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, Block> blocks_;
  std::set<std::uint64_t> dirty_;
  std::vector<Range> slow_;
  std::vector<std::pair<Range, ErrorCode>> bad_;
  std::deque<Job> jobs_;
  std::size_t flushes_ = 0;
  std::size_t prefetches_ = 0;
  bool holding_ = false;
  bool ending_ = false;
  std::thread thread_;
};

class MemoryExports : public ExportList {
 public:
  void add(const std::string& name, std::shared_ptr<Export> exported) {
    const std::lock_guard lock(mutex_);
    exports_[name] = std::move(exported);
  }
  std::vector<std::string> names() override {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> all;
    for (const auto& [name, exported] : exports_) all.push_back(name);
    return all;
  }
  Result<std::shared_ptr<Export>> find(const std::string& name) override {
    const std::lock_guard lock(mutex_);
    const auto found = exports_.find(name);
    if (found == exports_.end()) return not_found("no export " + name);
    return found->second;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Export>> exports_;
};

}  // namespace ashlar
