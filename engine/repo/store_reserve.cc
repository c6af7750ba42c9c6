#include "repo/store_reserve.h"

#include <cerrno>

namespace ashlar {

Status StoreReserve::make() {
  auto created = files_.create_random(path_, kReserveBytes);
  if (!created.ok() && created.error().error_number() == EEXIST) return {};
  const auto file = TRY(std::move(created));
  Status allocated = file->allocate(0, kReserveBytes);
  if (!allocated.ok()) release();
  return std::move(allocated).with_context("reserve space for deletions");
}

bool StoreReserve::release() { return files_.remove(path_).ok(); }

}  // namespace ashlar
