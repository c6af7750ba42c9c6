// NbdBudget: the bytes that all connections of a server may keep for requests and replies.
// Internal to the module.
//
// The first half is divided into equal shares, one for each connection that limits allow; the other half is
// common. A request that still fits into its connection's share never waits for others. Any other takes all
// of its bytes from the common half; while that is used up, requests wait for it in the order in which they
// came. A request is served when the common half is not full, however large the request is: so at most one
// request goes over the limit, and a large request is not overtaken.
//
// With 512 MiB and 128 connections a share is 2 MiB and the common half 256 MiB. Any thread.
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

  // Returns the share of one connection, which counts by itself what it uses of it.
  std::size_t share() const { return share_; }

  // Takes bytes from the common half for a request. Returns false when the request has to wait: it is posted
  // to `completions` once the bytes are its own.
  bool take(NbdRequest* request, std::size_t bytes, const std::shared_ptr<NbdCompletions>& completions) {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty() && used_ < common_) {
      used_ += bytes;
      return true;
    }
    waiting_.push_back({request, bytes, completions});
    return false;
  }

  // Removes a request that waits, and returns true. Returns false when the request has its bytes and is
  // posted.
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
  std::size_t used_ = 0;  // of the common half; the request served last may have gone over it
  std::deque<Waiting> waiting_;
};

}  // namespace ashlar
