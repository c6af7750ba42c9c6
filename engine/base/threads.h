// start_thread(): a thread that an operation can't do without.
#pragma once

#include <exception>
#include <system_error>
#include <thread>
#include <utility>

#include "base/result.h"

namespace ashlar {

// Starts a thread. When the system refuses one, the program ends through std::terminate(): an exception would
// unwind into destructors that wait for threads, which themselves wait for the one that is missing. Nothing
// is lost by that, as by a kill.
template <class Work>
std::jthread start_thread(Work&& work) noexcept {
  try {
    return std::jthread(std::forward<Work>(work));
  } catch (const std::system_error&) {
    std::terminate();  // from here the terminate handler sees the exception
  }
}

// Starts a thread that its caller can do without, or fails with kExhausted.
template <class Work>
Result<std::jthread> try_start_thread(Work&& work) {
  try {
    return std::jthread(std::forward<Work>(work));
  } catch (const std::system_error& refused) {
    return Error(ErrorCode::kExhausted, refused.what());
  }
}

}  // namespace ashlar
