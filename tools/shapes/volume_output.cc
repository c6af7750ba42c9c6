#include "shapes/volume_output.h"

#include <fmt/format.h>

#include "base/units.h"

namespace ashlar {
namespace {

std::string exact(ByteCount bytes) {
  return fmt::format("{} ({})", format_size(bytes.value), count_text(bytes.value, "byte"));
}

}  // namespace

Json volume_json(const VolumeRecord& record) {
  return {{"id", record.id.text()},
          {"name", record.name},
          {"created", record.created.iso8601()},
          {"size_bytes", record.size.value},
          {"snapshot", record.base.text()},
          {"detached", record.is_detached},
          {"tags", record.tags}};
}

Json volume_state_json(const VolumeState& state) {
  Json body = {{"served", state.served},
               {"hydrating", state.hydrating},
               {"expected_bytes", state.expected_bytes.value},
               {"expected_fetched_bytes", state.expected_fetched_bytes.value},
               {"boot_pack", state.boot_pack},
               {"clean_bytes", state.clean_bytes.value},
               {"dirty_bytes", state.dirty_bytes.value},
               {"zeroed_bytes", state.zeroed_bytes.value},
               {"absent_bytes", state.absent_bytes.value},
               {"reads", state.reads},
               {"missed_reads", state.missed_reads},
               {"writes", state.writes},
               {"fetched_bytes", state.fetched_bytes.value},
               {"stalled_seconds", static_cast<double>(state.stalled_ns) / 1e9}};
  if (!state.hydration_error.empty()) body["hydration_error"] = state.hydration_error;
  return body;
}

std::string volume_text(const VolumeRecord& record, const VolumeState& state) {
  std::vector<std::pair<std::string, std::string>> lines = {
      {"id", record.id.text()},
      {"name", record.name},
      {"created", record.created.iso8601()},
      {"size", exact(record.size)},
      {"snapshot", record.base.text()},
      {"detached", record.is_detached ? "yes: the store is not needed" : "no"},
      {"served", state.served ? "yes" : "no"},
      {"clean", exact(state.clean_bytes)},
      {"dirty", exact(state.dirty_bytes)},
      {"zeroed", exact(state.zeroed_bytes)},
      {"absent", exact(state.absent_bytes)},
      {"reads", std::to_string(state.reads)},
      {"missed reads", std::to_string(state.missed_reads)},
      {"writes", std::to_string(state.writes)},
      {"fetched", exact(state.fetched_bytes)},
      {"stalled", fmt::format("{:.3f} s", static_cast<double>(state.stalled_ns) / 1e9)},
      {"expected", exact(state.expected_bytes)},
      {"prefetched", exact(state.expected_fetched_bytes)},
      {"boot pack", state.boot_pack ? "used" : "none"}};
  for (const auto& [key, value] : record.tags) lines.emplace_back("tag " + key, value);
  return aligned(lines);
}

}  // namespace ashlar
