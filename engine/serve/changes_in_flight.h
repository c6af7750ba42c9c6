// ChangesInFlight: writes, trims and zeroes of one export that were begun and are not done yet.
// Internal to the module.
//
// A client that lost its connection connects a second time and repeats the requests that were not answered;
// what it sends after that is newer. An old change that is done late would undo newer ones. So a new
// connection waits until every change that was begun before it, on any connection, is done; and an old
// connection whose client is gone begins no change once a newer connection exists. Any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <set>

namespace ashlar {

class ChangesInFlight {
 public:
  using Ticket = std::uint64_t;  // ascending

  Ticket begin() {
    const std::lock_guard lock(mutex_);
    in_flight_.insert(in_flight_.end(), ++last_);
    return last_;
  }
  void end(Ticket ticket) {
    const std::lock_guard lock(mutex_);
    in_flight_.erase(ticket);
  }

  // Returns the number of a new connection; numbers ascend as connections begin.
  std::uint64_t begin_connection() {
    const std::lock_guard lock(mutex_);
    return ++connections_;
  }
  bool has_newer_connection(std::uint64_t number) const {
    const std::lock_guard lock(mutex_);
    return connections_ > number;
  }

  // Returns the newest change that is not done; nullopt when all are.
  std::optional<Ticket> last() const {
    const std::lock_guard lock(mutex_);
    if (in_flight_.empty()) return std::nullopt;
    return *in_flight_.rbegin();
  }
  bool done_up_to(Ticket ticket) const {
    const std::lock_guard lock(mutex_);
    return in_flight_.empty() || *in_flight_.begin() > ticket;
  }

 private:
  mutable std::mutex mutex_;
  std::set<Ticket> in_flight_;
  Ticket last_ = 0;
  std::uint64_t connections_ = 0;
};

}  // namespace ashlar
