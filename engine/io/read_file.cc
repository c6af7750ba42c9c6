#include <fmt/format.h>

#include "io/file_system.h"
#include "io/object_store.h"

namespace ashlar {

Result<ByteVector> read_file(FileSystem& files, const std::string& path, std::uint64_t limit) {
  const auto file = TRY(files.open(path, ReadMode::kCached));
  const std::uint64_t size = TRY(file->size());
  if (size > limit)
    return corrupt(fmt::format("{} has {} bytes, more than the {} it may have", path, size, limit));
  ByteVector bytes(size);
  const std::size_t read = TRY(file->read_at(0, bytes));
  if (read != size) return corrupt(fmt::format("{} ended at byte {} of {}", path, read, size));
  return bytes;
}

Status remove_if_there(FileSystem& files, const std::string& path) {
  Status removed = files.remove(path);
  if (is(removed, ErrorCode::kNotFound)) return {};
  return removed;
}

Status remove_if_there(ObjectStore& objects, std::string_view key) {
  Status removed = objects.remove(key);
  if (is(removed, ErrorCode::kNotFound)) return {};
  return removed;
}

Result<ByteVector> get_object(ObjectStore& objects, std::string_view key, std::uint64_t limit,
                              ReadMode mode) {
  const auto object = TRY(objects.open(key, mode));
  if (object->size() > limit) {
    return corrupt(fmt::format("{} has {} bytes, more than the {} it may have", key, object->size(), limit));
  }
  ByteVector bytes(object->size());
  TRY(object->read_at(0, bytes));
  return bytes;
}

}  // namespace ashlar
