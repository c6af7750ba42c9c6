// Result<T>: a value or an Error. The only way a function of the engine fails.
//
// An Error says what kind of failure it was (ErrorCode decides what a caller may do), the errno if the
// system gave one, and one line of text. Callers add context on the way up; the outermost part comes first:
// "capture /dev/sdb: read 4096 bytes at 1048576: Input/output error".
//
// TRY(expr) yields the value of a Result or returns its error from the enclosing function.
#pragma once

#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"

namespace ashlar {

enum class ErrorCode : unsigned char {
  kIo,           // the system refused or failed an operation
  kCorrupt,      // stored bytes are not what was stored
  kNotFound,     // the named thing does not exist
  kExhausted,    // no space, memory or budget left
  kInvalid,      // the caller's input is wrong
  kUnsupported,  // a newer format, or something this build or host can't do
  kBusy,         // somebody else holds it, or doing it now would be unsafe
  kCancelled,    // the user stopped it
};

std::string_view error_code_name(ErrorCode code);

class [[nodiscard]] Error {
 public:
  Error(ErrorCode code, std::string text) : body_(std::make_unique<Body>(Body{code, 0, std::move(text)})) {}

  // An error of a system call; ENOSPC and EDQUOT become kExhausted, ENOENT kNotFound, the rest kIo.
  static Error from_errno(int error_number, std::string text);

  ErrorCode code() const { return body_->code; }
  int error_number() const { return body_->error_number; }
  const std::string& text() const { return body_->text; }

  Error with_context(std::string_view context) &&;

 private:
  struct Body {
    ErrorCode code;
    int error_number;
    std::string text;
  };
  std::unique_ptr<Body> body_;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit by design
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit by design

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return CHECK(ok()), std::get<0>(state_); }
  const T& value() const& { return CHECK(ok()), std::get<0>(state_); }
  T take() { return CHECK(ok()), std::move(std::get<0>(state_)); }

  const Error& error() const { return CHECK(!ok()), std::get<1>(state_); }
  Error take_error() { return CHECK(!ok()), std::move(std::get<1>(state_)); }

  Result with_context(std::string_view context) && {
    if (ok()) return std::move(*this);
    return take_error().with_context(context);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit by design

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  void take() { CHECK(ok()); }

  const Error& error() const { return CHECK(!ok()), *error_; }
  Error take_error() { return CHECK(!ok()), std::move(*error_); }

  Result with_context(std::string_view context) && {
    if (ok()) return {};
    return take_error().with_context(context);
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

inline Error invalid(std::string text) { return {ErrorCode::kInvalid, std::move(text)}; }
inline Error corrupt(std::string text) { return {ErrorCode::kCorrupt, std::move(text)}; }
inline Error not_found(std::string text) { return {ErrorCode::kNotFound, std::move(text)}; }
inline Error unsupported(std::string text) { return {ErrorCode::kUnsupported, std::move(text)}; }
inline Error busy(std::string text) { return {ErrorCode::kBusy, std::move(text)}; }
inline Error cancelled() { return {ErrorCode::kCancelled, "stopped on request"}; }
inline Error last_errno(std::string text) { return Error::from_errno(errno, std::move(text)); }

}  // namespace ashlar

// Statement expressions are a GNU extension that g++ and clang share; C++20 has no other way to return early.
#define ASHLAR_JOIN2(a, b) a##b
#define ASHLAR_JOIN(a, b) ASHLAR_JOIN2(a, b)
#define ASHLAR_TRY(result, expr)   \
  __extension__({                  \
    auto result = (expr);          \
    if (!result.ok()) [[unlikely]] \
      return result.take_error();  \
    result.take();                 \
  })
#define TRY(expr) ASHLAR_TRY(ASHLAR_JOIN(try_result_, __COUNTER__), expr)
