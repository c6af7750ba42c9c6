// A small store of records, and sample records that are valid.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "catalog/snapshots.h"
#include "io/local_object_store.h"
#include "simulated/simulated_file_system.h"

namespace ashlar {

inline constexpr const char* kRoot = "/store";

inline SnapshotRecord sample_record(std::uint64_t number) {
  SnapshotRecord record;
  record.id.value = 0x1000 + number;
  record.created.unix_ns = 1'700'000'000'000'000'000 + number;
  record.size = ByteCount{10 * kBlockBytes};
  record.root.digest = zero_digest(0, BlockCount{10});
  record.content = volume_digest(record.size, record.root_level, record.root.digest);
  record.unallocated_blocks = BlockCount{10};
  record.name = "sample " + std::to_string(number);
  record.tags["number"] = std::to_string(number);
  return record;
}

// Makes a durable root directory, as `init` leaves it.
inline void make_root(FileSystem& files) {
  ASSERT_TRUE(files.make_directory(kRoot).ok());
  ASSERT_TRUE(files.sync_directory("/").ok());
}

// Puts an object of any bytes in place of one that may exist.
inline void overwrite(ObjectStore& objects, const std::string& key, ByteSpan bytes) {
  static_cast<void>(objects.remove(key).ok());
  ASSERT_TRUE(objects.put_if_absent(key, bytes).ok());
}

}  // namespace ashlar
