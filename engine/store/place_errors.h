// PlaceErrors: the errors met while something was looked for in several places, and which of them to return.
#pragma once

#include <cerrno>
#include <optional>

#include "base/result.h"

namespace ashlar {

// Returns whether an error says that the bytes are not there, or are others.
inline bool says_lost(const Error& error) {
  return error.code() == ErrorCode::kCorrupt || error.code() == ErrorCode::kNotFound;
}

// Returns whether a writer may store the bytes again instead of relying on a place with this error: it is
// damaged, gone, or on a medium that fails. Other errors say nothing about the place.
inline bool is_not_to_rely_on(const Error& error) { return says_lost(error) || error.error_number() == EIO; }

class PlaceErrors {
 public:
  void note(Error error) {
    auto& first = says_lost(error) ? lost_ : error.error_number() == EIO ? medium_ : doubt_;
    if (!first) first = std::move(error);
  }
  bool any() const { return lost_ || medium_ || doubt_; }
  bool has_doubt() const { return doubt_ || medium_; }
  // Returns the first error that is a doubt, else the first of a medium that fails, else the first that is a
  // loss. Needs any().
  const Error& decisive() const { return doubt_ ? *doubt_ : medium_ ? *medium_ : *lost_; }

 private:
  std::optional<Error> lost_;
  std::optional<Error> medium_;  // EIO: the place can't be read, and others may be sound
  std::optional<Error> doubt_;
};

}  // namespace ashlar
