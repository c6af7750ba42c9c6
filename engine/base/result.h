// Result<T>: a value or an Error. The only way a function of the engine fails.
//
// An Error has a code, which decides what a caller may do; the errno, if the system gave one; and one line of
// text that says what is wrong. Callers add context on the way up; the outermost part comes first:
// "capture /dev/sdb: read 4096 bytes at 1048576: Input/output error". Where a front end can say what to do
// next, the error also has a kind and the id of the thing concerned; the text never names a command or an
// option, because the command line is only one of the front ends.
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
  kBusy,         // another process holds it, or doing it now would be unsafe
  kCancelled,    // the user stopped it
};

std::string_view error_code_name(ErrorCode code);
// Returns the code of that name; kIo for a name that is not known.
ErrorCode error_code_named(std::string_view name);

// A situation that a front end has advice for. error_kinds.cc lists their names.
enum class ErrorKind : unsigned char {
  kNone,
  kNoSuchSnapshot,
  kNotInBin,
  kNoSuchImage,
  kNoSuchVolume,
  kNoSuchInstance,
  kNoSuchTemplate,
  kNoSuchPolicy,
  kNoSuchKey,
  kTemplateExists,  // id: the name
  kNotAStore,       // id: the path
  kStoreIsCopy,     // id: the path of the store
  kSourceInUse,     // id: the source; mounted and written to
  kSourceUnreadable,
  kMapRefused,      // a changed-block map that can't be used with these options
  kTargetHasData,   // id: the target
  kTargetExists,    // id: the target
  kNameUnfit,       // id: the name that came with an import, and can't be an image's
  kNotADiskFile,    // id: the path; a device, a pipe or the like
  kRawFilePartial,  // id: the volume whose raw file holds only a part of it
  kFormatUnknown,   // id: the file whose name does not say its format
  kVolumeServed,    // another process has the volume open
  kVolumeNotWhole,  // some blocks are still in the store only
  kVolumeAttached,
  kVolumeOfMachine,  // id: the machine that uses the volume
  kServerElsewhere,  // a server that listens on TCP where a unix socket is needed
  kNotTrusted,
  kNotClean,           // id: the snapshot with findings
  kGuestStaysOn,       // a guest that did not switch itself off
  kSessionBeats,       // a session whose writer may be at work
  kClockDoubtful,      // the clock may be wrong, and decides here
  kSettingsLost,       // settings.json is damaged or gone
  kSnapshotHasLosses,  // id: the snapshot, of which some bytes can't be read
  kRecordDamaged,      // id: what `store discard` takes; the record of that thing is damaged
};

std::string_view error_kind_name(ErrorKind kind);
// Returns the kind of that name; kNone for a name that is not known.
ErrorKind error_kind_named(std::string_view name);

class [[nodiscard]] Error {
 public:
  Error(ErrorCode code, std::string text) : body_(new Body{code, ErrorKind::kNone, 0, std::move(text), {}}) {}

  // An error of a system call; ENOSPC and EDQUOT become kExhausted, ENOENT kNotFound, the rest kIo.
  static Error from_errno(int error_number, std::string text);

  ErrorCode code() const { return body_->code; }
  int error_number() const { return body_->error_number; }
  const std::string& text() const { return body_->text; }
  ErrorKind kind() const { return body_->kind; }
  // Identifies the thing that kind() is about; empty without a kind.
  const std::string& id() const { return body_->id; }

  Error with_context(std::string_view context) const;
  // Returns the same error with another text.
  Error with_text(std::string text) const;
  // Returns the same error, which is about this thing from now on.
  Error about(ErrorKind kind, std::string id) const;

 private:
  struct Body {
    ErrorCode code;
    ErrorKind kind;
    int error_number;
    std::string text;
    std::string id;
  };
  explicit Error(Body body) : body_(std::make_shared<const Body>(std::move(body))) {}
  std::shared_ptr<const Body> body_;  // shared by copies, never null
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
    return error().with_context(context);
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
    return error().with_context(context);
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

// Returns whether `result` failed with this code.
template <class T>
bool is(const Result<T>& result, ErrorCode code) {
  return !result.ok() && result.error().code() == code;
}

// Marks a step that may fail without harm, such as removing what nothing needs.
template <class T>
void best_effort(const Result<T>& result) {
  static_cast<void>(result.ok());
}

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
