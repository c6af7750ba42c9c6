#include "shapes/instance_output.h"

#include <fmt/format.h>

#include "base/units.h"
#include "machine/command_line.h"

namespace ashlar {
namespace {

bool has_process(InstanceState state) {
  return state == InstanceState::kPending || state == InstanceState::kRunning ||
         state == InstanceState::kStopping;
}

Json devices_json(const InstanceDescription& instance) {
  Json devices = Json::array();
  for (const InstanceDevice& device : instance.record.devices) {
    const bool is_file = !device.file.empty();
    devices.push_back({{"device", device.name},
                       {"volume", is_file ? Json() : Json(device.volume.text())},
                       {"file", is_file ? Json(instance.directory + "/" + device.file) : Json()},
                       {"delete_on_termination", device.delete_on_termination}});
  }
  return devices;
}

}  // namespace

Json instance_json(const InstanceDescription& instance) {
  const auto& [record, state, directory] = instance;
  return {{"id", record.id.text()},
          {"name", record.name},
          {"state", instance_state_name(state)},
          {"created", record.created.iso8601()},
          {"snapshot", record.snapshot.text()},
          {"image", record.image.value == 0 ? Json() : Json(record.image.text())},
          {"machine", record.machine},
          {"memory_bytes", record.memory.value},
          {"cpus", record.cpus},
          {"accelerator", record.accelerator},
          {"network", record.network},
          {"kernel", boot_file_path(directory, record.kernel)},
          {"initrd", boot_file_path(directory, record.initrd)},
          {"append", record.append},
          {"devices", devices_json(instance)},
          {"pid", has_process(state) && record.process ? Json(record.process->pid) : Json()},
          {"console", directory + "/" + kConsoleName}};
}

std::string instance_text(const InstanceDescription& instance) {
  const auto& [record, state, directory] = instance;
  std::vector<std::pair<std::string, std::string>> lines = {
      {"id", record.id.text()},
      {"name", record.name},
      {"state", std::string(instance_state_name(state))},
      {"created", record.created.iso8601()},
      {"snapshot", record.snapshot.text()},
      {"machine", fmt::format("{}, {}, {}", record.machine, count_text(record.cpus, "processor"),
                              format_size(record.memory.value))},
      {"accelerator", record.accelerator},
      {"network", record.network}};
  if (record.image.value != 0) lines.emplace_back("image", record.image.text());
  if (!record.kernel.empty()) {
    lines.emplace_back("kernel", boot_file_path(directory, record.kernel));
    lines.emplace_back("initrd", boot_file_path(directory, record.initrd));
    lines.emplace_back("append", record.append);
  }
  for (const InstanceDevice& device : record.devices) {
    const std::string what = device.file.empty() ? device.volume.text() : device.file;
    lines.emplace_back(device.name, what + (device.delete_on_termination ? ", deleted on termination"
                                                                         : ", kept on termination"));
  }
  if (has_process(state) && record.process)
    lines.emplace_back("process", std::to_string(record.process->pid));
  lines.emplace_back("console", directory + "/" + kConsoleName);
  return aligned(lines);
}

Json changes_json(const InstanceChanges& changes) {
  Json all = Json::array();
  for (const InstanceChange& change : changes.changes) {
    all.push_back({{"id", change.id.text()},
                   {"previous_state", instance_state_name(change.before)},
                   {"state", instance_state_name(change.now)}});
  }
  return all;
}

}  // namespace ashlar
