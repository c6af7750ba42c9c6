// FairSharedMutex: a shared mutex without starvation. While a thread waits for exclusive use, threads that
// ask for shared use later wait too. (The rwlock of glibc, on which std::shared_mutex is built, lets readers
// pass a waiting writer for ever.) Works with std::shared_lock and std::unique_lock. Internal to the module.
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
