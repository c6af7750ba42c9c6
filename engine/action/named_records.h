// Named records: launch templates and lifecycle policies. An account has each name once, and finds the record
// by it. Internal to the module.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "catalog/record_folder.h"

namespace ashlar {

template <class Record>
struct NamedRecords {
  std::vector<Record> found;  // by name
  std::vector<Error> unread;  // of records that can't be read; they hide none of those found
};

template <class Id>
Error unknown_name(std::string_view name) {
  return not_found(fmt::format("no {} '{}' in this store", Id::kNoun, name))
      .about(Id::kMissing, std::string(name));
}

// Returns the record that `owner` has under `name`; `id` is the id of the two.
template <class Kind>
Result<typename Kind::Record> find_named(const RecordFolder<Kind>& folder, typename Kind::Id id,
                                         AccountId owner, std::string_view name) {
  auto record = folder.get(id);
  const bool is_it = record.ok() && record.value().name == name && record.value().owner == owner;
  if (is_it || (!record.ok() && record.error().code() != ErrorCode::kNotFound)) return record;
  return unknown_name<typename Kind::Id>(name);
}

// Lists the records of an account, or of all accounts.
template <class Kind>
Result<NamedRecords<typename Kind::Record>> list_named(const RecordFolder<Kind>& folder,
                                                       std::optional<AccountId> owner) {
  NamedRecords<typename Kind::Record> listing;
  for (const typename Kind::Id id : TRY(folder.list_ids())) {
    auto record = folder.get(id);
    if (!record.ok() && record.error().code() != ErrorCode::kNotFound)
      listing.unread.push_back(record.error());
    if (record.ok() && (!owner || record.value().owner == *owner)) listing.found.push_back(record.take());
  }
  std::ranges::sort(listing.found, {}, [](const auto& record) { return std::pair(record.name, record.id); });
  return listing;
}

// Removes a record. Fails with kCorrupt, kind kRecordDamaged, for a damaged one.
template <class Kind>
Status remove_named(RecordFolder<Kind>& folder, typename Kind::Id id, std::string_view name) {
  Status gone = folder.free(id);
  if (is(gone, ErrorCode::kNotFound)) return unknown_name<typename Kind::Id>(name);
  return gone;
}

}  // namespace ashlar
