// Fuzz target: the header of another program's disk. The first byte chooses the format that a person stated.
// The header is refused or accepted without a read outside of the file.
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
  // The disk may also be a member of an OVA: one that claims more bytes than the file has, and one in the
  // middle of the file.
  (void)check_header(format, {file, 0, size + 4096}).ok();
  (void)check_header(format, {file, (size - 1) / 2, (size - 1) / 4}).ok();
  return 0;
}
