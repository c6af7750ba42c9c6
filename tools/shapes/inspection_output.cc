#include "shapes/inspection_output.h"

#include <fmt/format.h>

#include "base/units.h"

namespace ashlar {
namespace {

Json part_json(const InspectedPart& part) {
  return {{"partition", part.partition}, {"offset", part.first.value}, {"size_bytes", part.size.value},
          {"type", part.type},           {"label", part.label},        {"looked_into", part.is_looked_into},
          {"note", part.note},           {"doubts", part.doubts}};
}

Json device_json(const InspectedDevice& device) {
  Json parts = Json::array();
  for (const InspectedPart& part : device.report.parts) parts.push_back(part_json(part));
  return {{"device", device.device},
          {"snapshot", device.snapshot.text()},
          {"partition_table", device.report.partition_table},
          {"parts", parts}};
}

std::string looked_into_text(const InspectedPart& part) {
  std::string text = part.is_looked_into ? "yes" : "no";
  if (!part.note.empty()) text += ": " + part.note;
  if (!part.doubts.empty()) text += part.is_looked_into ? ", with doubts" : ": see below";
  return text;
}

std::string parts_text(const std::vector<InspectedDevice>& devices) {
  Table table({"DEVICE", ">PARTITION", ">SIZE", "TYPE", "LABEL", "LOOKED INTO"});
  for (const InspectedDevice& device : devices) {
    for (const InspectedPart& part : device.report.parts) {
      table.add({device.device.empty() ? device.snapshot.text() : device.device,
                 part.partition == 0 ? "-" : std::to_string(part.partition), format_size(part.size.value),
                 part.type.empty() ? "-" : part.type, part.label, looked_into_text(part)});
    }
  }
  return table.text();
}

std::string doubts_text(const std::vector<InspectedDevice>& devices) {
  std::string text;
  for (const InspectedDevice& device : devices) {
    for (const InspectedPart& part : device.report.parts) {
      for (const std::string& doubt : part.doubts)
        text += fmt::format("doubt: {}: {}\n", place_text(device, part), doubt);
    }
  }
  return text;
}

std::string findings_text(const std::vector<InspectedDevice>& devices) {
  Table table({"FINDING", "WHERE", "WHY"});
  std::size_t count = 0;
  std::uint64_t left_out = 0;
  for (const InspectedDevice& device : devices) {
    left_out += device.report.findings_left_out;
    for (const Finding& finding : device.report.findings) {
      table.add({std::string(finding.kind), place_text(device, finding), std::string(finding.reason)});
      ++count;
    }
  }
  std::string text = count == 0 ? std::string() : "\n" + table.text();
  if (left_out > 0) text += fmt::format("and {}\n", count_text(left_out, "further finding"));
  return text;
}

}  // namespace

Json inspection_json(const std::string& id, const std::vector<InspectedDevice>& devices, double seconds) {
  Json shown = Json::array();
  Json findings = Json::array();
  std::uint64_t left_out = 0;
  for (const InspectedDevice& device : devices) {
    shown.push_back(device_json(device));
    left_out += device.report.findings_left_out;
    for (const Finding& finding : device.report.findings) {
      findings.push_back({{"device", device.device},
                          {"partition", finding.partition},
                          {"path", finding.path},
                          {"kind", finding.kind},
                          {"reason", finding.reason}});
    }
  }
  return {{"id", id},
          {"clean", are_clean(devices)},
          {"devices", shown},
          {"findings", findings},
          {"findings_left_out", left_out},
          {"seconds", seconds}};
}

std::string inspection_text(const std::string& id, const std::vector<InspectedDevice>& devices) {
  const std::string doubts = doubts_text(devices);
  return parts_text(devices) + (doubts.empty() ? "" : "\n" + doubts) + findings_text(devices) +
         fmt::format("\n{}: {}\n", id, are_clean(devices) ? "clean" : "not clean");
}

}  // namespace ashlar
