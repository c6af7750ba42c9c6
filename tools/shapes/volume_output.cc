#include "shapes/volume_output.h"

#include <fmt/format.h>

#include "base/units.h"

namespace ashlar {
namespace {

std::string size_line(const Json& state, const char* member) {
  const auto bytes = state.value(member, std::uint64_t{0});
  return fmt::format("{} ({} bytes)", format_size(bytes), bytes);
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

Json volume_state_json(const Volume& volume, bool served) {
  const Overlay::Counters held = volume.overlay().counters();
  const Volume::Counters& counters = volume.counters();
  const std::uint64_t all = blocks_covering(volume.size()).value;
  const std::uint64_t present = held.clean.value + held.dirty.value + held.zero.value;
  return {{"served", served},
          {"hydrating", false},
          {"expected_bytes", 0},
          {"expected_fetched_bytes", 0},
          {"boot_pack", false},
          {"clean_bytes", byte_count(held.clean).value},
          {"dirty_bytes", byte_count(held.dirty).value},
          {"zeroed_bytes", byte_count(held.zero).value},
          {"absent_bytes", (all - present) * kBlockBytes},
          {"reads", counters.reads.load()},
          {"missed_reads", counters.missed_reads.load()},
          {"writes", counters.writes.load()},
          {"fetched_bytes", counters.fetched_bytes.load()},
          {"stalled_seconds", static_cast<double>(counters.stalled_ns.load()) / 1e9}};
}

std::string volume_text(const VolumeRecord& record, const Json& state) {
  std::vector<std::pair<std::string, std::string>> lines = {
      {"id", record.id.text()},
      {"name", record.name},
      {"created", record.created.iso8601()},
      {"size", fmt::format("{} ({} bytes)", format_size(record.size.value), record.size.value)},
      {"snapshot", record.base.text()},
      {"detached", record.is_detached ? "yes: the store is not needed" : "no"},
      {"served", state.value("served", false) ? "yes" : "no"},
      {"clean", size_line(state, "clean_bytes")},
      {"dirty", size_line(state, "dirty_bytes")},
      {"zeroed", size_line(state, "zeroed_bytes")},
      {"absent", size_line(state, "absent_bytes")},
      {"reads", std::to_string(state.value("reads", std::uint64_t{0}))},
      {"missed reads", std::to_string(state.value("missed_reads", std::uint64_t{0}))},
      {"writes", std::to_string(state.value("writes", std::uint64_t{0}))},
      {"fetched", size_line(state, "fetched_bytes")},
      {"stalled", fmt::format("{:.3f} s", state.value("stalled_seconds", 0.0))},
      {"expected", size_line(state, "expected_bytes")},
      {"of it here", size_line(state, "expected_fetched_bytes")},
      {"boot pack", state.value("boot_pack", false) ? "used" : "none"}};
  for (const auto& [key, value] : record.tags) lines.emplace_back("tag " + key, value);
  return aligned(lines);
}

}  // namespace ashlar
