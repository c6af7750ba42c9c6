#include "base/result.h"

#include <cstdio>
#include <cstdlib>
#include <system_error>

#include "base/check.h"

namespace ashlar {

void check_failed(const char* belief, const char* file, int line) {
  std::fprintf(stderr, "ashlar: %s:%d: a belief of the program is false: %s\n", file, line, belief);
  std::abort();
}

std::string_view error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kIo:
      return "io";
    case ErrorCode::kCorrupt:
      return "corrupt";
    case ErrorCode::kNotFound:
      return "not_found";
    case ErrorCode::kExhausted:
      return "exhausted";
    case ErrorCode::kInvalid:
      return "invalid";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kBusy:
      return "busy";
    case ErrorCode::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

Error Error::from_errno(int error_number, std::string text) {
  ErrorCode code = ErrorCode::kIo;
  if (error_number == ENOSPC || error_number == EDQUOT || error_number == ENOMEM)
    code = ErrorCode::kExhausted;
  if (error_number == ENOENT) code = ErrorCode::kNotFound;
  Error error(code, std::move(text) + ": " + std::generic_category().message(error_number));
  error.body_->error_number = error_number;
  return error;
}

Error Error::with_context(std::string_view context) && {
  body_->text.insert(0, std::string(context) + ": ");
  return std::move(*this);
}

}  // namespace ashlar
