#include "shapes/record_output.h"

#include <fmt/format.h>

#include "base/units.h"

namespace ashlar {
namespace {

std::string_view name_of(Consistency consistency) {
  switch (consistency) {
    case Consistency::kQuiescent:
      return "quiescent";
    case Consistency::kFrozen:
      return "frozen";
    case Consistency::kLive:
      return "live";
    case Consistency::kInstant:
      return "instant";
  }
  return "unknown";
}

std::string_view name_of(SourceKind kind) {
  switch (kind) {
    case SourceKind::kFile:
      return "file";
    case SourceKind::kDevice:
      return "device";
    case SourceKind::kNbd:
      return "nbd";
    case SourceKind::kStream:
      return "stream";
  }
  return "unknown";
}

std::string root_text(const NodeRef& root) {
  switch (root.kind) {
    case ChildKind::kZero:
      return "zero";
    case ChildKind::kUnallocated:
      return "unallocated";
    case ChildKind::kNode:
      return root.id.hex();
  }
  return "unknown";
}

std::string exact_size(ByteCount bytes) {
  return fmt::format("{} ({})", format_size(bytes.value), count_text(bytes.value, "byte"));
}
std::string exact_size(BlockCount blocks) { return exact_size(byte_count(blocks)); }

}  // namespace

Json record_json(const SnapshotRecord& record) {
  Json tags = Json::object();
  for (const auto& [key, value] : record.tags) tags[key] = value;
  const bool has_identity = !record.source_identity.is_zero();
  return {{"id", record.id.text()},
          {"parent", record.parent.value == 0 ? Json(nullptr) : Json(record.parent.text())},
          {"store", record.store.hex()},
          {"created", record.created.iso8601()},
          {"size_bytes", record.size.value},
          {"data_bytes", byte_count(record.data_blocks).value},
          {"zero_bytes", byte_count(record.zero_blocks).value},
          {"unallocated_bytes", byte_count(record.unallocated_blocks).value},
          {"unreadable_bytes", byte_count(record.unreadable_blocks).value},
          {"new_bytes", byte_count(record.new_blocks).value},
          {"stored_bytes", record.new_stored_bytes.value},
          {"content", record.content.hex()},
          {"root", root_text(record.root)},
          {"root_level", record.root_level},
          {"source_kind", name_of(record.source_kind)},
          {"source_identity", has_identity ? Json(record.source_identity.hex()) : Json(nullptr)},
          {"consistency", name_of(record.consistency)},
          {"generation", record.generation},
          {"name", record.name},
          {"description", record.description},
          {"change_token", record.change_token},
          {"program", record.program},
          {"tags", tags}};
}

Json capture_json(const CaptureReport& report) {
  return {{"snapshot", record_json(report.record)},
          {"read_bytes", report.read_bytes.value},
          {"unchanged_bytes", report.unchanged_bytes.value},
          {"duplicate_bytes", report.duplicate_bytes.value},
          {"new_bytes", byte_count(report.record.new_blocks).value},
          {"stored_bytes", report.record.new_stored_bytes.value},
          {"dedup_ratio", ratio_json(report.read_bytes.value, byte_count(report.record.new_blocks).value)},
          {"nodes_written", report.nodes_written},
          {"node_bytes_written", report.node_bytes_written},
          {"directories_read", report.directories_read},
          {"unreadable", ranges_json(report.unreadable, report.record.size)},
          {"warnings", report.warnings}};
}

std::string record_text(const SnapshotRecord& record) {
  std::vector<std::pair<std::string, std::string>> lines = {
      {"id", record.id.text()},
      {"name", record.name},
      {"description", record.description},
      {"created", record.created.iso8601()},
      {"size", exact_size(record.size)},
      {"data", exact_size(record.data_blocks)},
      {"zero", exact_size(record.zero_blocks)},
      {"unallocated", exact_size(record.unallocated_blocks)},
      {"unreadable", exact_size(record.unreadable_blocks)},
      {"new", exact_size(record.new_blocks)},
      {"stored", exact_size(record.new_stored_bytes)},
      {"parent", record.parent.value == 0 ? "none" : record.parent.text()},
      {"generation", std::to_string(record.generation)},
      {"source", std::string(name_of(record.source_kind))},
      {"source identity", record.source_identity.is_zero() ? "none" : record.source_identity.hex()},
      {"consistency", std::string(name_of(record.consistency))},
      {"change token", record.change_token},
      {"content digest", record.content.hex()},
      {"root", fmt::format("{} (level {})", root_text(record.root), record.root_level)},
      {"store", record.store.hex()},
      {"program", record.program}};
  for (const auto& [key, value] : record.tags) lines.emplace_back("tag " + key, value);
  return aligned(lines);
}

}  // namespace ashlar
