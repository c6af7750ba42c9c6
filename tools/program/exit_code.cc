#include "program/exit_code.h"

namespace ashlar {

ExitCode exit_code_of(const Error& error) {
  return error.code() == ErrorCode::kCorrupt ? ExitCode::kDamaged : ExitCode::kFailed;
}

}  // namespace ashlar
