// Hints: what a user of this program can do about an error of the engine. The engine names the situation
// (ErrorKind) and the thing; commands and options are named here alone.
#pragma once

#include <string>

#include "base/result.h"

namespace ashlar {

// Returns the advice for an error, as the end of a sentence: "'ashlar image list' lists them". Empty when
// there is none.
std::string hint_of(const Error& error);

}  // namespace ashlar
