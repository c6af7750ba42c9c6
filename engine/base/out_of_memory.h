// out_of_memory(): for libraries that say by a null pointer that there is no memory.
#pragma once

#include <new>

namespace ashlar {

// Does what operator new does when there is no memory: calls the new handler, else throws.
[[noreturn]] inline void out_of_memory() {
  if (const std::new_handler handler = std::get_new_handler()) handler();
  throw std::bad_alloc();
}

}  // namespace ashlar
