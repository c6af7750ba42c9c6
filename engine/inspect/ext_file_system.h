// ExtFileSystem: looks into an ext2, ext3 or ext4 file system through libext2fs, without mounting it.
// Internal to the module.
//
// Its bytes are hostile. A fault in them is an error kInvalid with a line that says why, and so is a read
// that the budget does not allow. failure() returns an error of the disk itself, or kCancelled; later errors
// may be consequences of it. The journal is not replayed. One thread.
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

  // Opens the file system in a part. `part` and `budget` outlive it.
  static Result<std::unique_ptr<ExtFileSystem>> open(const DiskPart& part, Budget& budget,
                                                     std::stop_token stop);
  ~ExtFileSystem();

  // Returns whether its journal holds changes that a mount would make first.
  bool needs_recovery() const;
  // Returns whether the kernel found damage in it.
  bool has_errors() const;

  Result<Node> node(Inode inode) const;
  // Calls `visit` for the entries of a directory except "." and "..", in any order, until it returns false.
  Status list(Inode directory, const std::function<bool(std::string_view name, Inode inode)>& visit) const;
  // Returns the first bytes of a file or link, `most` of them at most.
  Result<std::string> head(Inode inode, std::size_t most) const;
  // Returns where a symbolic link in `directory` leads within this file system, through other links too;
  // nullopt when it leads to no file here.
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
