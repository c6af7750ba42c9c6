// FetchGate: the order in which all volumes of a process ask the store. Demand reads never wait here. Fetches
// of expected regions (boot packs, traces) run beside them, in threads of their own; linear hydration gets
// its turn only while neither is running. Internal to the module.
#pragma once

#include <atomic>
#include <cstdint>

namespace ashlar {

class FetchGate {
 public:
  // A running fetch that a reader waits for, or that was foreseen.
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

  // Returns whether linear hydration may fetch: no fetch is running, and no read missed since the caller last
  // asked.
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
