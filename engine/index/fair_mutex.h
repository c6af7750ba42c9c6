// A shared mutex that lets nobody starve: whoever waits for exclusive use holds up those who come to share
// after it. (glibc's rwlock, behind std::shared_mutex, lets sharers pass for ever.) For std::shared_lock and
// std::unique_lock.
#pragma once

#include <mutex>
#include <shared_mutex>

namespace ashlar {

class FairSharedMutex {
 public:
  void lock() {
    const std::lock_guard turn(turnstile_);
    mutex_.lock();
  }
  void unlock() { mutex_.unlock(); }
  void lock_shared() {
    const std::lock_guard turn(turnstile_);
    mutex_.lock_shared();
  }
  void unlock_shared() { mutex_.unlock_shared(); }

 private:
  std::mutex turnstile_;
  std::shared_mutex mutex_;
};

}  // namespace ashlar
