// WatchedExport: a snapshot that is served to a program of our own, such as qemu-img. The program learns no
// more than "I/O error"; the error itself, and how far the program has read, are kept here.
#pragma once

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>

#include "serve/volume_export.h"

namespace ashlar {

class WatchedExport : public SnapshotExport {
 public:
  using SnapshotExport::SnapshotExport;

  void read(ByteOffset offset, MutableByteSpan out, Done done) override;
  void extents(ByteOffset offset, ByteCount bytes, std::size_t most, std::vector<ExportExtent>& out,
               Done done) override;

  // Returns the end of the furthest range that was read without an error. Any thread, like all calls.
  std::uint64_t reached() const { return reached_; }
  // Returns the first error that the client met.
  std::optional<Error> failure();

 private:
  Done watched(std::uint64_t end, Done done);

  std::atomic<std::uint64_t> reached_{0};
  std::mutex mutex_;
  std::optional<Error> failure_;
};

// A list of one export, which is found under every name.
class SingleExport : public ExportList {
 public:
  explicit SingleExport(std::shared_ptr<Export> exported) : exported_(std::move(exported)) {}
  std::vector<std::string> names() override { return {""}; }
  Result<std::shared_ptr<Export>> find(const std::string& /*name*/) override { return exported_; }

 private:
  std::shared_ptr<Export> exported_;
};

}  // namespace ashlar
