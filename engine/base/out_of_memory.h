// out_of_memory() and end_for(): for libraries that say by a null pointer that there is no memory.
#pragma once

#include <exception>
#include <new>
#include <stdexcept>

namespace ashlar {

// Does what operator new does when there is no memory: calls the new handler, else throws.
[[noreturn]] inline void out_of_memory() {
  if (const std::new_handler handler = std::get_new_handler()) handler();
  throw std::bad_alloc();
}

// Ends the program through std::terminate(), whose handler says why. For what no operation can do without,
// and what may be missing for another reason than memory.
[[noreturn]] inline void end_for(const char* why) noexcept {
  try {
    throw std::runtime_error(why);
  } catch (const std::runtime_error&) {
    std::terminate();
  }
}

}  // namespace ashlar
