// ashlar image inspect: what an image, or a snapshot, holds that should not be in a template.
#include <fmt/format.h>

#include "base/clock.h"
#include "base/units.h"
#include "image_inspection.h"
#include "program/cli.h"
#include "program/image_store.h"
#include "program/output.h"
#include "program/stop.h"

namespace ashlar {
namespace {

bool is_snapshot(const std::string& id) { return SnapshotId::parse(id).ok(); }

Status check(const std::string& id) {
  if (is_snapshot(id) || ImageId::parse(id).ok()) return {};
  return invalid(fmt::format("'{}' is neither an image (ami-…) nor a snapshot (snap-…)", id));
}

Result<std::vector<InspectedDevice>> inspect(const Globals& globals, const std::string& id,
                                             const std::stop_token& stop) {
  ImageStore store = TRY(ImageStore::open(globals));
  std::vector<InspectedDevice> devices;
  if (is_snapshot(id)) {
    devices.push_back(TRY(inspect_snapshot(store.repo(), "", TRY(SnapshotId::parse(id)), stop)));
    return devices;
  }
  const ImageRecord image = TRY(store.find(TRY(ImageId::parse(id))));
  if (image.state == ImageState::kPending || image.state == ImageState::kFailed)
    return invalid(fmt::format("{} is {}: its disks are not there", id, image_state_name(image.state)));
  return inspect_devices(store.repo(), image.devices, stop);
}

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

void print_report(const std::string& id, const std::vector<InspectedDevice>& devices, double seconds) {
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
  print_json({{"id", id},
              {"clean", are_clean(devices)},
              {"devices", shown},
              {"findings", findings},
              {"findings_left_out", left_out},
              {"seconds", seconds}});
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
  if (left_out > 0) text += fmt::format("and {} further findings\n", left_out);
  return text;
}

Result<ExitCode> run(const Globals& globals, const std::string& id) {
  Stop stop;
  const double started = monotonic_seconds();
  TRY(stop.watch());
  const std::vector<InspectedDevice> devices = TRY(inspect(globals, id, stop.token()));
  if (globals.json) {
    print_report(id, devices, monotonic_seconds() - started);
    return ExitCode::kDone;
  }
  const std::string doubts = doubts_text(devices);
  print(parts_text(devices) + (doubts.empty() ? "" : "\n" + doubts) + findings_text(devices));
  print(fmt::format("\n{}: {}\n", id, are_clean(devices) ? "clean" : "not clean"));
  return ExitCode::kDone;
}

}  // namespace

void add_image_inspect(Cli& cli) {
  const auto id = std::make_shared<std::string>();
  Verb verb =
      cli.add_verb("image inspect",
                   "List partitions, file systems, and what in them should not be in a template: keys, "
                   "histories, ids, logs",
                   "  ashlar image inspect ami-01a2b3c4d5e6f7089\n"
                   "  ashlar image inspect snap-01a2b3c4d5e6f7089 --json   # before an image is made of it");
  verb.positional("ID", "IMAGE|SNAP", *id, "The image, or a snapshot of a disk");
  verb.check([id] { return check(*id); });
  cli.on_run(Needs::kStore, [id](const Globals& globals) { return run(globals, *id); });
}

}  // namespace ashlar
