// FetchGate: who may ask the store now, among all volumes of a process. Demand reads never wait here. What is
// expected (boot packs, traces) goes on beside them, with threads of its own; linear hydration gets its turn
// only while neither is at work.
#pragma once

#include <atomic>
#include <cstdint>

namespace ashlar {

class FetchGate {
 public:
  // A fetch that a reader waits for, or one that was foreseen, while it runs.
  class Scope {
   public:
    explicit Scope(std::atomic<std::uint32_t>& running, std::atomic<std::uint64_t>* begun)
        : running_(running) {
      ++running_;
      if (begun != nullptr) ++*begun;
    }
    ~Scope() { --running_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    std::atomic<std::uint32_t>& running_;
  };
  Scope demand() { return Scope(demand_, &demands_); }
  Scope expected() { return Scope(expected_, nullptr); }

  // Whether linear hydration may fetch: nobody is at work, and nobody missed since the caller last asked.
  bool is_quiet(std::uint64_t& demands_seen) const {
    const std::uint64_t demands = demands_.load();
    const bool none_since = demands == demands_seen;
    demands_seen = demands;
    return none_since && demand_.load() == 0 && expected_.load() == 0;
  }

 private:
  std::atomic<std::uint32_t> demand_{0};
  std::atomic<std::uint32_t> expected_{0};
  std::atomic<std::uint64_t> demands_{0};
};

}  // namespace ashlar
