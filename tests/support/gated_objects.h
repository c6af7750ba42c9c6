// Gate and GatedObjects: several actors, each on a thread of its own, take turns at a store. An actor waits
// before every operation on an object until the gate lets it pass, in an order that a seed decides. So an
// actor may sleep between any two operations while all others go on. Answers of writes are lost at random:
// the write was done, was never done, or is done at any later time.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "base/random.h"
#include "support/forwarding_objects.h"

namespace ashlar {

class Gate {
 public:
  explicit Gate(std::uint64_t seed) : prng_(seed) {}

  // Runs the actors to their ends, one operation at a time.
  void run(const std::vector<std::function<void(std::size_t actor)>>& actors) {
    asleep_until_.assign(actors.size(), 0);
    waiting_.assign(actors.size(), false);
    running_ = actors.size();
    live_ = actors.size();
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < actors.size(); ++i) {
      threads.emplace_back([this, &actors, i] {
        actors[i](i);
        const std::lock_guard lock(mutex_);
        --running_;
        --live_;
        changed_.notify_all();
      });
    }
    std::unique_lock lock(mutex_);
    while (live_ > 0) {
      changed_.wait(lock, [&] { return running_ == 0 || live_ == 0; });
      if (live_ > 0) let_one_pass();
    }
  }
  // Called by an actor before an operation.
  void enter(std::size_t actor) {
    std::unique_lock lock(mutex_);
    waiting_[actor] = true;
    --running_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !waiting_[actor]; });
  }
  // Keeps a write for a later time; the actor that sent it hears that there was no answer.
  void send_later(std::function<void()> write) {
    const std::lock_guard lock(mutex_);
    late_.push_back(std::move(write));
  }
  void finish_late_writes() {
    for (const auto& write : std::exchange(late_, {})) write();
  }
  // A number below `bound`, of the seed; for the actor whose turn it is.
  std::uint64_t below(std::uint64_t bound) {
    const std::lock_guard lock(mutex_);
    return prng_.below(bound);
  }

 private:
  void let_one_pass() {
    ++step_;
    if (!late_.empty() && prng_.below(8) == 0) {
      const auto at = late_.begin() + static_cast<std::ptrdiff_t>(prng_.below(late_.size()));
      (*at)();
      late_.erase(at);
    }
    std::vector<std::size_t> awake;
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < waiting_.size(); ++i) {
      if (!waiting_[i]) continue;
      all.push_back(i);
      if (asleep_until_[i] <= step_) awake.push_back(i);
    }
    const auto& from = awake.empty() ? all : awake;
    const std::size_t chosen = from[prng_.below(from.size())];
    if (prng_.below(20) == 0) asleep_until_[chosen] = step_ + 30 + prng_.below(300);
    waiting_[chosen] = false;
    ++running_;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  Prng prng_;
  std::vector<bool> waiting_;
  std::vector<std::uint64_t> asleep_until_;
  std::vector<std::function<void()>> late_;
  std::size_t running_ = 0;  // actors between two operations
  std::size_t live_ = 0;     // actors that have not ended
  std::uint64_t step_ = 0;
};

// The store as one actor sees it.
class GatedObjects : public ForwardingObjects {
 public:
  GatedObjects(ObjectStore& inner, Gate& gate, std::size_t actor, bool loses_answers)
      : ForwardingObjects(inner), inner_(inner), gate_(gate), actor_(actor), loses_answers_(loses_answers) {}
  using ForwardingObjects::put_if_absent;
  using ForwardingObjects::remove;
  using ForwardingObjects::replace;

  // From now on nothing of this actor reaches the store: it was killed.
  void die() { is_dead_ = true; }
  bool is_dead() const { return is_dead_; }

  Result<std::unique_ptr<ObjectWriter>> create(std::string_view key) override {
    TRY(pass());
    return ForwardingObjects::create(key);
  }
  Result<std::shared_ptr<ObjectReader>> open(std::string_view key, ReadMode mode) override {
    TRY(pass());
    return ForwardingObjects::open(key, mode);
  }
  Result<ObjectInfo> stat(std::string_view key) override {
    TRY(pass());
    return ForwardingObjects::stat(key);
  }
  Status ensure_durable(std::span<const std::string> keys) override {
    TRY(pass());
    return ForwardingObjects::ensure_durable(keys);
  }
  Status list(std::string_view prefix, const std::function<Status(const ObjectInfo&)>& visit) override {
    TRY(pass());
    return ForwardingObjects::list(prefix, visit);
  }
  Status remove(std::string_view key, Lasts lasts) override {
    return write([&inner = inner_, key = std::string(key), lasts] { return inner.remove(key, lasts); });
  }
  Status put_if_absent(std::string_view key, ByteSpan bytes, Lasts lasts) override {
    return write([&inner = inner_, key = std::string(key), bytes = copy_of(bytes), lasts] {
      return inner.put_if_absent(key, bytes, lasts);
    });
  }
  Status replace(std::string_view key, ByteSpan expected, ByteSpan bytes, Lasts lasts) override {
    return write([&inner = inner_, key = std::string(key), expected = copy_of(expected),
                  bytes = copy_of(bytes), lasts] { return inner.replace(key, expected, bytes, lasts); });
  }

 private:
  static ByteVector copy_of(ByteSpan bytes) { return {bytes.begin(), bytes.end()}; }

  Status pass() {
    if (!is_dead_) gate_.enter(actor_);
    return is_dead_ ? Status(Error(ErrorCode::kIo, "dead")) : Status();
  }
  Status write(const std::function<Status()>& act) {
    TRY(pass());
    const std::uint64_t luck = loses_answers_ ? gate_.below(100) : 99;
    if (luck < 3) best_effort(act());
    if (luck >= 3 && luck < 7) gate_.send_later([act] { best_effort(act()); });
    if (luck < 8) return Error(ErrorCode::kIo, "no answer");
    return act();
  }

  ObjectStore& inner_;
  Gate& gate_;
  const std::size_t actor_;
  const bool loses_answers_;
  bool is_dead_ = false;
};

}  // namespace ashlar
