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

Error Error::from_errno(int error_number, std::string text) {
  ErrorCode code = ErrorCode::kIo;
  if (error_number == ENOSPC || error_number == EDQUOT || error_number == ENOMEM)
    code = ErrorCode::kExhausted;
  if (error_number == ENOENT) code = ErrorCode::kNotFound;
  return Error(Body{code,
                    ErrorKind::kNone,
                    error_number,
                    std::move(text) + ": " + std::generic_category().message(error_number),
                    {}});
}

Error Error::with_context(std::string_view context) const {
  return with_text(std::string(context) + ": " + body_->text);
}

Error Error::with_text(std::string text) const {
  Body body = *body_;
  body.text = std::move(text);
  return Error(std::move(body));
}

Error Error::about(ErrorKind kind, std::string id) const {
  Body body = *body_;
  body.kind = kind;
  body.id = std::move(id);
  return Error(std::move(body));
}

}  // namespace ashlar
