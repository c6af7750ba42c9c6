// HookMerge: joins what several segments say about one hook into the set of their prefixes, of which the
// smallest kMaxHookSegments are kept. Internal to the module.
//
// A union of sets gives the same value for any order of packs. More than the smallest prefix is kept, so that
// the next one answers when the pack of the smallest is forgotten.
#pragma once

#include <rocksdb/merge_operator.h>

namespace ashlar {

class HookMerge : public rocksdb::AssociativeMergeOperator {
 public:
  const char* Name() const override { return "ashlar.hooks"; }
  bool Merge(const rocksdb::Slice& key, const rocksdb::Slice* existing, const rocksdb::Slice& value,
             std::string* merged, rocksdb::Logger* logger) const override;
};

}  // namespace ashlar
