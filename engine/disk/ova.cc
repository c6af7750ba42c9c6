#include "disk/ova.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

namespace ashlar {
namespace {

constexpr std::size_t kMaxMembers = 256;
constexpr std::size_t kMaxNameBytes = 255;
constexpr std::uint64_t kTarBlock = 512;
constexpr std::size_t kReadBytes = 64UL * 1024;

struct ArchiveCloser {
  void operator()(archive* opened) const { ::archive_read_free(opened); }
};
using Archive = std::unique_ptr<archive, ArchiveCloser>;

// The state of libarchive's reads of the file.
struct Reading {
  const ReadableFile& file;
  std::uint64_t size = 0;
  std::uint64_t at = 0;
  std::array<std::byte, kReadBytes> buffer{};
  std::optional<Error> failed;
};

la_ssize_t read_part(archive* opened, void* user, const void** out) {
  auto& reading = *static_cast<Reading*>(user);
  *out = reading.buffer.data();
  auto got = reading.file.read_at(reading.at, reading.buffer);
  if (!got.ok()) {
    reading.failed = got.take_error();
    ::archive_set_error(opened, EIO, "the file can't be read");
    return -1;
  }
  reading.at += got.value();
  return static_cast<la_ssize_t>(got.value());
}

la_int64_t skip_part(archive* /*opened*/, void* user, la_int64_t wanted) {
  auto& reading = *static_cast<Reading*>(user);
  const std::uint64_t left = reading.size - std::min(reading.size, reading.at);
  const std::uint64_t skipped = std::min(left, static_cast<std::uint64_t>(std::max<la_int64_t>(wanted, 0)));
  reading.at += skipped;
  return static_cast<la_int64_t>(skipped);
}

Error archive_error(Reading& reading) {
  if (reading.failed) return *std::move(reading.failed);
  return corrupt("is not a complete tar archive");
}

// Returns whether a name has no meaning for a file system: no folder, no way up, no control characters.
bool is_plain_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes || name == "." || name == "..") return false;
  return std::ranges::none_of(name, [](char c) {
    return c == '/' || c == '\\' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
}

Result<std::string> name_of(archive_entry* entry) {
  const char* name = ::archive_entry_pathname(entry);
  if (name == nullptr) name = ::archive_entry_pathname_utf8(entry);
  if (name == nullptr || !is_plain_name(name))
    return invalid("has a member whose name is not a plain file name");
  return std::string(name);
}

Result<OvaMember> member_of(archive* opened, archive_entry* entry, std::uint64_t file_bytes) {
  OvaMember member;
  member.name = TRY(name_of(entry));
  if (::archive_entry_filetype(entry) != AE_IFREG || ::archive_entry_hardlink(entry) != nullptr)
    return invalid(fmt::format("has a member '{}' that is not a regular file", member.name));
  if (::archive_entry_sparse_count(entry) > 0)
    return invalid(fmt::format("has a sparse member '{}'", member.name));
  member.offset = static_cast<std::uint64_t>(::archive_filter_bytes(opened, 0));
  const la_int64_t bytes = ::archive_entry_size(entry);
  if (bytes < 0 || member.offset > file_bytes ||
      static_cast<std::uint64_t>(bytes) > file_bytes - member.offset)
    return corrupt(fmt::format("is truncated: it ends within '{}'", member.name));
  member.bytes = static_cast<std::uint64_t>(bytes);
  return member;
}

// Returns where the header of the member after this one has to be.
std::uint64_t end_of(const OvaMember& member) {
  return (member.offset + member.bytes + kTarBlock - 1) / kTarBlock * kTarBlock;
}

Status add_member(Ova& ova, OvaMember member, std::uint64_t header_at) {
  if (!ova.members.empty() && end_of(ova.members.back()) != header_at)
    return invalid(fmt::format("has a member '{}' that is compressed or sparse", ova.members.back().name));
  if (ova.members.size() == kMaxMembers) return invalid(fmt::format("has more than {} members", kMaxMembers));
  if (std::ranges::find(ova.members, member.name, &OvaMember::name) != ova.members.end())
    return invalid(fmt::format("has the member '{}' twice", member.name));
  ova.members.push_back(std::move(member));
  return {};
}

// Checks the end mark, two blocks of zeros. Without it, a file that was cut off at the end of a member would
// look complete.
Status check_end(const ReadableFile& file, std::uint64_t file_bytes, std::uint64_t at) {
  std::array<std::byte, 2 * kTarBlock> marker{};
  if (at > file_bytes || file_bytes - at < marker.size() || TRY(file.read_at(at, marker)) != marker.size())
    return corrupt("is truncated: it ends without the tar end mark");
  if (std::ranges::any_of(marker, [](std::byte byte) { return byte != std::byte{0}; }))
    return corrupt("has no tar end mark after its last member");
  return {};
}

Result<Archive> open_archive(Reading& reading) {
  Archive opened(::archive_read_new());
  if (!opened) return Error(ErrorCode::kExhausted, "no memory for libarchive");
  ::archive_read_support_format_tar(opened.get());
  ::archive_read_set_read_callback(opened.get(), read_part);
  ::archive_read_set_skip_callback(opened.get(), skip_part);
  ::archive_read_set_callback_data(opened.get(), &reading);
  if (::archive_read_open1(opened.get()) != ARCHIVE_OK) return archive_error(reading);
  return opened;
}

}  // namespace

Result<OvaMember> Ova::find(const std::string& name) const {
  const auto found = std::ranges::find(members, name, &OvaMember::name);
  if (found == members.end())
    return invalid(fmt::format("has no member '{}', which its descriptor names", name));
  return *found;
}

Result<Ova> read_ova(const ReadableFile& file) {
  Reading reading{file, TRY(file.size()), 0, {}, std::nullopt};
  const Archive opened = TRY(open_archive(reading));
  Ova ova;
  for (;;) {
    archive_entry* entry = nullptr;
    const int got = ::archive_read_next_header(opened.get(), &entry);
    if (got == ARCHIVE_EOF) break;
    if (got != ARCHIVE_OK && got != ARCHIVE_WARN) return archive_error(reading);
    const auto header_at = static_cast<std::uint64_t>(::archive_read_header_position(opened.get()));
    TRY(add_member(ova, TRY(member_of(opened.get(), entry, reading.size)), header_at));
  }
  if (ova.members.empty() || !ova.members.front().name.ends_with(".ovf"))
    return invalid("is not an OVA: its first member is not a descriptor (*.ovf)");
  TRY(check_end(file, reading.size, end_of(ova.members.back())));
  return ova;
}

Result<std::string> read_member(const ReadableFile& file, const OvaMember& member, std::uint64_t limit) {
  if (member.bytes > limit)
    return invalid(
        fmt::format("has a member '{}' of {} bytes, more than {}", member.name, member.bytes, limit));
  std::string text(member.bytes, '\0');
  const FileRange range{file, member.offset, member.bytes};
  TRY(range.read(0, std::as_writable_bytes(std::span(text))));
  return text;
}

}  // namespace ashlar
