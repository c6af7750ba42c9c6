// uninterrupted: makes a system call again that a signal has interrupted before it did anything.
#pragma once

#include <cerrno>

namespace ashlar {

// Calls `call` until it returns something else than -1 with EINTR, and returns that. POSIX lets open,
// ftruncate, fsync and fdatasync be interrupted; file systems over a network or in user space do it. An
// interrupted sync has reported nothing about the bytes, so it may be repeated; a sync that failed may not.
template <class Call>
int uninterrupted(const Call& call) {
  for (;;) {
    const int result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

}  // namespace ashlar
