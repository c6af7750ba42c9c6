// Tests of the header check, with headers of disks as QEMU, VMware and Microsoft lay them out, and with
// hostile values in each field.
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

// Checks that a file is refused when it ends within its header, at any length.
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
  file.big(36, 1, 4);     // entries of the L1 table
  file.big(40, 1024, 8);  // offset of the L1 table
  return file;
}

// Returns a qcow2 of five 64 KiB clusters: header, L1 table, L2 table and two of data, the last of them for
// the middle of the disk (cluster 7 of 16).
MemoryFile full_qcow2() {
  MemoryFile file(5UL << 16U);
  std::memcpy(file.bytes().data(), qcow2(3).bytes().data(), 4096);
  file.big(40, 1 << 16, 8);
  file.big(1 << 16, 2 << 16, 8);
  file.big(2 << 16, 3 << 16, 8);
  file.big((2 << 16) + 8 * 7, 4 << 16, 8);
  return file;
}

void refused_as_cut(DiskFormat format, const MemoryFile& whole, std::size_t bytes) {
  MemoryFile cut(whole.size().take() - bytes);
  ASSERT_EQ(whole.read_at(0, cut.bytes()).take(), cut.bytes().size());
  refused(format, cut, ErrorCode::kCorrupt, "is damaged or truncated");
}

