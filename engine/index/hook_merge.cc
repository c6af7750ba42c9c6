#include "index/hook_merge.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "index/index_rows.h"

namespace ashlar {
namespace {

// Adds the prefixes in `value`. Big-endian numbers of a fixed width sort as text.
void collect(const rocksdb::Slice& value, std::set<std::string_view>& prefixes) {
  for (std::size_t at = 0; at < value.size(); at += kPrefixBytes)
    prefixes.emplace(value.data() + at, kPrefixBytes);
}

}  // namespace

bool HookMerge::Merge(const rocksdb::Slice& /*key*/, const rocksdb::Slice* existing,
                      const rocksdb::Slice& value, std::string* merged, rocksdb::Logger* /*logger*/) const {
  if (value.size() % kPrefixBytes != 0) return false;
  if (existing == nullptr || *existing == value) {
    merged->assign(value.data(), value.size());
    return true;
  }
  if (existing->size() % kPrefixBytes != 0) return false;
  std::set<std::string_view> prefixes;
  collect(*existing, prefixes);
  collect(value, prefixes);
  merged->clear();
  std::size_t left = kMaxHookSegments;
  for (auto it = prefixes.begin(); it != prefixes.end() && left > 0; ++it, --left) merged->append(*it);
  return true;
}

}  // namespace ashlar
