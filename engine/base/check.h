// CHECK: a claim about our own code. When it is false the process stops; bad input is an Error instead.
#pragma once

namespace ashlar {

[[noreturn]] void check_failed(const char* belief, const char* file, int line);

}  // namespace ashlar

#define CHECK(belief) ((belief) ? static_cast<void>(0) : ::ashlar::check_failed(#belief, __FILE__, __LINE__))
