// Fuzz target: an OVA. Its members lie within the file, its descriptor names plain files or is refused, and
// only digests of existing members are checked.
#include "disk/ova.h"
#include "disk/ovf.h"
#include "fuzz/target.h"
#include "support/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ashlar;
  const ByteSpan bytes = fuzz::as_bytes(data, size);
  const auto machine = parse_ovf(as_text(bytes));
  if (machine.ok()) CHECK(!machine.value().disks.empty() && machine.value().disks.size() <= kMaxOvfDisks);
  const MemoryFile file(as_text(bytes));
  const auto ova = read_ova(file);
  if (!ova.ok()) return 0;
  for (const OvaMember& member : ova.value().members) {
    CHECK(member.offset <= size && member.bytes <= size - member.offset);
    CHECK(member.name.find('/') == std::string::npos);
  }
  const auto descriptor = read_member(file, ova.value().members.front(), kMaxOvfBytes);
  if (descriptor.ok()) (void)parse_ovf(descriptor.value()).ok();
  (void)verify_manifest(file, ova.value(), {ova.value().members.front().name}, {}).ok();
  return 0;
}
