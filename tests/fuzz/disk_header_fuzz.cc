// A disk of another program: the first byte says which format a person stated. Refused or accepted, without
// reading outside of the file.
#include "disk/header_check.h"
#include "fuzz/target.h"
#include "support/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ashlar;
  if (size == 0) return 0;
  const auto format = static_cast<DiskFormat>(data[0] % 5);
  const MemoryFile file(as_text(fuzz::as_bytes(data + 1, size - 1)));
  const Status whole = check_header(format, {file, 0, size - 1});
  if (!whole.ok()) CHECK(!whole.error().text().empty());
  // As a member of an OVA that says to be longer than the file, and one in its middle.
  (void)check_header(format, {file, 0, size + 4096}).ok();
  (void)check_header(format, {file, (size - 1) / 2, (size - 1) / 4}).ok();
  return 0;
}
