// NbdCompletions: brings requests back from the threads of an export to the loop that owns them.
// Internal to the module.
//
// Any thread may call post(); all other calls are for the owner, the thread that called adopt(). A post by
// the owner itself takes no lock and wakes no thread: the owner looks at take() before it sleeps.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace ashlar {

struct NbdRequest;

class NbdCompletions {
 public:
  // Makes an empty queue. `wake` ends the owner's sleep; any thread may call it.
  explicit NbdCompletions(std::function<void()> wake) : wake_(std::move(wake)) {}

  void adopt() { owner_.store(std::this_thread::get_id()); }

  void post(NbdRequest* request) {
    if (owner_.load(std::memory_order_relaxed) == std::this_thread::get_id()) {
      own_.push_back(request);
      return;
    }
    bool asleep = false;
    {
      const std::lock_guard lock(mutex_);
      from_others_.push_back(request);
      asleep = std::exchange(asleep_, false);
    }
    if (asleep) wake_();
  }

  // Replaces `out` by the requests posted since the last call.
  void take(std::vector<NbdRequest*>& out) {
    out.clear();
    out.swap(own_);
    const std::lock_guard lock(mutex_);
    asleep_ = false;
    out.insert(out.end(), from_others_.begin(), from_others_.end());
    from_others_.clear();
  }

  // Returns true when the queue is empty; then the next post() from another thread calls `wake`.
  bool may_sleep() {
    if (!own_.empty()) return false;
    const std::lock_guard lock(mutex_);
    asleep_ = from_others_.empty();
    return asleep_;
  }

 private:
  const std::function<void()> wake_;
  std::atomic<std::thread::id> owner_;
  std::vector<NbdRequest*> own_;
  std::mutex mutex_;
  std::vector<NbdRequest*> from_others_;
  bool asleep_ = false;
};

}  // namespace ashlar
