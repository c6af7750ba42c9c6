#include "index/database_errors.h"

#include <fmt/format.h>

namespace ashlar {

// A missing file is damage: the caller holds the lock, or tries again before it believes so. RocksDB says
// InvalidArgument for column families that are missing or unknown, and NotSupported for a form that it does
// not know, which is what some flipped bytes look like.
Error error_of(const rocksdb::Status& status) {
  const std::string text = fmt::format("index: {}", status.ToString());
  if (status.IsNoSpace() || status.IsMemoryLimit() || status.subcode() == rocksdb::Status::kSpaceLimit)
    return {ErrorCode::kExhausted, text};
  if (status.IsBusy() || status.IsTimedOut() || status.IsAborted() || status.IsTryAgain()) return busy(text);
  const bool is_damage = status.IsCorruption() || status.IsPathNotFound() || status.IsNotFound() ||
                         status.IsInvalidArgument() || status.IsNotSupported();
  return is_damage ? corrupt(text) : Error(ErrorCode::kIo, text);
}

}  // namespace ashlar
