// The bytes that an image's signature is made over, and the digest of its content. Page:
// docs/format/image.md.
#include "document/image_record.h"
#include "format/cursor.h"

namespace ashlar {
namespace {

constexpr std::string_view kStatementMagic = "ASHLSIGN";
constexpr std::uint16_t kStatementVersion = 1;
constexpr std::string_view kDigestDomain = "ashlar image";

template <class Enum>
std::uint8_t byte_of(Enum value) {
  return static_cast<std::uint8_t>(value);
}

// Writes a content; a missing one is 40 zero bytes, which differ from the content of every snapshot.
void write_content(const std::optional<ImageContent>& content, ByteWriter& out) {
  const ImageContent none;
  out.u64((content ? *content : none).size.value);
  out.bytes((content ? *content : none).digest.span());
}

void write_device(const ImageDevice& device, ByteWriter& out) {
  out.string(device.name);
  out.u8(byte_of(device.kind));
  write_content(device.content, out);
  out.u64(device.size.value);
  out.u8(byte_of(device.volume_type));
  out.u32(device.iops);
  out.u32(device.throughput);
  out.u8(device.delete_on_termination ? 1 : 0);
  out.u32(device.ephemeral);
}

void write_boot(const ImageBoot& boot, ByteWriter& out) {
  write_content(boot.kernel, out);
  write_content(boot.ramdisk, out);
  out.string(boot.command_line);
}

}  // namespace

Sha256 image_digest(const ImageRecord& record) {
  ByteWriter out;
  out.string(record.root_device);
  out.u16(static_cast<std::uint16_t>(record.devices.size()));
  for (const ImageDevice& device : record.devices) {
    out.string(device.name);
    out.u8(byte_of(device.kind));
    write_content(device.content, out);
    out.u64(device.size.value);
  }
  write_boot(record.boot, out);
  return sha256(kDigestDomain, out.span());
}

ByteVector signed_statement(const ImageRecord& record, const ImageSignature& signature) {
  ByteWriter out;
  out.text(kStatementMagic);
  out.u16(kStatementVersion);
  out.string(signature.name);
  out.u64(signature.signed_at.unix_ns);
  out.u8(byte_of(record.architecture));
  out.u8(byte_of(record.root_device_type));
  out.u8(byte_of(record.virtualization));
  out.u8(byte_of(record.boot_mode));
  out.u8(byte_of(record.consistency));
  out.u8(record.ena_support ? 1 : 0);
  for (const auto* text : {&record.sriov_net_support, &record.tpm_support, &record.imds_support,
                           &record.platform, &record.root_device}) {
    out.string(*text);
  }
  out.u16(static_cast<std::uint16_t>(record.devices.size()));
  for (const ImageDevice& device : record.devices) write_device(device, out);
  write_boot(record.boot, out);
  return out.take();
}

}  // namespace ashlar
