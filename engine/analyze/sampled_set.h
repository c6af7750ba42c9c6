// SampledSet: a set of 64-bit hashes of bounded size. Internal to the module.
//
// While all hashes fit, every hash is kept and answers are exact. When the set is full it drops about half of
// its hashes: from then on it holds and answers only hashes whose top `shift` bits are zero, a sample of 1 in
// 2^shift. The sample is chosen by value, so a hash that occurs again is in the sample again. Sums over
// answered hashes, times sample(), estimate the whole.
//
// 8 bytes per slot, at most 3/4 of the slots used. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ashlar {

class SampledSet {
 public:
  // Creates a set. `max_slots` is a power of two, at least 16.
  explicit SampledSet(std::size_t max_slots);

  enum class Answer : unsigned char { kNew, kKnown, kNotSampled };
  // Adds a hash, which must not be 0, and returns whether it was new.
  Answer insert(std::uint64_t hash);

  // Returns 1 while answers are exact; later, the set answers 1 hash in this many.
  std::uint64_t sample() const { return std::uint64_t{1} << shift_; }
  std::size_t size() const { return used_; }

 private:
  bool in_sample(std::uint64_t hash) const { return shift_ == 0 || hash >> (64U - shift_) == 0; }
  std::uint64_t& slot_of(std::uint64_t hash);
  void make_room();
  void refill(std::size_t slots);

  std::vector<std::uint64_t> slots_;  // open addressing; 0 marks a free slot
  std::size_t max_slots_;
  std::size_t used_ = 0;
  unsigned shift_ = 0;
};

}  // namespace ashlar