TEST(HeaderCheck, AQcow2ThatIsCutOffWithinItsLastCluster) {
  EXPECT_TRUE(check(DiskFormat::kQcow2, full_qcow2()).ok());
  for (const std::size_t bytes : {1UL, 512UL, 4096UL, 65535UL, 65536UL, 65537UL, 131073UL, 200'000UL})
    refused_as_cut(DiskFormat::kQcow2, full_qcow2(), bytes);
  MemoryFile short_disk = full_qcow2();  // the disk ends within the last cluster
  short_disk.big(24, 7 * 65536 + 512, 8);
  EXPECT_TRUE(check(DiskFormat::kQcow2, short_disk).ok());
  refused_as_cut(DiskFormat::kQcow2, short_disk, 65536 - 511);
  MemoryFile zeros = full_qcow2();  // the last cluster is marked as zeros, so its bytes do not matter
  zeros.big((2 << 16) + 8 * 7, 4 << 16 | 1, 8);
  MemoryFile cut(zeros.size().take() - 512);
  ASSERT_EQ(zeros.read_at(0, cut.bytes()).take(), cut.bytes().size());
  EXPECT_TRUE(check(DiskFormat::kQcow2, cut).ok());
}

TEST(HeaderCheck, AQcow2WithSubclusters) {
  MemoryFile file = full_qcow2();
  file.big(72, 1U << 4U, 8);
  file.big((2 << 16) + 8 * 7, 0, 8);
  file.big((2 << 16) + 16 * 7, 4 << 16, 8);
  file.big((2 << 16) + 16 * 7 + 8, 1, 8);  // the first of 32 subclusters is allocated
  MemoryFile cut((4UL << 16U) + 2048);
  ASSERT_EQ(file.read_at(0, cut.bytes()).take(), cut.bytes().size());
  EXPECT_TRUE(check(DiskFormat::kQcow2, cut).ok());
  refused_as_cut(DiskFormat::kQcow2, cut, 1);
  cut.big((2 << 16) + 16 * 7 + 8, 2, 8);
  refused(DiskFormat::kQcow2, cut, ErrorCode::kCorrupt, "is damaged or truncated");
}

TEST(HeaderCheck, AQcow2WhoseTablesLie) {
  for (const std::uint64_t bits : {0U, 8U, 22U, 63U, 64U, ~0U}) {
    MemoryFile file = full_qcow2();
    file.big(20, bits, 4);
    refused(DiskFormat::kQcow2, file, ErrorCode::kCorrupt, "clusters");
  }
  MemoryFile narrow = full_qcow2();
  narrow.big(24, std::uint64_t{1} << 40U, 8);
  refused(DiskFormat::kQcow2, narrow, ErrorCode::kCorrupt, "no room");
  MemoryFile again = full_qcow2();  // a single L2 table, named eight times, for a disk of 4 GiB
  again.big(24, std::uint64_t{1} << 32U, 8);
  again.big(36, 8, 4);
  for (std::size_t i = 0; i < 8; ++i) again.big((1 << 16) + 8 * i, 2 << 16, 8);
  refused(DiskFormat::kQcow2, again, ErrorCode::kCorrupt, "larger than the file");
  for (const std::uint64_t place : {std::uint64_t{5} << 16U, ~std::uint64_t{0}}) {
    MemoryFile elsewhere = full_qcow2();
    elsewhere.big(40, place, 8);
    refused(DiskFormat::kQcow2, elsewhere, ErrorCode::kCorrupt, "truncated");
  }
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
  MemoryFile dirty = qcow2(3);
  dirty.big(72, 1, 8);
  refused(DiskFormat::kQcow2, dirty, ErrorCode::kInvalid, "qemu-img check -r all");
  MemoryFile huge = qcow2(3);
  huge.big(24, ~std::uint64_t{0}, 8);
  refused(DiskFormat::kQcow2, huge, ErrorCode::kInvalid, "64 PiB");
  refused(DiskFormat::kQcow2, qcow2(1), ErrorCode::kUnsupported, "version 1");
  refused(DiskFormat::kQcow2, qcow2(4), ErrorCode::kUnsupported, "version 4");
  MemoryFile other = qcow2(3);
  other.put(0, "KDMV");
  refused(DiskFormat::kQcow2, other, ErrorCode::kInvalid, "not a qcow2 image");
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
  file.little(44, 512, 4);  // entries of a grain table
  file.little(56, 21, 8);   // sector of the grain directory
  file.put(512, descriptor);
  return file;
}

// Returns a vmdk with a grain table at sector 22 and one grain of 128 sectors at sector 64.
MemoryFile full_vmdk() {
  MemoryFile file((64UL + 128) * 512);
  std::memcpy(file.bytes().data(), vmdk().bytes().data(), 64UL * 512);
  file.little(21UL * 512, 22, 4);
  file.little(22UL * 512 + 4 * 3, 64, 4);
  return file;
}

TEST(HeaderCheck, AVmdkThatIsCutOffWithinItsLastGrain) {
  EXPECT_TRUE(check(DiskFormat::kVmdk, full_vmdk()).ok());
  for (const std::size_t bytes : {1UL, 512UL, 4096UL, 65024UL, 65536UL, 65537UL})
    refused_as_cut(DiskFormat::kVmdk, full_vmdk(), bytes);
  MemoryFile short_disk = full_vmdk();  // the disk ends within the last grain
  short_disk.little(12, 3 * 128 + 1, 8);
  MemoryFile cut(65UL * 512);
  ASSERT_EQ(short_disk.read_at(0, cut.bytes()).take(), cut.bytes().size());
  EXPECT_TRUE(check(DiskFormat::kVmdk, cut).ok());
  refused_as_cut(DiskFormat::kVmdk, cut, 1);
}

TEST(HeaderCheck, AVmdkWithAFooter) {
  MemoryFile file = full_vmdk();
  file.little(77, 1, 2);  // grains are compressed
  MemoryFile whole(file.size().take() + 3UL * 512);
  ASSERT_EQ(file.read_at(0, whole.bytes()).take(), file.bytes().size());
  std::memcpy(whole.bytes().data() + file.bytes().size() + 512, file.bytes().data(), 512);
  whole.little(56, ~std::uint64_t{0}, 8);
  EXPECT_TRUE(check(DiskFormat::kVmdk, whole).ok());
  for (const std::size_t bytes : {512UL, 1024UL, 1536UL, 4096UL})
    refused_as_cut(DiskFormat::kVmdk, whole, bytes);
}

TEST(HeaderCheck, AVmdkWhoseTablesLie) {
  const auto lies = [](std::size_t at, std::uint64_t value, std::size_t size, const std::string& says) {
    MemoryFile file = full_vmdk();
    file.little(at, value, size);
    refused(DiskFormat::kVmdk, file, ErrorCode::kCorrupt, says);
  };
  lies(20, 0, 8, "impossible size");
  lies(20, ~std::uint64_t{0}, 8, "impossible size");
  lies(44, 0, 4, "impossible size");
  lies(44, 513, 4, "impossible size");
  lies(12, std::uint64_t{1} << 40U, 8, "truncated");  // a directory larger than the file
  for (const std::uint64_t place : {std::uint64_t{192}, std::uint64_t{1} << 55U, ~std::uint64_t{0} - 1})
    lies(56, place, 8, "truncated");
  MemoryFile again = full_vmdk();  // a single grain table, named 50 times
  again.little(12, 50UL * 512 * 128, 8);
  again.little(22UL * 512 + 4 * 3, 0, 4);
  MemoryFile tables(2UL << 20U);
  ASSERT_GT(again.read_at(0, tables.bytes()).take(), 0U);
  for (std::size_t i = 0; i < 50; ++i) tables.little(100UL * 512 + 4 * i, 22, 4);
  tables.little(56, 100, 8);
  EXPECT_TRUE(check(DiskFormat::kVmdk, tables).ok());
  MemoryFile narrow(80'000);
  ASSERT_EQ(tables.read_at(0, narrow.bytes()).take(), narrow.bytes().size());
  refused(DiskFormat::kVmdk, narrow, ErrorCode::kCorrupt, "larger than the file");
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

// QEMU looks for a parent at sector 1, even when the header says that the descriptor is elsewhere.
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
  empty.little(12, 0, 8);  // makes QEMU open the extents that the descriptor names
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
  refused(DiskFormat::kVmdk, old, ErrorCode::kInvalid, "not a vmdk image");
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
  file.big(512 + 16, 1536, 8);       // offset of the block table
  file.big(512 + 28, 32, 4);         // entries of the block table
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
  refused(DiskFormat::kVhd, MemoryFile(std::size_t{1} << 20U), ErrorCode::kInvalid, "not a vhd image");
  refused(DiskFormat::kVhd, MemoryFile(std::size_t{511}), ErrorCode::kInvalid, "not a vhd image");
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

// Blocks beyond the end of the file are refused: QEMU would read zeros there.
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
  damaged(512 + 16, 1 << 20, 8, "truncated");
  damaged(512 + 16, ~std::uint64_t{0} - 63, 8, "truncated");
  damaged(512 + 32, 0, 4, "header");
  damaged(512 + 32, 12345, 4, "header");
  damaged(512 + 32, 512, 4, "no room");
}

// The guest owns the first sector of a fixed disk, so a footer there may be the guest's data.
TEST(HeaderCheck, AVhdWhoseGuestWritesAFooter) {
  MemoryFile file = vhd(2);
  put_footer(file, 0, 3, std::uint64_t{1} << 40U);
  refused(DiskFormat::kVhd, file, ErrorCode::kUnsupported, "import the rest as raw");
}

TEST(HeaderCheck, RawMayHoldAnything) {
  EXPECT_TRUE(check(DiskFormat::kRaw, qcow2(3)).ok());
  EXPECT_TRUE(check(DiskFormat::kRaw, MemoryFile(std::size_t{0})).ok());
  MemoryFile vhdx(4096);
  refused(DiskFormat::kVhdx, vhdx, ErrorCode::kInvalid, "not a vhdx image");
  vhdx.put(0, "vhdxfile");
  EXPECT_TRUE(check(DiskFormat::kVhdx, vhdx).ok());
  refused_as_cut(DiskFormat::kVhdx, vhdx, 1);
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
