// print_captured(): the answer of the verbs that capture.
#include <fmt/format.h>

#include "base/units.h"
#include "shapes/record_output.h"

namespace ashlar {
namespace {

std::string report_text(const CaptureReport& report, double seconds) {
  const SnapshotRecord& record = report.record;
  const std::uint64_t new_bytes = byte_count(record.new_blocks).value;
  Table table({">size", ">read", ">new", ">stored", ">dedup", ">time", ">speed"});
  table.add({format_size(record.size.value), format_size(report.read_bytes.value), format_size(new_bytes),
             format_size(record.new_stored_bytes.value), ratio_text(report.read_bytes.value, new_bytes),
             duration_text(seconds), rate_text(report.read_bytes.value, seconds)});
  return table.text();
}

// Fails with kIo when the answer was lost, and names the snapshot, which exists all the same.
Status check_answer(const CaptureReport& report) {
  if (finish_output()) return {};
  return Error(ErrorCode::kIo, report.record.id.text() + " is made, but standard output can't be written");
}

}  // namespace

Status print_captured(const Globals& globals, const CaptureReport& report, double seconds) {
  for (const std::string& warning : report.warnings) print_warning(warning);
  if (!report.unreadable.empty()) {
    print_warning(
        fmt::format("recorded as unreadable: {}", ranges_text(report.unreadable, report.record.size)));
  }
  if (globals.json) {
    Json document = capture_json(report);
    document["seconds"] = seconds;
    print_json(document);
    return check_answer(report);
  }
  print(report.record.id.text() + "\n");
  TRY(check_answer(report));
  std::string text = report_text(report, seconds);
  text.pop_back();
  print_note(text);
  return {};
}

}  // namespace ashlar
