// SampledSet: a set of 64-bit hashes that never outgrows its bound.
//
// While it fits, every hash is kept and answers are exact. A full set halves what it keeps: from then on only
// hashes whose top `shift` bits are zero are held and answered, a sample of 1 in 2^shift by value, so a hash
// that is met again is in the sample again. Sums over answered hashes, times sample(), estimate the whole.
//
// 8 bytes a slot, at most 3/4 of the slots used. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ashlar {

class SampledSet {
 public:
  // `max_slots` is a power of two, at least 16.
  explicit SampledSet(std::size_t max_slots);

  enum class Answer : unsigned char { kNew, kKnown, kNotSampled };
  // Adds a hash that is not 0.
  Answer insert(std::uint64_t hash);

  // 1 while exact, else the set answers 1 in this many.
  std::uint64_t sample() const { return std::uint64_t{1} << shift_; }
  std::size_t size() const { return used_; }

 private:
  bool in_sample(std::uint64_t hash) const { return shift_ == 0 || hash >> (64U - shift_) == 0; }
  std::uint64_t& slot_of(std::uint64_t hash);
  void make_room();
  void refill(std::size_t slots);

  std::vector<std::uint64_t> slots_;  // open addressing, 0 is free
  std::size_t max_slots_;
  std::size_t used_ = 0;
  unsigned shift_ = 0;
};

}  // namespace ashlar
