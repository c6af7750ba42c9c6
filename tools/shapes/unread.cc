#include "shapes/unread.h"

#include <algorithm>

#include "program/output.h"

namespace ashlar {

ExitCode name_unread(const std::vector<Error>& unread) {
  ExitCode code = ExitCode::kDone;
  for (const Error& error : unread) {
    print_warning(error.text());
    code = std::max(code, exit_code_of(error));
  }
  return code;
}

}  // namespace ashlar
