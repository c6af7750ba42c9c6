// NbdBudget: the bytes that all connections of a server may keep for requests and replies.
//
// One half is divided into equal shares, one for each connection that may come; the other half is common. A
// request that still fits into its connection's share is never held up by others. Any other takes all of its
// bytes from the common half, and waits its turn, first come first served, while that is used up. A turn
// comes when the common half is not full, however large the request: so at most one request goes over, and
// none is passed by.
//
// Any thread.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "serve/nbd_completions.h"
#include "serve/nbd_limits.h"

namespace ashlar {

class NbdBudget {
 public:
  explicit NbdBudget(const NbdLimits& limits)
      : share_(limits.server_bytes / 2 / std::max<std::size_t>(limits.connections, 1)),
        common_(limits.server_bytes / 2) {}

  // Of one connection, which does its own sums.
  std::size_t share() const { return share_; }

  // Takes from the common half for a request. False: it waits; once the bytes are its own it is posted.
  bool take(NbdRequest* request, std::size_t bytes, const std::shared_ptr<NbdCompletions>& completions) {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty() && used_ < common_) {
      used_ += bytes;
      return true;
    }
    waiting_.push_back({request, bytes, completions});
    return false;
  }

  // True: the request waited and does so no more. False: it has its bytes, and is posted.
  bool cancel(const NbdRequest* request) {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                    [request](const Waiting& one) { return one.request == request; });
    if (found == waiting_.end()) return false;
    waiting_.erase(found);
    return true;
  }

  void give_back(std::size_t bytes) {
    std::vector<Waiting> served;
    {
      const std::lock_guard lock(mutex_);
      used_ -= bytes;
      while (!waiting_.empty() && used_ < common_) {
        used_ += waiting_.front().bytes;
        served.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
      }
    }
    for (const Waiting& one : served) one.completions->post(one.request);
  }

  std::size_t common_used() const {
    const std::lock_guard lock(mutex_);
    return used_;
  }
  std::size_t waiting() const {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
  }

 private:
  struct Waiting {
    NbdRequest* request;
    std::size_t bytes;
    std::shared_ptr<NbdCompletions> completions;
  };

  const std::size_t share_;
  const std::size_t common_;
  mutable std::mutex mutex_;
  std::size_t used_ = 0;  // of the common half; the last request in may have gone over it
  std::deque<Waiting> waiting_;
};

}  // namespace ashlar
