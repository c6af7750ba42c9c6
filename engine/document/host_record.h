// The record that ties a host directory to its store. Page: docs/format/host.md.
//
// It lives in the host directory as `host.json` and is replaced as a whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/id.h"
#include "base/result.h"

namespace ashlar {

inline constexpr std::uint32_t kHostVersion = 1;
inline constexpr std::size_t kMaxHostRecordBytes = 16UL * 1024;

struct HostRecord {
  HostId host;
  StoreId store;
  std::string file_system;  // that the store's directory lies on: its UUID in hexadecimal, or another name
  std::uint64_t inode = 0;  // of the store's directory
  std::string directory;    // of the store when this was written: for messages only
  friend bool operator==(const HostRecord&, const HostRecord&) = default;
};

std::string encode(const HostRecord& record);
// Fails with kCorrupt for anything that encode() does not write, with kUnsupported for a newer version.
Result<HostRecord> decode_host_record(std::string_view text);

}  // namespace ashlar
