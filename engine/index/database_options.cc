#include "index/database_options.h"

#include <rocksdb/convenience.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>

#include "index/database.h"
#include "index/hook_merge.h"

namespace ashlar {
namespace {

class SilentLogger : public rocksdb::Logger {
 public:
  SilentLogger() : rocksdb::Logger(rocksdb::FATAL_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const char* /*format*/, va_list /*arguments*/) override {}
};

// A listener that switches off RocksDB's own recovery from a full disk. In RocksDB 7.8 it runs in a thread
// that can wait for a flush that waits for that thread, and closing the database then never ends.
// IndexState::refresh opens the database anew instead, under the exclusive lock.
class ManualRecovery : public rocksdb::EventListener {
 public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason /*reason*/, rocksdb::Status /*error*/,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }
};

rocksdb::CompressionType if_supported(rocksdb::CompressionType wanted) {
  const auto supported = rocksdb::GetSupportedCompressions();
  return std::ranges::find(supported, wanted) != supported.end() ? wanted : rocksdb::kNoCompression;
}

// Partitioned filters and indexes are cached piece by piece. When the index is much larger than the cache, a
// look-up costs a read or two and does not read whole filters.
rocksdb::BlockBasedTableOptions table_options(const std::shared_ptr<rocksdb::Cache>& cache, bool whole_keys) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = 4096;
  table.format_version = 5;
  table.checksum = rocksdb::kXXH3;
  table.filter_policy.reset(rocksdb::NewRibbonFilterPolicy(10));
  table.whole_key_filtering = whole_keys;
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.metadata_block_size = 4096;
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_top_level_index_and_filter = true;
  return table;
}

// Sets the prefix for segments and nodes: they are looked up by the first eight bytes of their ids.
rocksdb::ColumnFamilyOptions family_options(Family family, const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions options;
  const bool by_prefix = family == Family::kSegments || family == Family::kNodes;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table_options(cache, !by_prefix)));
  if (by_prefix) options.prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(kPrefixBytes));
  if (family == Family::kHooks) options.merge_operator = std::make_shared<HookMerge>();
  options.write_buffer_size = kWriteBufferBytes / 2;
  options.arena_block_size = std::size_t{256} << 10U;
  options.max_write_buffer_number = 3;
  options.compression = if_supported(rocksdb::kLZ4Compression);
  options.bottommost_compression = if_supported(rocksdb::kZSTD);
  // Compactions are small, because the files that they replace stay on the disk until the compaction ends.
  options.target_file_size_base = std::size_t{8} << 20U;
  options.target_file_size_multiplier = 2;
  options.max_bytes_for_level_base = std::size_t{64} << 20U;
  options.level_compaction_dynamic_level_bytes = true;
  return options;
}

}  // namespace

rocksdb::DBOptions database_options(bool writable, const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::DBOptions options;
  options.create_if_missing = writable;
  options.create_missing_column_families = writable;
  options.info_log = std::make_shared<SilentLogger>();
  options.listeners.push_back(std::make_shared<ManualRecovery>());
  options.max_bgerror_resume_count = 0;
  options.atomic_flush = true;
  options.write_buffer_manager = std::make_shared<rocksdb::WriteBufferManager>(kWriteBufferBytes, cache);
  options.max_background_jobs = 2;
  options.max_subcompactions = 1;
  // A reader keeps every file open, because the writer may unlink any of them at any time.
  options.max_open_files = writable ? 128 : -1;
  options.max_file_opening_threads = 2;
  options.allow_fallocate = false;  // keeps the index of a small store small
  options.max_manifest_file_size = std::size_t{4} << 20U;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.bytes_per_sync = std::size_t{1} << 20U;
  return options;
}

std::vector<rocksdb::ColumnFamilyDescriptor> column_families(const std::shared_ptr<rocksdb::Cache>& cache) {
  return {{rocksdb::kDefaultColumnFamilyName, family_options(Family::kDefault, cache)},
          {"hooks", family_options(Family::kHooks, cache)},
          {"segments", family_options(Family::kSegments, cache)},
          {"nodes", family_options(Family::kNodes, cache)},
          {"packs", family_options(Family::kPacks, cache)},
          {"inventory", family_options(Family::kInventory, cache)}};
}

}  // namespace ashlar
