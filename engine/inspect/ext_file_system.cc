#include "inspect/ext_file_system.h"

#include <et/com_err.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/units.h"

namespace ashlar {
namespace {

// Limit of the group descriptors, which libext2fs loads when it opens a file system: enough for 128 TiB in
// blocks of 4096.
constexpr std::uint64_t kMostDescriptorBytes = std::uint64_t{64} << 20U;
constexpr std::size_t kSuperblockOffset = SUPERBLOCK_OFFSET;
constexpr unsigned kLargestLogBlockSize = EXT2_MAX_BLOCK_LOG_SIZE - EXT2_MIN_BLOCK_LOG_SIZE;

constexpr std::size_t kLongestLink = 4096;
constexpr unsigned kMostLinks = 40;  // the limit of Linux
constexpr std::size_t kMostNames = 1024;

// An inline file or link lies in its inode, so it can't be longer than this.
constexpr std::size_t kMostInlineBytes = 4096;

Error guest_fault(errcode_t code) {
  static const bool has_texts = [] {
    initialize_ext2_error_table();
    return true;
  }();
  (void)has_texts;
  return invalid(error_message(code));
}

Status check(errcode_t code) { return code == 0 ? Status() : Status(guest_fault(code)); }

struct Geometry {
  std::uint64_t block_bytes = 0;
  std::uint64_t blocks = 0;
  std::uint64_t first_block = 0;
  std::uint64_t group_blocks = 0;
  std::uint64_t descriptor_bytes = 0;
};

Geometry geometry_of(const ext2_super_block& super) {
  Geometry geometry;
  geometry.block_bytes = std::uint64_t{EXT2_MIN_BLOCK_SIZE} << ext2fs_le32_to_cpu(super.s_log_block_size);
  geometry.blocks = ext2fs_le32_to_cpu(super.s_blocks_count);
  const bool has_64_bits = (ext2fs_le32_to_cpu(super.s_feature_incompat) & EXT4_FEATURE_INCOMPAT_64BIT) != 0;
  if (has_64_bits) geometry.blocks |= std::uint64_t{ext2fs_le32_to_cpu(super.s_blocks_count_hi)} << 32U;
  geometry.first_block = ext2fs_le32_to_cpu(super.s_first_data_block);
  geometry.group_blocks = ext2fs_le32_to_cpu(super.s_blocks_per_group);
  geometry.descriptor_bytes = EXT2_MIN_DESC_SIZE;
  if (has_64_bits) geometry.descriptor_bytes = ext2fs_le16_to_cpu(super.s_desc_size);
  return geometry;
}

// Checks the sizes that libext2fs believes when it opens a file system, and allocates memory by.
Status check_superblock(const DiskPart& part) {
  ext2_super_block super{};
  if (!part.contains(kSuperblockOffset, sizeof super)) return invalid("it has no superblock");
  TRY(part.read(kSuperblockOffset, std::as_writable_bytes(std::span(&super, 1))));
  if (ext2fs_le32_to_cpu(super.s_log_block_size) > kLargestLogBlockSize)
    return invalid("its blocks are larger than any");
  const Geometry geometry = geometry_of(super);
  const auto bytes = checked_mul(geometry.blocks, geometry.block_bytes);
  if (!bytes || *bytes > part.size().value) return invalid("it reaches past its end of the disk");
  if (geometry.group_blocks == 0 || geometry.first_block >= geometry.blocks)
    return invalid("its superblock is damaged");
  const std::uint64_t groups = (geometry.blocks - geometry.first_block - 1) / geometry.group_blocks + 1;
  const auto descriptors = checked_mul(groups, geometry.descriptor_bytes);
  if (!descriptors || *descriptors > kMostDescriptorBytes)
    return invalid(fmt::format("its group descriptors take more than {}", format_size(kMostDescriptorBytes)));
  return {};
}

ExtFileSystem::Node::Kind kind_of(const ext2_inode& record) {
  if (LINUX_S_ISDIR(record.i_mode)) return ExtFileSystem::Node::Kind::kDirectory;
  if (LINUX_S_ISREG(record.i_mode)) return ExtFileSystem::Node::Kind::kFile;
  if (LINUX_S_ISLNK(record.i_mode)) return ExtFileSystem::Node::Kind::kLink;
  return ExtFileSystem::Node::Kind::kOther;
}

using Visit = std::function<bool(std::string_view, ExtFileSystem::Inode)>;

int visit_entry(ext2_ino_t, int, ext2_dir_entry* entry, int, int, char*, void* visit) {
  const std::string_view name(entry->name, static_cast<std::size_t>(ext2fs_dirent_name_len(entry)));
  if (name == "." || name == "..") return 0;
  return (*static_cast<const Visit*>(visit))(name, entry->inode) ? 0 : DIRENT_ABORT;
}

struct FileCloser {
  void operator()(ext2_file_t file) const { ext2fs_file_close(file); }
};

// Returns the names of a path, first to last.
std::vector<std::string> names_of(std::string_view path) {
  std::vector<std::string> names;
  while (!path.empty() && names.size() < kMostNames) {
    const std::size_t end = std::min(path.find('/'), path.size());
    if (end > 0) names.emplace_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return names;
}

}  // namespace

Result<std::unique_ptr<ExtFileSystem>> ExtFileSystem::open(const DiskPart& part, Budget& budget,
                                                           std::stop_token stop) {
  TRY(check_superblock(part));
  std::unique_ptr<ExtFileSystem> made(new ExtFileSystem(part, budget, std::move(stop)));
  const errcode_t failed = made->channel_.open(EXT2_FLAG_64BITS | EXT2_FLAG_SKIP_MMP, &made->file_system_);
  if (const auto& failure = made->failure()) return Error(failure->code(), failure->text());
  if (failed != 0) made->file_system_ = nullptr;
  TRY(check(failed));
  return made;
}

ExtFileSystem::~ExtFileSystem() {
  if (file_system_) ext2fs_free(file_system_);
}

bool ExtFileSystem::needs_recovery() const {
  return ext2fs_has_feature_journal_needs_recovery(file_system_->super) != 0;
}

bool ExtFileSystem::has_errors() const { return (file_system_->super->s_state & EXT2_ERROR_FS) != 0; }

Result<ext2_inode> ExtFileSystem::read_inode(Inode inode) const {
  ext2_inode record{};
  TRY(check(ext2fs_read_inode(file_system_, inode, &record)));
  return record;
}

Result<ExtFileSystem::Node> ExtFileSystem::node(Inode inode) const {
  const ext2_inode record = TRY(read_inode(inode));
  return Node{kind_of(record), ByteCount{EXT2_I_SIZE(&record)}, (record.i_flags & EXT4_ENCRYPT_FL) != 0};
}

Status ExtFileSystem::list(Inode directory, const Visit& visit) const {
  Visit mutable_visit = visit;
  return check(ext2fs_dir_iterate2(file_system_, directory, 0, nullptr, visit_entry, &mutable_visit));
}

// Returns the first bytes of inline data. libext2fs copies all that it finds, whatever the buffer's size, so
// the size is asked for first.
Result<std::string> ExtFileSystem::inline_head(Inode inode, ext2_inode& record, std::size_t most) const {
  std::size_t size = 0;
  TRY(check(ext2fs_inline_data_size(file_system_, inode, &size)));
  if (size > kMostInlineBytes) return invalid("it has more inline data than an inode can hold");
  std::string bytes(std::max(size, sizeof record.i_block), '\0');
  TRY(check(ext2fs_inline_data_get(file_system_, inode, &record, bytes.data(), &size)));
  bytes.resize(std::min({bytes.size(), size, most, static_cast<std::size_t>(EXT2_I_SIZE(&record))}));
  return bytes;
}

Result<std::string> ExtFileSystem::head(Inode inode, std::size_t most) const {
  ext2_inode record = TRY(read_inode(inode));
  const std::uint64_t size = EXT2_I_SIZE(&record);
  if (ext2fs_is_fast_symlink(&record) != 0)
    return std::string(reinterpret_cast<const char*>(record.i_block),
                       std::min<std::uint64_t>({size, most, sizeof record.i_block}));
  if ((record.i_flags & EXT4_INLINE_DATA_FL) != 0) return inline_head(inode, record, most);
  ext2_file_t opened = nullptr;
  TRY(check(ext2fs_file_open2(file_system_, inode, &record, 0, &opened)));
  const std::unique_ptr<std::remove_pointer_t<ext2_file_t>, FileCloser> file(opened);
  std::string bytes(std::min<std::uint64_t>(size, most), '\0');
  unsigned read = 0;
  TRY(check(ext2fs_file_read(opened, bytes.data(), static_cast<unsigned>(bytes.size()), &read)));
  bytes.resize(read);
  return bytes;
}

Result<std::optional<ExtFileSystem::Inode>> ExtFileSystem::find(Inode directory,
                                                                std::string_view name) const {
  Inode inode = 0;
  const errcode_t failed =
      ext2fs_lookup(file_system_, directory, name.data(), static_cast<int>(name.size()), nullptr, &inode);
  if (failed == EXT2_ET_FILE_NOT_FOUND) return std::optional<Inode>();
  TRY(check(failed));
  return std::optional(inode);
}

// Follows a link without ext2fs_follow_link(), which believes the length that the inode gives a link and
// reads past its buffer. A link that leads out of the root leads back into it.
Result<std::optional<ExtFileSystem::Inode>> ExtFileSystem::follow(Inode directory, Inode link) const {
  Inode at = directory;
  std::vector<std::string> names;  // names that are still to follow, the next one last
  unsigned links = 0;
  std::optional<Inode> next = link;
  for (;;) {
    const Node here = TRY(node(*next));
    if (here.kind == Node::Kind::kLink) {
      if (++links > kMostLinks || names.size() > kMostNames) return std::optional<Inode>();
      const std::string target = TRY(head(*next, kLongestLink));
      if (target.starts_with('/')) at = kRoot;
      const std::vector<std::string> more = names_of(target);
      names.insert(names.end(), more.rbegin(), more.rend());
    } else {
      at = *next;
    }
    if (names.empty()) return std::optional(at);
    if (TRY(node(at)).kind != Node::Kind::kDirectory) return std::optional<Inode>();
    next = TRY(find(at, names.back()));
    names.pop_back();
    if (!next) return std::optional<Inode>();
  }
}

}  // namespace ashlar
