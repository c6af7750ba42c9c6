// Joins what several segments say of one hook: the set of segment prefixes, the smallest kMaxHookSegments of
// them.
//
// A union of sets, so any order of packs gives the same value. All are kept, not the smallest alone, so that
// forgetting the smallest one's pack leaves the next one to answer.
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
