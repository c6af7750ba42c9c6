// Headers of disks as QEMU, VMware and Microsoft lay them out, and what a hostile one says in each field.
#include "disk/header_check.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "support/memory_file.h"

namespace ashlar {
namespace {

using ::testing::HasSubstr;

Status check(DiskFormat format, const MemoryFile& file) {
  return check_header(format, {file, 0, file.size().take()});
}

void refused(DiskFormat format, const MemoryFile& file, ErrorCode code, const std::string& says) {
  const Status status = check(format, file);
  ASSERT_FALSE(status.ok()) << "was to say: " << says;
  EXPECT_EQ(status.error().code(), code) << status.error().text();
  EXPECT_THAT(status.error().text(), HasSubstr(says));
}

// Every file that a header is cut off in is refused, whatever is left of it.
void refused_when_cut(DiskFormat format, const MemoryFile& whole, std::size_t header_bytes) {
  for (std::size_t size = 0; size < header_bytes; ++size) {
    MemoryFile cut(size);
    ASSERT_EQ(whole.read_at(0, cut.bytes()).take(), size);
    EXPECT_FALSE(check(format, cut).ok()) << size;
  }
}

MemoryFile qcow2(std::uint32_t version) {
  MemoryFile file(4096);
  file.put(0, "QFI\xfb");
  file.big(4, version, 4);
  file.big(20, 16, 4);
  file.big(24, 1 << 20, 8);
  return file;
}

TEST(HeaderCheck, AQcow2ThatIsWholeInItself) {
  EXPECT_TRUE(check(DiskFormat::kQcow2, qcow2(2)).ok());
  EXPECT_TRUE(check(DiskFormat::kQcow2, qcow2(3)).ok());
  refused_when_cut(DiskFormat::kQcow2, qcow2(3), 80);
}

TEST(HeaderCheck, AQcow2ThatNamesOtherFiles) {
  MemoryFile backed = qcow2(3);
  backed.big(8, 512, 8);
  backed.big(16, 11, 4);
  backed.put(512, "/etc/passwd");
  refused(DiskFormat::kQcow2, backed, ErrorCode::kInvalid, "backing file");
  MemoryFile length_alone = qcow2(2);
  length_alone.big(16, 11, 4);
  refused(DiskFormat::kQcow2, length_alone, ErrorCode::kInvalid, "backing file");
  MemoryFile elsewhere = qcow2(3);
  elsewhere.big(72, 1U << 2U, 8);
  refused(DiskFormat::kQcow2, elsewhere, ErrorCode::kInvalid, "another file");
}

TEST(HeaderCheck, AQcow2ThatCantBeTaken) {
  MemoryFile encrypted = qcow2(3);
  encrypted.big(32, 2, 4);
  refused(DiskFormat::kQcow2, encrypted, ErrorCode::kUnsupported, "encrypted");
  MemoryFile damaged = qcow2(3);
  damaged.big(72, 1U << 1U, 8);
  refused(DiskFormat::kQcow2, damaged, ErrorCode::kCorrupt, "corrupt");
  MemoryFile huge = qcow2(3);
  huge.big(24, ~std::uint64_t{0}, 8);
  refused(DiskFormat::kQcow2, huge, ErrorCode::kInvalid, "64 PiB");
  refused(DiskFormat::kQcow2, qcow2(1), ErrorCode::kUnsupported, "version 1");
  refused(DiskFormat::kQcow2, qcow2(4), ErrorCode::kUnsupported, "version 4");
  MemoryFile other = qcow2(3);
  other.put(0, "KDMV");
  refused(DiskFormat::kQcow2, other, ErrorCode::kInvalid, "no qcow2");
}

constexpr std::string_view kDescriptor =
    "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType=\"streamOptimized\"\n"
    "# Extent description\nRW 2048 SPARSE \"disk.vmdk\"\nddb.adapterType = \"lsilogic\"\n";

MemoryFile vmdk(std::string_view descriptor = kDescriptor) {
  MemoryFile file(64UL * 512);
  file.put(0, "KDMV");
  file.little(4, 3, 4);
  file.little(12, 2048, 8);
  file.little(20, 128, 8);
  file.little(28, 1, 8);
  file.little(36, 20, 8);
  file.put(512, descriptor);
  return file;
}

std::string replaced(std::string_view from, std::string_view to) {
  std::string text(kDescriptor);
  const auto at = text.find(from);
  return text.replace(at, from.size(), to);
}

TEST(HeaderCheck, AVmdkInOneFile) {
  EXPECT_TRUE(check(DiskFormat::kVmdk, vmdk()).ok());
  EXPECT_TRUE(check(DiskFormat::kVmdk, vmdk(replaced("streamOptimized", "monolithicSparse"))).ok());
  EXPECT_TRUE(check(DiskFormat::kVmdk, vmdk(replaced("RW 2048", "RDONLY 2048"))).ok());
  refused_when_cut(DiskFormat::kVmdk, vmdk(), 21UL * 512);
}

TEST(HeaderCheck, AVmdkThatNamesOtherFiles) {
  const auto with = [](const char* line) { return fmt::format("{}{}", kDescriptor, line); };
  const auto others = [](const std::string& text, const std::string& says) {
    refused(DiskFormat::kVmdk, vmdk(text), ErrorCode::kInvalid, says);
  };
  others(replaced("RW 2048 SPARSE \"disk.vmdk\"", "RW 2048 FLAT \"/etc/passwd\" 0"), "other files");
  others(replaced("RW 2048 SPARSE", "RW 2048 VMFS"), "other files");
  others(with("RW 2048 SPARSE \"/other.vmdk\"\n"), "more than one extent");
  others(replaced("streamOptimized", "monolithicFlat"), "monolithicFlat");
  others(replaced("parentCID=ffffffff", "parentCID=00000001"), "parent");
  others(with("parentFileNameHint=\"/etc/passwd\"\n"), "parent");
  others(replaced("RW 2048 SPARSE \"disk.vmdk\"\n", ""), "without an extent");
  others("", "no descriptor");
}

// QEMU looks for a parent at sector 1, wherever the header says that the descriptor is.
TEST(HeaderCheck, AVmdkWithASecondDescriptor) {
  MemoryFile file = vmdk("parentFileNameHint=\"/etc/passwd\"\n");
  file.little(28, 30, 8);
  file.put(30UL * 512, kDescriptor);
  refused(DiskFormat::kVmdk, file, ErrorCode::kInvalid, "parent");
  MemoryFile behind_zeros = vmdk();
  behind_zeros.put(512 + 4096, "parentFileNameHint=\"/etc/passwd\"\n");
  refused(DiskFormat::kVmdk, behind_zeros, ErrorCode::kInvalid, "parent");
}

TEST(HeaderCheck, AVmdkWhoseHeaderLies) {
  MemoryFile empty = vmdk();
  empty.little(12, 0, 8);  // makes QEMU open the extents of the descriptor
  refused(DiskFormat::kVmdk, empty, ErrorCode::kInvalid, "other files");
  MemoryFile huge = vmdk();
  huge.little(12, ~std::uint64_t{0}, 8);
  refused(DiskFormat::kVmdk, huge, ErrorCode::kInvalid, "64 PiB");
  for (const std::uint64_t at : {std::uint64_t{63}, std::uint64_t{1} << 55U, ~std::uint64_t{0}}) {
    MemoryFile beyond = vmdk();
    beyond.little(28, at, 8);
    EXPECT_FALSE(check(DiskFormat::kVmdk, beyond).ok()) << at;
  }
  for (const std::uint64_t sectors : {std::uint64_t{0}, std::uint64_t{129}, ~std::uint64_t{0}}) {
    MemoryFile odd = vmdk();
    odd.little(36, sectors, 8);
    EXPECT_FALSE(check(DiskFormat::kVmdk, odd).ok()) << sectors;
  }
  refused(DiskFormat::kVmdk,
          MemoryFile(replaced("streamOptimized", "monolithicFlat") + std::string(512, '\n')),
          ErrorCode::kInvalid, "several files");
  MemoryFile old = vmdk();
  old.put(0, "COWD");
  refused(DiskFormat::kVmdk, old, ErrorCode::kInvalid, "no vmdk");
}

void put_footer(MemoryFile& file, std::size_t at, std::uint32_t type, std::uint64_t size) {
  file.put(at, "conectix");
  file.big(at + 48, size, 8);
  file.big(at + 60, type, 4);
  file.big(at + 64, 0, 4);
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < 512; ++i) sum += std::to_integer<std::uint32_t>(file.bytes()[at + i]);
  file.big(at + 64, ~sum, 4);
}

MemoryFile vhd(std::uint32_t type) {
  MemoryFile file(1 << 20);
  const std::size_t end = file.bytes().size() - 512;
  put_footer(file, end, type, end);
  if (type == 2) return file;
  file.big(end + 16, 512, 8);
  file.big(16, 512, 8);
  put_footer(file, end, type, std::uint64_t{16} << 20U);
  put_footer(file, 0, type, std::uint64_t{16} << 20U);
  file.put(512, "cxsparse");
  file.big(512 + 16, 1536, 8);       // the table's place
  file.big(512 + 28, 32, 4);         // its entries
  file.big(512 + 32, 512 << 10, 4);  // bytes of a block
  for (std::size_t i = 0; i < 32; ++i) file.big(1536 + 4 * i, 0xffffffff, 4);
  file.big(1536, 4, 4);
  return file;
}

TEST(HeaderCheck, AVhd) {
  EXPECT_TRUE(check(DiskFormat::kVhd, vhd(2)).ok());
  EXPECT_TRUE(check(DiskFormat::kVhd, vhd(3)).ok());
  refused(DiskFormat::kVhd, vhd(4), ErrorCode::kInvalid, "differencing");
  refused(DiskFormat::kVhd, vhd(5), ErrorCode::kUnsupported, "type 5");
  refused(DiskFormat::kVhd, MemoryFile(std::size_t{1} << 20U), ErrorCode::kInvalid, "no vhd");
  refused(DiskFormat::kVhd, MemoryFile(std::size_t{511}), ErrorCode::kInvalid, "no vhd");
}

TEST(HeaderCheck, AVhdWithAByteChangedIsDamaged) {
  for (const std::size_t at : {std::size_t{8}, std::size_t{50}, std::size_t{64}, std::size_t{511}}) {
    MemoryFile file = vhd(3);
    file.bytes()[file.bytes().size() - 512 + at] ^= std::byte{1};
    refused(DiskFormat::kVhd, file, ErrorCode::kCorrupt, "checksum");
    MemoryFile other = vhd(3);
    other.bytes()[at] ^= std::byte{1};
    refused(DiskFormat::kVhd, other, ErrorCode::kCorrupt, "differ");
  }
  MemoryFile longer = vhd(2);
  put_footer(longer, longer.bytes().size() - 512, 2, 1 << 21);
  refused(DiskFormat::kVhd, longer, ErrorCode::kCorrupt, "holds");
}

// QEMU would read zeros there.
TEST(HeaderCheck, AVhdWithBlocksBehindItsEnd) {
  const std::uint64_t last = ((1U << 20U) - 512U - (512U << 10U) - 512U) / 512U;
  for (const auto& [sector, is_sound] :
       {std::pair{last, true}, {last + 1, false}, {std::uint64_t{0xfffffffe}, false}}) {
    MemoryFile file = vhd(3);
    file.big(1536 + 4UL * 31, sector, 4);
    EXPECT_EQ(check(DiskFormat::kVhd, file).ok(), is_sound) << sector;
  }
  const auto damaged = [](std::size_t at, std::uint64_t value, std::size_t size, const std::string& says) {
    MemoryFile file = vhd(3);
    file.big(at, value, size);
    const Status status = check(DiskFormat::kVhd, file);
    ASSERT_FALSE(status.ok()) << says;
    EXPECT_THAT(status.error().text(), HasSubstr(says));
  };
  damaged(512, 0, 8, "header");
  damaged(512 + 28, 31, 4, "no room");
  damaged(512 + 16, 1 << 20, 8, "missing");
  damaged(512 + 16, ~std::uint64_t{0} - 63, 8, "missing");
  damaged(512 + 32, 0, 4, "header");
  damaged(512 + 32, 12345, 4, "header");
  damaged(512 + 32, 512, 4, "no room");
}

// The first sector of a fixed disk is the guest's.
TEST(HeaderCheck, AVhdWhoseGuestWritesAFooter) {
  MemoryFile file = vhd(2);
  put_footer(file, 0, 3, std::uint64_t{1} << 40U);
  refused(DiskFormat::kVhd, file, ErrorCode::kUnsupported, "import the rest as raw");
}

TEST(HeaderCheck, RawMayHoldAnything) {
  EXPECT_TRUE(check(DiskFormat::kRaw, qcow2(3)).ok());
  EXPECT_TRUE(check(DiskFormat::kRaw, MemoryFile(std::size_t{0})).ok());
  MemoryFile vhdx(4096);
  refused(DiskFormat::kVhdx, vhdx, ErrorCode::kInvalid, "no vhdx");
  vhdx.put(0, "vhdxfile");
  EXPECT_TRUE(check(DiskFormat::kVhdx, vhdx).ok());
}

TEST(HeaderCheck, AMemberIsReadWithinItsBounds) {
  MemoryFile file(16384);
  const MemoryFile disk = qcow2(3);
  std::memcpy(file.bytes().data() + 1024, MemoryFile(disk).bytes().data(), 4096);
  EXPECT_TRUE(check_header(DiskFormat::kQcow2, {file, 1024, 4096}).ok());
  EXPECT_FALSE(check_header(DiskFormat::kQcow2, {file, 1024, 79}).ok());
  EXPECT_FALSE(check_header(DiskFormat::kQcow2, {file, 0, 4096}).ok());
}

TEST(DiskFormat, NamesSayTheFormatOrNothing) {
  for (const auto& [name, format] :
       {std::pair{"a.raw", DiskFormat::kRaw}, std::pair{"x/a.QCOW2", DiskFormat::kQcow2},
        std::pair{"a.b.vmdk", DiskFormat::kVmdk}, std::pair{"a.vhd", DiskFormat::kVhd},
        std::pair{"a.vhdx", DiskFormat::kVhdx}}) {
    EXPECT_EQ(disk_format_of_name(name).take(), format) << name;
  }
  for (const char* name : {"a.img", "a", "", "raw", "a.raw/b", "a.raw.", "a.vmdk.gz"})
    EXPECT_FALSE(disk_format_of_name(name).ok()) << name;
  EXPECT_FALSE(parse_disk_format("QCOW2").ok());
}

}  // namespace
}  // namespace ashlar
