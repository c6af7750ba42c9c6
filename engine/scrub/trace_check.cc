#include "scrub/trace_check.h"

#include <fmt/format.h>

#include "catalog/traces.h"
#include "codec/hash.h"
#include "format/boot_pack_format.h"
#include "format/node_format.h"
#include "format/pack_format.h"
#include "scrub/pack_check.h"

namespace ashlar {
namespace {

Error damaged(std::string_view what) { return corrupt(fmt::format("boot pack: {}", what)); }

// Checks the items of a boot pack in their order: each by its own id or checksum.
class BootItems {
 public:
  Status check(ByteSpan items) {
    while (!items.empty()) {
      if (items.size() < kBootItemHeaderBytes) return damaged("ends within an item");
      const BootItemHeader header = TRY(decode_boot_item_header(items.first(kBootItemHeaderBytes)));
      items = items.subspan(kBootItemHeaderBytes);
      if (header.bytes > items.size()) return damaged("ends within an item");
      TRY(check_item(header, items.first(header.bytes)));
      items = items.subspan(header.bytes);
    }
    return {};
  }

 private:
  Status check_item(const BootItemHeader& header, ByteSpan bytes) {
    switch (header.kind) {
      case BootItemKind::kLeaf:
        TRY(decode_leaf(bytes));
        return {};
      case BootItemKind::kInnerNode:
        TRY(decode_inner_node(bytes));
        return {};
      case BootItemKind::kDirectory:
        directories_.push_back(TRY(decode_segment_directory(bytes)));
        return {};
      case BootItemKind::kFrame:
        return check_frame(header, bytes);
      case BootItemKind::kRegion:
        return {};
    }
    return damaged("unknown item");
  }

  Status check_frame(const BootItemHeader& header, ByteSpan bytes) const {
    if (header.segment >= directories_.size()) return damaged("a frame comes before its directory");
    const SegmentDirectory& directory = directories_[header.segment];
    if (header.frame >= directory.frames.size()) return damaged("a frame that its segment does not have");
    const FrameEntry& frame = directory.frames[header.frame];
    if (bytes.size() != frame.stored_bytes || checksum64(bytes) != frame.checksum)
      return damaged("the checksum of a frame does not match");
    return {};
  }

  std::vector<SegmentDirectory> directories_;
};

Status check_boot_pack(ObjectStore& objects, const std::string& key) {
  const ByteVector bytes = TRY(get_object(objects, key, kMaxBootPackBytes, ReadMode::kDirect));
  if (bytes.size() < kBootPackHeaderBytes) return damaged("too short");
  const BootPackHeader header = TRY(decode_boot_pack_header(ByteSpan(bytes).first(kBootPackHeaderBytes)));
  if (boot_pack_key(header.snapshot, header.id) != key) return damaged("is another one");
  return BootItems().check(ByteSpan(bytes).subspan(kBootPackHeaderBytes));
}

Status check_trace(ObjectStore& objects, const std::string& key) {
  const TraceRecord trace = TRY(decode_trace_record(TRY(get_object(objects, key, kMaxTraceBytes))));
  const AccountId owner{trace.owner};
  if (TraceCatalog::key_of(trace.snapshot, owner) != key)
    return corrupt("trace: is of another snapshot or account");
  return {};
}

}  // namespace

Result<std::vector<RecordFault>> check_traces(ObjectStore& objects) {
  std::vector<RecordFault> faults;
  const auto check_each = [&](std::string_view folder, auto check) -> Status {
    std::vector<std::string> keys;
    TRY(objects.list(folder, [&](const ObjectInfo& object) -> Status {
      keys.push_back(object.key);
      return {};
    }));
    for (const std::string& key : keys) {
      const Status checked = check(objects, key);
      if (checked.ok() || is(checked, ErrorCode::kNotFound)) continue;  // removed meanwhile
      faults.push_back({key, checked.error().text() + "; it is advice, and may be removed",
                        !says_damage(checked.error())});
    }
    return {};
  };
  TRY(check_each("traces/", check_trace));
  TRY(check_each("boot/", check_boot_pack));
  return faults;
}

}  // namespace ashlar
