// Options of RocksDB for the index: bounded memory, two cores, a silent log. Only database.cc includes this.
// Internal to the module.
#pragma once

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include <array>
#include <memory>
#include <vector>

namespace ashlar {

// The column families by number; the default one holds the format alone.
enum class Family : unsigned char { kDefault, kHooks, kSegments, kNodes, kPacks, kInventory };
inline constexpr std::size_t kFamilies = 6;

rocksdb::DBOptions database_options(bool writable, const std::shared_ptr<rocksdb::Cache>& cache);
std::vector<rocksdb::ColumnFamilyDescriptor> column_families(const std::shared_ptr<rocksdb::Cache>& cache);

}  // namespace ashlar
