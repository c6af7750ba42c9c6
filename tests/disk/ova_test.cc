// Tests of OVAs as tar files, written by libarchive and damaged by hand.
#include "disk/ova.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "support/memory_file.h"

namespace ashlar {
namespace {

using ::testing::HasSubstr;

struct Member {
  std::string name;
  std::string content;
  unsigned type = AE_IFREG;
};

// Returns a tar file in the given format: "ustar", "pax" or "gnutar".
MemoryFile tar(const std::vector<Member>& members, const char* format = "ustar") {
  std::string out(1 << 20, '\0');
  std::size_t used = 0;
  archive* writer = ::archive_write_new();
  EXPECT_EQ(::archive_write_set_format_by_name(writer, format), ARCHIVE_OK);
  EXPECT_EQ(::archive_write_open_memory(writer, out.data(), out.size(), &used), ARCHIVE_OK);
  for (const Member& member : members) {
    archive_entry* entry = ::archive_entry_new();
    ::archive_entry_set_pathname(entry, member.name.c_str());
    ::archive_entry_set_size(entry, static_cast<la_int64_t>(member.content.size()));
    ::archive_entry_set_filetype(entry, member.type);
    ::archive_entry_set_perm(entry, 0644);
    if (member.type == AE_IFLNK) ::archive_entry_set_symlink(entry, "/etc/passwd");
    EXPECT_EQ(::archive_write_header(writer, entry), ARCHIVE_OK);
    ::archive_write_data(writer, member.content.data(), member.content.size());
    ::archive_entry_free(entry);
  }
  ::archive_write_close(writer);
  ::archive_write_free(writer);
  return MemoryFile(std::string_view(out).substr(0, used));
}

const std::vector<Member> kGood = {
    {"m.ovf", "<Envelope/>"}, {"disk.vmdk", std::string(100'000, 'd')}, {"m.mf", "x"}};

TEST(Ova, MembersAreReadWhereTheyLie) {
  for (const char* format : {"ustar", "pax", "gnutar"}) {
    std::vector<Member> members = kGood;
    members[1].name = fmt::format("{}.vmdk", std::string(120, 'n'));  // longer than a tar header has room for
    const MemoryFile file = tar(members, std::string_view(format) == "ustar" ? "pax" : format);
    const Ova ova = read_ova(file).take();
    ASSERT_EQ(ova.members.size(), 3U);
    for (std::size_t i = 0; i < members.size(); ++i) {
      EXPECT_EQ(ova.members[i].name, members[i].name);
      EXPECT_EQ(read_member(file, ova.members[i], 1 << 20).take(), members[i].content) << format;
    }
  }
  const MemoryFile plain = tar(kGood);
  EXPECT_EQ(read_ova(plain).take().members[0].offset, 512U);
  EXPECT_FALSE(read_member(plain, read_ova(plain).take().members[1], 99'999).ok());
}

void refused(const MemoryFile& file, const std::string& says) {
  const auto ova = read_ova(file);
  ASSERT_FALSE(ova.ok()) << "was to say: " << says;
  EXPECT_THAT(ova.error().text(), HasSubstr(says));
}

TEST(Ova, WhatIsRefused) {
  for (const char* name : {"../m.vmdk", "/etc/passwd", "a/b.vmdk", "..", "a\nb", "a\\b"})
    refused(tar({kGood[0], {name, "x"}}), "plain file name");
  refused(tar({kGood[0], {"link.vmdk", "", AE_IFLNK}}), "'link.vmdk' that is not a regular file");
  refused(tar({kGood[0], {"null", "", AE_IFCHR}}), "'null' that is not a regular file");
  refused(tar({kGood[0], kGood[1], kGood[1]}), "twice");
  refused(tar({kGood[1], kGood[0]}), "first member");
  refused(MemoryFile(std::string_view("nothing of a tar file")), "tar");
  refused(MemoryFile(std::size_t{0}), "");
  refused(tar({}), "first member");
  std::vector<Member> many = {kGood[0]};
  for (int i = 0; i < 300; ++i) many.push_back({fmt::format("f{}", i), ""});
  refused(tar(many), "more than 256");
}

// A truncated file is refused, also when it ends exactly where a member ends and only the end mark is
// missing. The zeros that fill up a tar file after its end mark are not needed.
TEST(Ova, OneThatEndsTooEarly) {
  const MemoryFile whole = tar(kGood);
  constexpr std::size_t kNeeded = 3UL * 512 + 512 + 100'352 + 512 + 1024;
  ASSERT_GE(whole.size().take(), kNeeded);
  for (std::size_t block = 0; block <= kNeeded; block += 512) {
    for (const std::size_t size : {block, block + 1, block + 100, block + 511}) {
      MemoryFile cut(size);
      ASSERT_TRUE(whole.read_at(0, cut.bytes()).ok());  // sizes beyond the file are filled with zeros
      EXPECT_EQ(read_ova(cut).ok(), size >= kNeeded) << size;
    }
  }
}

TEST(Ova, OneWithSomethingInItsEndMark) {
  MemoryFile file = tar(kGood);
  const OvaMember last = read_ova(file).take().members.back();
  file.bytes()[last.offset + 512 + 700] = std::byte{1};
  EXPECT_FALSE(read_ova(file).ok());
}

// Whichever byte of the headers is changed, no member lies outside of the file.
TEST(Ova, DamagedHeaders) {
  const MemoryFile whole = tar(kGood, "pax");
  const std::uint64_t size = whole.size().take();
  for (std::size_t at = 0; at < 1536; ++at) {
    for (const unsigned change : {0x01U, 0x80U, 0xffU}) {
      MemoryFile damaged = whole;
      damaged.bytes()[at] ^= std::byte(change);
      const auto ova = read_ova(damaged);
      if (!ova.ok()) continue;
      for (const OvaMember& member : ova.value().members) {
        ASSERT_LE(member.offset, size);
        ASSERT_LE(member.bytes, size - member.offset);
      }
    }
  }
}

Result<bool> verify(const std::string& manifest, const std::vector<std::string>& needed = {"m.ovf"}) {
  const MemoryFile file = tar({{"m.ovf", "abc"}, {"m.mf", manifest}, {"d(1).vmdk", "abc"}});
  return verify_manifest(file, read_ova(file).take(), needed, {});
}

// These are the digests of "abc" that FIPS 180 gives.
constexpr std::string_view kAbc1 = "a9993e364706816aba3e25717850c26c9cd0d89d";
constexpr std::string_view kAbc256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Ova, DigestsOfTheManifest) {
  EXPECT_TRUE(verify(fmt::format("SHA256(m.ovf)= {}\n", kAbc256)).ok());
  EXPECT_TRUE(verify(fmt::format("SHA1(m.ovf)= {}\r\nSHA256 (d(1).vmdk) = {}", kAbc1, kAbc256),
                     {"m.ovf", "d(1).vmdk"})
                  .ok());
  EXPECT_EQ(verify("").error().code(), ErrorCode::kCorrupt);
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {fmt::format("SHA256(m.ovf)= {}\n", kAbc1), "'m.ovf' does not match"},
      {fmt::format("SHA1(m.ovf)= {}\nSHA1(gone)= {}\n", kAbc1, kAbc1), "lacks 'gone'"},
      {fmt::format("SHA1(m.ovf)= {}\nSHA1(m.ovf)= {}\n", kAbc1, kAbc1), "twice"},
      {fmt::format("SHA1(d(1).vmdk)= {}\n", kAbc1), "does not name 'm.ovf'"},
      {"whatever\n", "not a digest"},
      {")=(", "not a digest"},
  };
  for (const auto& [manifest, says] : wrong) {
    const auto status = verify(manifest);
    ASSERT_FALSE(status.ok()) << manifest;
    EXPECT_EQ(status.error().code(), ErrorCode::kCorrupt) << manifest;
    EXPECT_THAT(status.error().text(), HasSubstr(says));
  }
  EXPECT_EQ(verify("MD5(m.ovf)= 00\n").error().code(), ErrorCode::kUnsupported);
}

TEST(Ova, AManifestIsNoMatterWhenThereIsNone) {
  const MemoryFile file = tar({kGood[0], kGood[1]});
  EXPECT_FALSE(verify_manifest(file, read_ova(file).take(), {"m.ovf"}, {}).take());
  const MemoryFile two = tar({kGood[0], kGood[2], {"n.mf", "x"}});
  EXPECT_FALSE(verify_manifest(two, read_ova(two).take(), {"m.ovf"}, {}).ok());
}

}  // namespace
}  // namespace ashlar
