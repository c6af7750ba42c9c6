// ExtFileSystem: looks into an ext2, ext3 or ext4 file system through libext2fs, without mounting it.
//
// Its bytes are hostile. What is wrong in them is an error kInvalid with a line of why; so is what the
// budget does not allow. An error of the disk itself, and kCancelled, is told by failure(), and whatever
// failed after it may be its fault. The journal is not replayed. One thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "inspect/disk.h"
#include "inspect/ext_channel.h"

namespace ashlar {

class ExtFileSystem {
 public:
  using Inode = ext2_ino_t;
  static constexpr Inode kRoot = EXT2_ROOT_INO;

  struct Node {
    enum class Kind : unsigned char { kDirectory, kFile, kLink, kOther };
    Kind kind = Kind::kOther;
    ByteCount size;
    bool is_encrypted = false;  // names and contents are unreadable
  };

  // `part` and `budget` outlive it.
  static Result<std::unique_ptr<ExtFileSystem>> open(const DiskPart& part, Budget& budget,
                                                     std::stop_token stop);
  ~ExtFileSystem();

  // Changes lie in its journal that a mount would make first.
  bool needs_recovery() const;
  // The kernel found damage in it.
  bool has_errors() const;

  Result<Node> node(Inode inode) const;
  // Shows the entries of a directory but "." and "..", in no order, until `visit` returns false.
  Status list(Inode directory, const std::function<bool(std::string_view name, Inode inode)>& visit) const;
  // Up to the first `most` bytes of a file or link.
  Result<std::string> head(Inode inode, std::size_t most) const;
  // Where a symbolic link in `directory` leads within this file system, through other links too; nothing when
  // it leads nowhere here.
  Result<std::optional<Inode>> follow(Inode directory, Inode link) const;

  bool is_exhausted() const { return channel_.is_exhausted(); }
  const std::optional<Error>& failure() const { return channel_.failure(); }

 private:
  ExtFileSystem(const DiskPart& part, Budget& budget, std::stop_token stop)
      : channel_(part, budget, std::move(stop)) {}
  Result<ext2_inode> read_inode(Inode inode) const;
  Result<std::string> inline_head(Inode inode, ext2_inode& record, std::size_t most) const;
  Result<std::optional<Inode>> find(Inode directory, std::string_view name) const;

  ExtChannel channel_;
  ext2_filsys file_system_ = nullptr;
};

}  // namespace ashlar
